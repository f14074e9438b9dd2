"""The pack of a case verifies with our stand-alone verifier and with Go's; what it holds is the case's, no more."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inquiry.test_caseexposure import home_of
from ledger.test_go import MISSING, built
from watchbill.core.errors import LedgerError, NotFoundError
from watchbill.inquiry.caseexposure import exposure
from watchbill.ledger import merkle
from watchbill.ledger.prove import parse_proof
from watchbill.ledger.sealing import seal
from watchbill.ledger.verify_pack import verify_pack
from watchbill.reports import evidence
from watchbill.reports.base import load_report, packed

CASE = "c99"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = home_of(tmp_path_factory.mktemp("home"))
    (place / "parts").mkdir()
    table = pa.table(
        {"seq": [0, 99, 225], "account": ["X"] * 3, "decision": ["allow", "mask", "deny"], "explained": [False] * 3}
    )
    pq.write_table(table, place / "parts" / "verdicts-a.parquet")
    steps = [{"seq": 99, "case": CASE, "step": "mask"}, {"seq": 99, "case": "c1", "step": "mask"}]
    (place / "interventions.ndjson").write_text("".join(json.dumps(row) + "\n" for row in steps))
    return place


@pytest.fixture(scope="module")
def height(home: Path) -> int:
    return seal(home, final=True).sealed


@pytest.fixture(scope="module")
def parts(home: Path, height: int) -> dict[str, bytes]:
    return load_report("evidence").parts(home, CASE, height)


def test_it_verifies_and_counts_what_exposure_says(
    home: Path, height: int, parts: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "pack.zip"
    out.write_bytes(packed(home, CASE, height, parts))
    assert out.read_bytes() == packed(home, CASE, height, load_report("evidence").parts(home, CASE, height))
    report = verify_pack(out, (home / "keys" / "origin.pub").read_text())
    answer = exposure(home, CASE)
    assert (report.ok, report.reason) == (True, "")
    assert (
        (report.persons, report.hash, report.case) == (answer.saw.persons, answer.hash, CASE) == (80, answer.hash, CASE)
    )
    assert report.records == len(answer.listed) + len(answer.between) + 2  # and two reloads of tables


def test_it_holds_the_cases_records_only(home: Path, parts: dict[str, bytes]) -> None:
    answer = exposure(home, CASE)
    records = [json.loads(line) for line in parts["records.ndjson"].splitlines()]
    looks = {
        record["seq"]
        for record in records
        if record["source"] != "watchbill" and "table" not in record.get("extra", "")
    }
    assert looks == {*answer.listed, *answer.between}
    assert json.loads(parts["interventions.ndjson"])["case"] == CASE
    told = {json.loads(line)["seq"] for line in parts["verdicts.ndjson"].splitlines()}
    assert told == looks & {0, 99, 225} | {record["seq"] for record in records} & {0}
    assert set(json.loads(parts["detectors.json"])["sources"]) >= {"detectors/canary.py", "responses/policy.py"}


def test_settings_in_force_are_in_it_and_are_logged_ones(home: Path) -> None:
    (home / "settings").mkdir(exist_ok=True)
    (home / "settings" / "ab.json").write_text("{}")
    controls = [(1, "wb.settings", {"digest": "ab"}), (2, "wb.reload", {"digest": "x"})]
    assert evidence._in_force(home, controls) == {"settings/ab.json": b"{}"}
    with pytest.raises(LedgerError):
        evidence._in_force(home, [(1, "wb.rules", {"digest": "cd"})])


def test_no_such_case(home: Path, height: int) -> None:
    with pytest.raises(NotFoundError):
        load_report("evidence").parts(home, "c1", height)


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_go_checks_its_checkpoint_and_proofs(
    home: Path, parts: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    lines = {json.loads(line)["seq"]: line for line in parts["records.ndjson"].splitlines()}
    (tmp_path / "c.checkpoint").write_bytes(parts["checkpoint"])
    files: list[Any] = [tmp_path / "c.checkpoint"]
    for seq, line in lines.items():
        place = tmp_path / f"{seq}.tlog-proof"
        place.write_bytes(parts[f"proofs/{seq}.tlog-proof"])
        leaf = merkle.leaf_hash((parse_proof(place.read_bytes()).extra or b"") + line)
        (tmp_path / f"{place.name}.leaf").write_bytes(base64.b64encode(leaf))
        files.append(place)
    command = [built(tmp_path_factory.mktemp("go")), parts["log.key"].decode().strip(), *files]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.stdout == f"valid: {len(files)}\n", told.stderr

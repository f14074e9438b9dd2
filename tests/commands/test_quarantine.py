from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from watchbill.commands.quarantine import listed
from watchbill.ledger.frames import Frame, pack, pack_lines
from watchbill.ledger.journal import Journal
from watchbill.ledger.sealing import seal
from watchbill.records.batch import Quarantined
from watchbill.records.quarantine import to_ndjson
from watchbill.records.schema import SCHEMA
from watchbill.runners.outputs import refused

Run = Callable[..., Any]


def frame(number: int) -> Frame:
    row = {"source": "s", "id": str(number), "time": number, "arrival": number, "kind": "view", "account": "E"}
    lines = to_ndjson([Quarantined("s", f"f:{number}", "broken", "mend it", f"raw {number}")])
    return Frame(1, number, pack(pa.Table.from_pylist([row], schema=SCHEMA)), b"{}", pack_lines(lines))


@pytest.mark.parametrize("sealed", [0, 1, 3, 5])
def test_sealed_and_unsealed_lines_are_each_listed_once(tmp_path: Path, sealed: int) -> None:
    with Journal.open(tmp_path) as journal:
        for number in range(1, 6):
            journal.append(frame(number))
        journal.append(Frame(0, 6, b"", b"{}", frame(6).quarantined))
        journal.commit()
    if sealed:
        seal(tmp_path, upto=sealed, final=True)
    assert [entry.position for entry in refused(tmp_path)] == [f"f:{number}" for number in range(1, 7)]
    assert list(listed(tmp_path)[0]) == ["source", "position", "reason", "what to do", "raw"]


def test_list(run: Run, home: Path) -> None:
    rows = run("quarantine", "list", "--home", home, "--json").json
    assert [row["source"] for row in rows] == ["late", "late"]
    assert "not json" in {row["raw"].strip() for row in rows}
    assert "2 records in quarantine" in run("quarantine", "list", "--home", home).out


def test_retry_says_what_stays(run: Run, home: Path, tmp_path: Path) -> None:
    shutil.copytree(home, tmp_path / "home")
    said = run("quarantine", "retry", "--all", "--home", tmp_path / "home", "--json").json
    assert (said["taken"], len(said["remaining"])) == (0, 2)
    assert run("quarantine", "retry", "--home", tmp_path / "home").code == 2
    assert run("quarantine", "retry", "--position", "none", "--home", tmp_path / "home").code == 1


def test_retry_takes_what_a_mapping_now_fits(run: Run, home: Path, tmp_path: Path) -> None:
    shutil.copytree(home, tmp_path / "home")
    before = run("status", "--home", tmp_path / "home", "--json").json["height"]
    config = tmp_path / "w.toml"
    config.write_text("""
[sources.late]
paths = ["x"]
mapping = "SELECT 'view' AS kind, 'E77' AS account, 'D' AS device, 1741100000000 AS time FROM input WHERE line LIKE '%yesterday%'"
""")
    word = ("quarantine", "retry", "--home", tmp_path / "home", "--json", "--config", config)
    position = next(row["position"] for row in listed(tmp_path / "home") if "yesterday" in row["raw"])
    said = run(*word, "--position", position).json
    assert (said["taken"], said["remaining"]) == (1, [])
    assert len(listed(tmp_path / "home")) == 1
    assert len(listed(tmp_path / "home", everything=True)) == 2
    assert run("saw", "E77", "--home", tmp_path / "home", "--json").json["height"] == before + 1
    (tmp_path / "home" / "quarantine-retried.ndjson").unlink()  # a crash before it was noted
    again = run(*word, "--position", position).json
    assert (again["taken"], again["known"]) == (0, 1)

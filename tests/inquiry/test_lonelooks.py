"""Looks of devices that name no account: found in the ledger, whoever else used the device, and shown by the case and `exposure`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runners.test_engine import START, batch, engine, look
from watchbill.cases.case import Case
from watchbill.context.lone import DEVICE_MARK
from watchbill.inquiry.caseexposure import exposure
from watchbill.inquiry.lonelooks import explained_lone, lone_looks
from watchbill.ledger.reader import Ledger
from watchbill.ledger.sealing import seal
from watchbill.runners.casefiles import case_rows
from watchbill.runners.outputs import write_lines

if TYPE_CHECKING:
    from pathlib import Path

FULL = ["recipient.name", "recipient.phone", "recipient.address"]


@pytest.fixture(params=[False, True])
def home(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Scanner S1 looks for itself, with and without its own scan, at others' hands, and beside another scanner."""
    folder = tmp_path / "reference"
    folder.mkdir()
    (folder / "accounts.csv").write_text("account,role,outlet\na1,courier,O1\n")
    (folder / "outlets.csv").write_text("outlet,name\nO1,one\n")
    (folder / "devices.csv").write_text("device,outlet,kind,shared\nS1,O1,scanner,1\nS2,O1,scanner,1\n")
    one = engine(tmp_path / "home")
    one.reload(folder)
    scan = {
        "kind": "scan",
        "device": "S1",
        "waybill": "W1",
        "outlet": "O1",
        "status": "arrived",
        "id": "s1",
        "time": START,
    }
    one.take(batch(
        scan, look(1, account=None, device="S1", fields=FULL), look(2, account=None, device="S1", fields=FULL),
        look(3, account=None, device="S1", masked=True), look(4, account="a1", device="S1"),
        look(5, account=None, device="S2"), look(6, account=None, device="S1", subjects=["p6", "p7"]),
        look(60, account=None, device="S1"),
    ))  # fmt: skip
    one.checkpoint()
    one.close()
    if request.param:
        seal(tmp_path / "home", final=True)
    return tmp_path / "home"


def case() -> Case:
    return Case(
        id="c9", seq=3, opened=START + 2_000, updated=START + 6_000, account=f"{DEVICE_MARK}S1", kind="device", posterior=0.5,
        since=START, until=START + 6_000, records=2,
    )  # fmt: skip


def test_only_looks_of_that_device_without_an_account_count(home: Path) -> None:
    looks = lone_looks(Ledger(home), ["S1"], START, START + 10_000)
    assert looks.column("waybill").to_pylist() == ["W1", "W2", "W6"]
    assert lone_looks(Ledger(home), ["S3"], START, START + 10_000).num_rows == 0
    seqs = looks.column("seq").to_pylist()
    assert [seq in explained_lone(home).tolist() for seq in seqs] == [True, False, False]


def test_a_case_of_a_device_names_no_account_and_counts_what_it_showed(home: Path) -> None:
    (row,) = case_rows(home, [case()], [])
    assert (row["accounts"], row["devices"]) == ([], ["S1"])
    assert (row["persons"], row["items"], row["complete_records"]) == (3, 5, 1)
    (tenancy,) = row["tenancies"]
    assert (tenancy["account"], tenancy["device"], tenancy["records"]) == (None, "S1", 2)
    assert row["for_person"][0]["records"] == 1


def test_exposure_of_that_case_says_the_same(home: Path) -> None:
    write_lines(home / "cases.ndjson", case_rows(home, [case()], []))
    said = exposure(home, "c9")
    assert (said.saw.persons, said.saw.items, said.accounts) == (3, 5, [])
    assert said.sessions == {"listed": 2, "between": 0, "out": 1}
    assert exposure(home, "c9", all_sessions=True).saw.persons == 4


def test_cases_of_people_and_of_devices_stand_beside_each_other(home: Path) -> None:
    person = Case(
        id="c4", seq=4, opened=START + 4_000, updated=START + 4_000, account="a1", kind="owner", posterior=0.5, since=START,
        until=START + 9_000, records=1,
    )  # fmt: skip
    rows = case_rows(home, [person, case()], [])
    assert [(row["accounts"], row["devices"], row["persons"]) for row in rows] == [([], ["S1"], 3), (["a1"], [], 1)]

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from watchbill.lab.simulator.world import WorldReport

Run = Callable[..., Any]


@pytest.fixture(scope="session")
def rented(world: WorldReport) -> str:
    return str(world.attacks[0]["accounts"][0])


def case_id(run: Run, home: Path, account: str) -> str:
    return next(c["id"] for c in run("cases", "--home", home, "--json").json["cases"] if c["accounts"] == [account])


def test_operators_lists_sessions_with_the_renter_apart(run: Run, home: Path, rented: str) -> None:
    said = run("operators", rented, "--home", home, "--json").json
    assert list(said) == ["account", "height", "sessions"]
    low = [one for one in said["sessions"] if one["owner"] is not None and one["owner"] < 0.5]
    assert low
    assert {one["device"] for one in low}.isdisjoint(
        {one["device"] for one in said["sessions"]} - {one["device"] for one in low}
    )
    assert all(reason["text_zh"] and reason["text_en"] for one in said["sessions"] for reason in one["reasons"])
    told = run("operators", rented, "--home", home)
    assert "an estimate, never a proof" in told.out
    day = run("operators", rented, "--home", home, "--json", "--to", "2025-03-04").json
    assert 0 < len(day["sessions"]) < len(said["sessions"])
    assert run("operators", rented, "--home", home, "--json", "--at", "0").json["sessions"] == []


def test_exposure_of_a_case(run: Run, home: Path, rented: str) -> None:
    case = case_id(run, home, rented)
    said = run("exposure", case, "--home", home, "--json").json
    row = run("case", "show", case, "--home", home, "--json").json
    assert (said["persons"], said["items"], said["complete_records"]) == (
        row["persons"],
        row["items"],
        row["complete_records"],
    )
    assert said["lower"] == said["persons"] <= said["upper"]
    every = run("exposure", case, "--all-sessions", "--home", home, "--json").json
    assert every["complete"] is True
    assert every["persons"] >= said["persons"]
    assert len(said["hash"]) == 64
    told = run("exposure", case, "--home", home)
    assert said["hash"] in told.out
    assert "not exact" in told.out


def test_case_show_says_what_a_tenancy_fetched(run: Run, home: Path, rented: str) -> None:
    told = run("case", "show", case_id(run, home, rented), "--home", home)
    assert "yuan" in told.out
    assert "500" in told.out


def test_an_unknown_case_is_not_there(run: Run, home: Path) -> None:
    told = run("exposure", "c999999999", "--home", home)
    assert told.code == 1
    assert "watchbill cases" in told.err

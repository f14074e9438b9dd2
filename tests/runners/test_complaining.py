from __future__ import annotations

import time
from pathlib import Path

import pytest

from inquiry.leaks import ledger, look
from watchbill.runners import complaining
from watchbill.runners.complaining import Complaining


def until_it_ends(child: Complaining, now: float) -> str:
    said = ""
    for _ in range(600):
        said = child.turn(now, 1)
        if said or child._child is None:
            return said
        time.sleep(0.05)
    raise AssertionError("the child did not end")


def test_one_child_an_interval(tmp_path: Path) -> None:
    home = ledger(tmp_path, [look("E1", 1)])
    child = Complaining(home, 60, 100.0)
    assert child.turn(159.0, 1) == ""
    assert child._child is None
    child.turn(160.0, 1_750_000_000_000)
    assert child._child is not None
    assert until_it_ends(child, 161.0) == ""
    assert (home / "sightings").is_dir() or not (home / "segments").exists()
    assert child.turn(219.0, 1) == ""
    assert child._child is None


def test_what_goes_wrong_is_told_and_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = ledger(tmp_path, [look("E1", 1)])
    (home / "sightings").mkdir()
    (home / "sightings" / "runs.json").write_text("{")
    child = Complaining(home, 0, 0.0)
    child.turn(1.0, 1)
    assert "not whole" in until_it_ends(child, 0.5)
    monkeypatch.setattr(complaining.sys, "executable", str(tmp_path / "none"))
    assert "could not be looked at" in Complaining(home, 0, 0.0).turn(1.0, 1)

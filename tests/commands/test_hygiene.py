from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_findings_of_a_home(home: Path, run: Callable[..., Any]) -> None:
    said = run("hygiene", "--home", home, "--json").json
    assert said["height"] > 0
    assert said["now"] > 0
    kinds = {one["kind"]: one for one in said["findings"]}
    assert "no_roster" not in kinds
    assert all(one["count"] > 0 for one in said["findings"])
    assert "none accuses anybody" in run("hygiene", "--home", home).out


def test_without_a_ledger_it_says_what_to_do(run: Callable[..., Any], tmp_path: Path) -> None:
    told = run("hygiene", "--home", tmp_path / "none")
    assert told.code == 2
    assert "no ledger" in told.err

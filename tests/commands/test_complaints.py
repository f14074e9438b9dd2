from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from inquiry.leaks import ledger
from inquiry.test_complaints import carrier

Run = Callable[..., Any]


def test_the_account_that_complaints_point_at(tmp_path: Path, run: Run) -> None:
    home = ledger(tmp_path, carrier([1_000 + n * 30 for n in range(8)]))
    said = run("complaints", "--home", home, "--json").json
    assert (said["fresh"], said["complaints"], said["outcome"]) == (["account E1"], 8, "named")
    told = run("complaints", "--home", home)
    assert told.code == 0
    assert "finding: account E1" in told.out
    assert [row["who"] for row in run("complaints", "--past", "--home", home, "--json").json["findings"]] == [
        "account E1"
    ]
    assert "account E1" in run("complaints", "--past", "--home", home).out
    assert run("complaints", "--to", "2020-01-01", "--days", 3, "--home", home, "--json").json["complaints"] == 0
    assert run("complaints", "--home", tmp_path / "none").code == 2

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commands.incidents import CASE, home_and_settings
from watchbill.commands.clocks import clocks_said
from watchbill.notices.clocks import HOUR_MS
from watchbill.notices.settings import ReportSettings

Run = Callable[..., Any]


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path]:
    return home_and_settings(tmp_path)


def test_a_probable_case_that_nobody_graded_is_overdue(run: Run, made: tuple[Path, Path]) -> None:
    home, config = made
    said = run("clocks", "--home", home, "--config", config, "--json").json
    assert {one["duty"] for one in said["clocks"]} == {
        "grading",
        "pipl57_authority",
        "pipl57_persons",
        "postal",
        "cac/first",
    }
    assert all(one["provisional"] for one in said["clocks"] if one["duty"] != "grading")
    assert {one["owner"] for one in said["clocks"]} == {"legal"}
    assert "5 clocks, 5 overdue" in run("clocks", "--home", home, "--config", config).out
    assert run("clocks", "--home", home, "--check").code == 1
    assert run("clocks", "--home", home).code == 0
    assert "NOBODY" in run("clocks", "--home", home).out


def test_grading_is_recorded_and_starts_clocks(run: Run, tmp_path: Path) -> None:
    home, config = home_and_settings(tmp_path, posterior=0.4)
    assert run("clocks", "--home", home, "--config", config, "--json").json["clocks"] == []
    row = run("grade", CASE, "--level", "larger", "--by", "r1", "--home", home, "--json").json
    assert (row["level"], row["by"], row["aware"]) == ("larger", "r1", row["time"])
    said = clocks_said(home, ReportSettings(), row["time"] + HOUR_MS)
    first = next(one for one in said["clocks"] if one["duty"] == "cac/first")
    assert (first["left_ms"], first["state"], first["provisional"]) == (3 * HOUR_MS, "running", False)
    earlier = run("grade", CASE, "--level", "larger", "--by", "r1", "--aware", "2025-03-08", "--home", home).out
    assert "known since 2025-03-08" in earlier
    for wrong in (
        ("--level", "huge"),
        ("--level", "larger", "--aware", "2099-01-01"),
        ("--level", "major", "--note", "x" * 501),
    ):
        assert run("grade", CASE, *wrong, "--by", "r1", "--home", home).code == 2
    assert run("grade", "c1", "--level", "larger", "--by", "r1", "--home", home).code == 1


def test_findings_in_shadow_wait_until_reviewed(run: Run, made: tuple[Path, Path]) -> None:
    home, config = made
    rows = [{"rule": "r [b]", "time": 5, "mode": "shadow"}, {"rule": "acts", "time": 5, "mode": "act"}]
    (home / "findings.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (home / "shadow.ndjson").write_text(json.dumps({"by": "steps", "time": 9}) + "\n")
    where = ("--home", home, "--config", config)
    said = run("clocks", *where, "--json").json["shadow"]
    assert [(one["name"], one["hits"], one["owner"], one["state"]) for one in said] == [
        ("r [b]", 1, "legal", "overdue"), ("steps", 1, "legal", "overdue")
    ]  # fmt: skip
    assert "r [b]" in run("clocks", *where).out
    assert run("reviewed", "r [b]", "--by", "r1", "--home", home).code == 0
    assert [one["name"] for one in run("clocks", *where, "--json").json["shadow"]] == ["steps"]

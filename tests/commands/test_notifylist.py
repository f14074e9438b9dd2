from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from commands.incidents import CASE, home_and_settings
from watchbill.notices.record import read_record

Run = Callable[..., Any]


def test_a_list_is_taken_then_told(run: Run, tmp_path: Path) -> None:
    home, _ = home_and_settings(tmp_path)
    out = tmp_path / "list.csv"
    said = run("notify-list", CASE, "--out", out, "--by", "r1", "--home", home, "--json").json
    assert said["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert (said["persons"], said["complete"]) == (80, False)
    assert (
        "not exact: at least 80"
        in run("notify-list", CASE, "--out", tmp_path / "b.ndjson", "--by", "r1", "--home", home).out
    )
    assert (
        "80 persons were told by sms" in run("told", CASE, "--list", said["sha256"], "--by", "r1", "--home", home).out
    )
    assert [row["kind"] for row in read_record(home)] == ["list", "list", "told"]


def test_wrong_words(run: Run, tmp_path: Path) -> None:
    home, _ = home_and_settings(tmp_path)
    assert run("notify-list", CASE, "--out", tmp_path / "a.xls", "--by", "r1", "--home", home).code == 2
    assert (
        run("notify-list", CASE, "--out", tmp_path / "a.csv", "--channel", "pigeon", "--by", "r", "--home", home).code
        == 2
    )
    assert run("notify-list", "c1", "--out", tmp_path / "a.csv", "--by", "r1", "--home", home).code == 1
    assert run("told", CASE, "--list", "0" * 64, "--by", "r1", "--home", home).code == 1
    assert run("not-told", CASE, "--reason", "no", "--by", "r1", "--home", home).code == 2
    assert run("not-told", "c1", "--reason", "encrypted all along", "--by", "r1", "--home", home).code == 1
    assert not (tmp_path / "a.csv").exists()
    assert read_record(home) == []

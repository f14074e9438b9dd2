from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from watchbill.lab.simulator.world import WorldReport

Run = Callable[..., Any]


@pytest.fixture(scope="session")
def rented(world: WorldReport) -> str:
    return str(world.attacks[0]["accounts"][0])


def test_saw_says_what_the_contract_says(run: Run, home: Path, rented: str) -> None:
    said = run("saw", rented, "--home", home, "--json").json
    names = [
        "account",
        "height",
        "persons",
        "items",
        "times",
        "complete_records",
        "complete",
        "lower",
        "upper",
        "gaps",
        "subjects",
    ]
    assert list(said) == names
    assert list(said["subjects"][0]) == ["subject", "fields", "first", "last", "times"]
    assert said["persons"] == len(said["subjects"]) > 100
    assert said["complete"] is True
    told = run("saw", rented, "--home", home)
    assert f"{said['persons']:,} persons" in told.out
    assert "exact at height" in told.out


def test_saw_in_a_span_and_at_a_height(run: Run, home: Path, rented: str) -> None:
    whole = run("saw", rented, "--home", home, "--json").json
    day = run("saw", rented, "--home", home, "--json", "--from", "2025-03-03", "--to", "2025-03-04").json
    assert 0 < day["persons"] < whole["persons"]
    half = run("saw", rented, "--home", home, "--json", "--height", whole["height"] // 2).json
    assert half["height"] == whole["height"] // 2
    assert half["times"] < whole["times"]


def test_who_saw_agrees_with_saw(run: Run, home: Path, rented: str) -> None:
    subject = run("saw", rented, "--home", home, "--json").json["subjects"][-1]
    said = run("who-saw", subject["subject"], "--home", home, "--json").json
    assert list(said) == ["subject", "height", "complete", "gaps", "accounts"]
    mine = next(one for one in said["accounts"] if one["account"] == rented)
    assert {name: mine[name] for name in ("fields", "first", "last", "times")} == {
        k: subject[k] for k in ("fields", "first", "last", "times")
    }
    assert mine["explained"] in {True, False}
    assert rented in run("who-saw", subject["subject"], "--home", home).out


def test_verify_exits_1_when_a_byte_changed(run: Run, home: Path, tmp_path: Path) -> None:
    said = run("verify", "--home", home, "--json")
    assert said.code == 0
    assert said.json["ok"]
    assert {"height", "root", "checkpoint", "ok", "first_bad"} <= set(said.json)
    copy = tmp_path / "copy"
    shutil.copytree(home, copy)
    segment = next(iter((copy / "segments").rglob("*.parquet")))
    raw = bytearray(segment.read_bytes())
    raw[len(raw) // 2] ^= 1
    segment.write_bytes(raw)
    broken = run("verify", "--home", copy, "--json")
    assert broken.code == 1
    assert broken.json["ok"] is False
    assert broken.json["first_bad"] is not None
    assert "NOT WHOLE" in run("verify", "--home", copy).out


def test_status(run: Run, home: Path) -> None:
    said = run("status", "--home", home, "--json").json
    assert said["height"] == said["status_height"] > 0
    assert set(said["sources"]) == {"files", "late"}
    told = run("status", "--home", home).out
    assert "Detectors" in told
    assert "roles not judged by reasons" in told


def test_cases_and_one_case(run: Run, home: Path, rented: str) -> None:
    said = run("cases", "--home", home, "--json").json
    mine = next(case for case in said["cases"] if case["accounts"] == [rented])
    assert said["cases"] == sorted(said["cases"], key=lambda case: (-case["posterior"], case["seq"]))
    assert run("cases", "--home", home, "--json", "--kind", "none-such").json["cases"] == []
    assert rented in run("cases", "--home", home).out
    one = run("case", "show", mine["id"], "--home", home, "--json").json
    assert one == {"height": said["height"], **mine}
    told = run("case", "show", mine["id"], "--home", home).out
    assert "evidence, not a judgement" in told


def test_what_is_not_there_is_one_line_and_exit_1(run: Run, home: Path) -> None:
    for words in (("saw", "nobody"), ("case", "show", "c-1")):
        told = run(*words, "--home", home)
        assert (told.code, told.out) == (1, "")
        assert len(told.err.splitlines()) == 1
        assert "nobody" not in told.err


def test_what_is_wrong_is_one_line_and_exit_2(run: Run, home: Path, tmp_path: Path) -> None:
    for words in (
        ("verify", "--home", tmp_path),
        ("saw", "E1", "--from", "yesterday", "--home", home),
        ("saw", "E1", "--height", 10**9, "--home", home),
    ):
        told = run(*words)
        assert (told.code, told.out) == (2, "")
        assert len(told.err.splitlines()) == 1


def test_the_home_comes_from_the_environment(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHBILL_HOME", str(home))
    assert json.loads(run("status", "--json").out)["height"] > 0

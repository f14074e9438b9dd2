from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from watchbill.core.settings import InquirySettings, Settings
from watchbill.lab.simulator.world import WorldReport
from watchbill.runners.local import replay
from watchbill.sources.base import open_source

Run = Callable[..., Any]


@pytest.fixture
def copy(home: Path, tmp_path: Path) -> Path:
    """The home, free to be changed."""
    return Path(shutil.copytree(home, tmp_path / "home"))


def test_made_placed_listed_and_retired(copy: Path, tmp_path: Path, run: Run) -> None:
    made = run("canary", "make", 3, "--home", copy, "--json").json["canaries"]
    assert [one["kind"] for one in made] == ["waybill"] * 3
    assert run("canary", "make", 2, "--kind", "subject", "--home", copy).code == 0
    folder = tmp_path / "reference"
    folder.mkdir()
    assert (
        len(run("canary", "place", "--reference", folder, "--note", "hub", "--home", copy, "--json").json["canaries"])
        == 5
    )
    text = (folder / "canaries.csv").read_text(encoding="utf-8")
    assert all(one["value"] in text for one in made)
    listed = run("canary", "list", "--home", copy, "--json").json["canaries"]
    assert {one["note"] for one in listed} == {"hub"}
    assert run("canary", "rotate", "--reference", folder, "--days", 30, "--home", copy, "--json").json["canaries"] == []
    assert run("canary", "retire", made[0]["value"], "--reference", folder, "--home", copy).code == 0
    assert made[0]["value"] not in (folder / "canaries.csv").read_text(encoding="utf-8")
    assert "5 canaries" in run("canary", "list", "--home", copy).out


def test_a_look_at_a_placed_canary_alarms(world: WorldReport, copy: Path, tmp_path: Path, run: Run) -> None:
    """Made from one home, placed in the folder that the engine reads, looked at: a case of kind canary."""
    folder = tmp_path / "reference"
    shutil.copytree(world.out / "reference", folder)
    value = run("canary", "make", 1, "--home", copy, "--json").json["canaries"][0]["value"]
    run("canary", "place", "--reference", folder, "--home", copy)
    account = (folder / "accounts.csv").read_text(encoding="utf-8").splitlines()[1].split(",")[0]
    late = 1_741_104_000_000
    looked = tmp_path / "look.ndjson"
    looked.write_text(
        f'{{"id":"x1","time":{late},"kind":"search","account":"{account}","device":"D1","waybill":"{value}","fields":["recipient.phone"],"results":1}}\n'
    )
    sources = [
        open_source("records", {"paths": [str(world.out / "records")]}),
        open_source("late", {"paths": [str(looked)]}),
    ]
    replay(sources, tmp_path / "h2", tmp_path / "o2", Settings(), reference=folder)
    cases = (tmp_path / "o2" / "cases.ndjson").read_text(encoding="utf-8")
    assert any(account in line and "canary" in line for line in cases.splitlines())


def test_marks_need_the_setting(world: WorldReport, home: Path, tmp_path: Path, run: Run) -> None:
    told = run("canary", "mark", "E1", "C1", "--home", home)
    assert told.code == 2
    assert "mark_digits" in told.err
    settings = Settings(inquiry=InquirySettings(mark_digits=5))
    replay([open_source("records", {"paths": [str(world.files[0])]})], tmp_path / "h", tmp_path / "o", settings)
    said = run("canary", "mark", "E1", "C1", "--home", tmp_path / "h", "--json").json
    assert len(said["mark"]) == 5
    assert run("canary", "mark", "E1", "C1", "--home", tmp_path / "h").out.strip() == said["mark"]


def test_given_values_and_what_is_wrong(copy: Path, tmp_path: Path, run: Run) -> None:
    given = tmp_path / "given.txt"
    given.write_text("13900000001\n13900000002\n", encoding="utf-8")
    said = run("canary", "make", "--kind", "subject", "--given", given, "--home", copy, "--json").json["canaries"]
    assert [one["value"] for one in said] == ["13900000001", "13900000002"]
    given.write_bytes(b"\xff\xfe\x00")
    assert run("canary", "make", "--given", given, "--home", copy).code == 2
    assert run("canary", "make", "--given", tmp_path / "none", "--home", copy).code == 2
    assert run("canary", "make", 0, "--home", copy).code == 2
    assert run("canary", "retire", "X", "--reference", tmp_path, "--home", copy).code == 1

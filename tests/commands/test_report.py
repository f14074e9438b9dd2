from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commands.incidents import CASE, home_and_settings
from watchbill.commands.report import lang_of, profile_of
from watchbill.core.errors import NotFoundError, SettingsError
from watchbill.reports.base import profiles

Run = Callable[..., Any]
REPORT = "pipl57_authority"


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path]:
    return home_and_settings(tmp_path)


def test_list(run: Run) -> None:
    assert [one["id"] for one in run("report", "list", "--json").json] == sorted(profiles())
    assert "pipl57_authority" in run("report", "list").out
    fields = run("report", "list", REPORT, "--json").json["fields"]
    assert {one["article"] for one in fields} >= {"PIPL 57(1)", "PIPL 57(2)", "PIPL 57(3)"}
    assert "PIPL 57(2)" in run("report", "list", REPORT).out
    assert run("report", "list", "nothing").code == 1


def test_from_draft_to_final(run: Run, made: tuple[Path, Path], tmp_path: Path) -> None:
    home, config = made
    where = ("--home", home, "--config", config)
    missing = run("report", "missing", CASE, REPORT, *where, "--json").json["missing"]
    assert [one["field"] for one in missing] == ["likely_harm", "person_measures", "persons_told"]
    refused = run("report", "final", CASE, REPORT, "--by", "r2", *where)
    assert refused.code == 2
    assert "3 fields are missing: likely_harm, person_measures, persons_told" in refused.err
    for name in ("likely_harm", "person_measures"):
        assert run("report", "set", CASE, "all", name, "词 words", "--by", "r1", "--home", home).code == 0
    reason = "the device was seized before anything left it"
    assert run("not-told", CASE, "--reason", reason, "--by", "r1", "--home", home).code == 0
    assert "nothing is missing" in run("report", "missing", CASE, REPORT, *where).out
    row = run("report", "final", CASE, REPORT, "--by", "r2", *where, "--json").json
    for name, digest in row["files"].items():
        assert hashlib.sha256((home / "reports" / row["folder"] / name).read_bytes()).hexdigest() == digest
    shown = run("report", "show", CASE, *where, "--json").json
    (state,) = [one for one in shown["reports"] if one["report"] == REPORT]
    assert (state["final"], state["missing"]) == (1, [])
    assert [one["kind"] for one in shown["record"]] == ["set", "set", "not_told", "final"]
    assert shown["meter"]["tier"]["duty"] == ["none", "none"]
    assert "counsel decides" in run("report", "show", CASE, REPORT, *where).out


def test_drafts_are_the_same_bytes_each_time(run: Run, made: tuple[Path, Path], tmp_path: Path) -> None:
    home, config = made
    where = ("--home", home, "--config", config, "--json")
    for form in ("html", "json", "pdf"):
        words = ("report", "draft", CASE, REPORT, "--lang", "en", "--format", form)
        config.write_text(
            config.read_text(encoding="utf-8").replace("示例快递", "X").replace("省网信办", "Y"), encoding="utf-8"
        )
        one, two = (run(*words, "--out", tmp_path / f"{n}.{form}", *where).json for n in "ab")
        assert one["sha256"] == two["sha256"] == hashlib.sha256((tmp_path / f"b.{form}").read_bytes()).hexdigest()
        assert one["missing"] == ["likely_harm", "person_measures", "persons_told"]
    said = json.loads((tmp_path / "a.json").read_text())
    assert not said["final"]
    assert "fields are missing" in run(*words, "--out", tmp_path / "c.pdf", "--home", home, "--config", config).out


def test_wrong_words_are_told_and_repeat_nothing(run: Run, made: tuple[Path, Path]) -> None:
    home, _ = made
    at = ("--by", "r1", "--home", home)
    refused = run("report", "set", CASE, "all", "likely_harm", "she is 13812345678", *at)
    assert refused.code == 2
    assert "13812345678" not in refused.err
    assert run("report", "set", CASE, "all", "no_field", "x", *at).code == 1
    assert run("report", "set", "c1", "all", "likely_harm", "x", *at).code == 1
    assert run("report", "set", CASE, "postal", "police_told", "perhaps", *at).code == 2
    assert run("report", "set", CASE, "all", "likely_harm", "x", "--by", " ", "--home", home).code == 2
    assert run("report", "draft", CASE, REPORT, "--format", "docx", "--home", home).code == 2
    assert run("report", "draft", CASE, REPORT, "--stage", "first", "--home", home).code == 1
    assert not (home / "reports").exists()
    with pytest.raises(SettingsError):
        lang_of("fr")
    with pytest.raises(NotFoundError):
        profile_of("nothing")


def test_documents_of_the_firm(run: Run, made: tuple[Path, Path], tmp_path: Path) -> None:
    home, config = made
    out = tmp_path / "n.html"
    assert run("report", "draft", "firm", "staff_notice", "--out", out, "--home", home, "--config", config).code == 0
    assert "员工告知书" in out.read_text(encoding="utf-8")
    assert run("report", "set", "firm", "all", "retention", "three years", "--by", "r1", "--home", home).code == 0
    states = run("report", "show", "firm", "--home", home, "--json").json["reports"]
    assert {one["report"] for one in states} == {"dpia", "staff_notice", "consultation"}


def test_control(run: Run, made: tuple[Path, Path]) -> None:
    home, _ = made
    said = run("report", "control", "--home", home, "--json").json
    assert said["enforcing"] + said["shadow"] + said["blind"] + said["replayed"] == pytest.approx(
        said["hours"], abs=0.05
    )
    assert said["unread"] == 1
    assert "1 cases opened, 1 unread" in run("report", "control", "--home", home).out

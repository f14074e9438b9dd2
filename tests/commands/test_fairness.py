"""What a person is owed, from the command line: told, heard by somebody else, set right, explained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runners.judged import opened
from watchbill.runners.local import keep_current

Run = Callable[..., Any]


@pytest.fixture
def case(tmp_path: Path) -> tuple[str, Path]:
    made = opened(tmp_path / "home")
    (name,) = made.pipeline.book.cases
    made.checkpoint()
    keep_current(made)
    made.close()
    return name, tmp_path / "home"


def test_the_notice_is_shown_then_told_and_recorded(run: Run, case: tuple[str, Path]) -> None:
    name, home = case
    text = run("case", "tell", name, "--show", "--home", home, "--json").json
    assert "工号 a1" in text["zh"]
    assert "planted" not in text["en"]
    assert len(run("cases", "--untold", "--home", home, "--json").json["cases"]) == 1
    assert "a1: not told yet" in run("case", "show", name, "--home", home).out
    assert "How to appeal" in run("case", "tell", name, "--by", "r1", "--channel", "talk", "--home", home).out.replace(
        "To appeal", "How to appeal"
    )
    assert run("cases", "--untold", "--home", home, "--json").json["cases"] == []
    told = next(
        one for one in run("case", "history", name, "--home", home, "--json").json["history"] if one["what"] == "told"
    )
    assert (told["by"], told["to"], told["channel"], told["text_zh"]) == ("r1", "person", "talk", text["zh"])


def test_a_delay_is_recorded_and_needs_its_role(run: Run, case: tuple[str, Path]) -> None:
    name, home = case
    words = (
        "case",
        "tell",
        name,
        "--by",
        "r1",
        "--delay",
        "--reason",
        "police asked",
        "--until",
        _in_days(3),
        "--home",
        home,
    )
    assert "security_lead" in run(*words, "--role", "boss").err
    assert run(*words, "--role", "legal_lead").code == 0
    assert run("cases", "--untold", "--home", home, "--json").json["cases"] == []
    assert "a1: delayed until" in run("case", "show", name, "--home", home).out
    assert "within 30 days" in run(*words[:-3], _in_days(40), *words[-2:], "--role", "legal_lead").err
    assert run("case", "tell", name, "--home", home).code == 2  # nobody says who tells


def test_an_appeal_goes_to_somebody_else_and_sets_it_right(run: Run, case: tuple[str, Path]) -> None:
    name, home = case
    run("case", "tell", name, "--by", "r1", "--home", home)
    run("verdict", name, "confirmed", "--reason", "owner", "--by", "r1", "--home", home)
    refused = run("case", "appeal", name, "--by", "staff", "--to", "r1", "--home", home)
    assert (refused.code, "somebody else" in refused.err) == (2, True)
    assert "appeal opened" in run("case", "appeal", name, "--by", "staff", "--to", "r2", "--home", home).out
    assert "appeal open, with r2" in run("case", "show", name, "--home", home).out
    assert run("case", "appeal", "decide", name, "--uphold", "--by", "r1", "--home", home).code == 2
    assert run("case", "appeal", "decide", name, "--uphold", "--by", "r2", "--home", home, "--json").json["in_force"]
    said = run("case", "show", name, "--home", home, "--json").json
    (person,) = said["people"]
    assert (said["status"], person["step"], person["appeals"][0]["outcome"]) == ("dismissed", "none", "upheld")
    assert [(one["to"], one["why"]) for one in person["corrections"]] == [("person", "wrong")]
    assert "somebody who was told is told that it was wrong" in run("case", "explain", name, "--home", home).out


@pytest.mark.parametrize(
    "words",
    [
        ("decide", "CASE"),
        ("CASE", "--uphold"),
        ("decide", "CASE", "--uphold", "--reject"),
        ("close", "CASE"),
        ("decide", "CASE", "--reject"),
    ],
)
def test_half_an_appeal_is_refused(run: Run, case: tuple[str, Path], words: tuple[str, ...]) -> None:
    name, home = case
    run("case", "appeal", name, "--by", "staff", "--home", home)
    told = run("case", "appeal", *(name if word == "CASE" else word for word in words), "--by", "r9", "--home", home)
    assert told.code == 2
    assert len(told.err.strip().splitlines()) == 1


def test_the_explanation_is_written_once_and_whole(run: Run, case: tuple[str, Path], tmp_path: Path) -> None:
    name, home = case
    run("case", "review", name, "--by", "r1", "--home", home)
    run("verdict", name, "confirmed", "--reason", "owner", "--by", "r1", "--note", "internal words", "--home", home)
    out = tmp_path / "explained.json"
    words = ("case", "explain", name, "--account", "a1", "--out", out, "--home", home)
    assert str(out) in run(*words).out.replace("\n", "")
    said = json.loads(out.read_text(encoding="utf-8"))
    assert said == run("case", "explain", name, "--home", home, "--json").json
    assert [one["what"] for one in said["happened"] if one["what"] != "step"] == ["opened", "review", "confirmed"]
    assert any(one["what"] == "step" and one["to"] == "suspend" for one in said["happened"])
    assert said["who_looked"] == ["r1"]
    assert "internal words" not in out.read_text(encoding="utf-8")
    assert run(*words).code == 2  # never over another
    assert "a person confirmed misuse" in run("case", "explain", name, "--home", home).out
    assert run("case", "explain", name, "--account", "a9", "--home", home).code == 1


def _in_days(days: int) -> str:
    from watchbill.runners.clock import SystemClock

    return str(SystemClock().now_ms() + days * 86_400_000 - 60_000)

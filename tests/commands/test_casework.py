"""Working on a case from the command line: each act is in force at once, what is illegal is one line, and all of it is history."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import postgres
from runners.judged import opened
from runners.test_engine import START, batch, look
from watchbill.runners.local import keep_current

Run = Callable[..., Any]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two open cases: of a1, and of a2."""
    made = opened(tmp_path / "home")
    made.take(batch(*(look(10 + n, account="a2", waybill=trap) for n, trap in enumerate(("TRAP1", "TRAP2")))))
    made.checkpoint()
    keep_current(made, START + 20_000)
    made.close()
    return tmp_path / "home"


def ids(run: Run, home: Path) -> list[str]:
    return sorted(
        (row["id"] for row in run("cases", "--home", home, "--json").json["cases"]), key=lambda name: int(name[1:])
    )


def shown(run: Run, home: Path, case: str) -> dict[str, Any]:
    return dict(run("case", "show", case, "--home", home, "--json").json)


def test_a_case_from_review_to_archive(run: Run, home: Path) -> None:
    one, _ = ids(run, home)
    assert run("case", "review", one, "--by", "r1", "--home", home, "--json").json["in_force"]
    said = shown(run, home, one)
    assert (said["status"], said["assigned"], said["due"]) == ("in_review", "r1", None)
    assert said["first_look_ms"] > 0
    assert [row["id"] for row in run("cases", "--assigned", "r1", "--home", home, "--json").json["cases"]] == [one]
    assert "in force" in run("case", "note", one, "seen", "--by", "r1", "--home", home).out
    run("case", "due", one, "--at", "2999-01-01", "--by", "r1", "--home", home)
    assert "due 2999-01-01" in run("case", "show", one, "--home", home).out
    run("case", "release", one, "--by", "r1", "--home", home)
    run("case", "assign", one, "--to", "r2", "--by", "r1", "--home", home)
    run("case", "archive", one, "--by", "r2", "--note", "nothing yet", "--home", home)
    assert shown(run, home, one)["status"] == "archived"
    run("case", "reopen", one, "--by", "r2", "--home", home)
    assert shown(run, home, one)["status"] == "open"
    rows = run("case", "history", one, "--home", home, "--json").json["history"]
    assert [(row["what"], row["by"]) for row in rows if row["what"] not in {"step", "opened"}] == [
        ("review", "r1"), ("note", "r1"), ("due", "r1"), ("release", "r1"), ("assign", "r1"), ("archive", "r2"), ("reopen", "r2"),
    ]  # fmt: skip
    assert "nothing yet" in run("case", "history", one, "--home", home).out


def test_two_merged_are_listed_shown_and_exposed_as_one_and_parted_again(run: Run, home: Path) -> None:
    one, two = ids(run, home)
    alone = {case: run("exposure", case, "--home", home, "--json").json for case in (one, two)}
    before = {case: shown(run, home, case) for case in (one, two)}
    run("case", "merge", one, two, "--by", "r1", "--home", home)
    assert ids(run, home) == [one]
    said = shown(run, home, one)
    assert (said["accounts"], said["kind"], said["merged"]) == (["a1", "a2"], "ring", [two])
    assert {row["account"] for row in said["tenancies"]} == {"a1", "a2"}
    assert said["persons"] <= sum(row["persons"] for row in before.values())
    both = run("exposure", one, "--home", home, "--json").json
    names = {subject["subject"] for answer in alone.values() for subject in answer["subjects"]}
    assert {subject["subject"] for subject in both["subjects"]} == names
    assert said["persons"] == both["persons"] == len(names)
    assert run("operators", "a2", "--home", home, "--json").json["sessions"]
    assert run("verdict", two, "confirmed", "--reason", "ring", "--by", "r1", "--home", home).code == 0
    assert shown(run, home, one)["status"] == "confirmed"
    run("case", "split", one, "--account", "a2", "--by", "r1", "--home", home)
    assert ids(run, home) == [one, two]
    assert shown(run, home, two)["accounts"] == ["a2"]


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("review", "c404", "--by", "r"), 1, "no such case"),
        (("reopen", "CASE", "--by", "r"), 2, "takes no reopen"),
        (("review", "CASE", "--by", " "), 2, "by"),
        (("split", "CASE", "--account", "a1", "--by", "r"), 2, "one account alone"),
        (("due", "CASE", "--at", "2001-01-01", "--by", "r"), 2, "past"),
        (("due", "CASE", "--at", "soon", "--by", "r"), 2, "not a time"),
        (("note", "CASE", "", "--by", "r"), 2, "text"),
        (("history", "c404"), 1, "no such case"),
    ],
)
def test_what_is_illegal_is_one_line_and_changes_nothing(
    run: Run, home: Path, words: tuple[str, ...], code: int, why: str
) -> None:
    one, _ = ids(run, home)
    run("verdict", "c404", "lifted", "--by", "r", "--home", home)  # renews the lists: a step of long ago is over
    before = shown(run, home, one)
    told = run("case", *(one if word == "CASE" else word for word in words), "--home", home)
    assert told.code == code
    assert len(told.err.strip().splitlines()) == 1
    assert why in told.err
    assert shown(run, home, one) == before
    assert not list((home / "inbox").glob("*")) if (home / "inbox").exists() else True


def test_overdue_and_untold_are_listed(run: Run, home: Path) -> None:
    # the records are of long ago, the clock is today's
    one, two = ids(run, home)
    assert [row["id"] for row in run("cases", "--overdue", "--home", home, "--json").json["cases"]] != []
    assert "first look overdue" in run("cases", "--home", home).out.replace("\n", " ")
    untold = run("cases", "--untold", "--home", home, "--json").json["cases"]
    assert sorted(row["id"] for row in untold) == sorted([one, two])
    for case in (one, two):
        run("case", "review", case, "--by", "r1", "--home", home)
    assert run("cases", "--overdue", "--home", home, "--json").json["cases"] == []
    said = run("status", "--home", home, "--json").json["desk"]
    assert (said["statuses"], said["overdue"], said["untold"]) == ({"in_review": 2}, 0, 2)
    assert said["first_look_ms_median"] > 0
    assert "2 in_review" in run("status", "--home", home).out


def test_a_rebuild_gives_the_same_history(run: Run, home: Path, tmp_path: Path) -> None:
    one, _ = ids(run, home)
    run("case", "note", one, "seen", "--by", "r1", "--home", home)
    before = run("case", "history", one, "--home", home, "--json").json
    (home / "cases.sqlite").unlink()
    assert "rebuild" in run("case", "history", one, "--home", home).err
    said = run("cases", "rebuild", "--home", home, "--json").json
    assert said["rows"] >= len(before["history"])
    assert run("case", "history", one, "--home", home, "--json").json == before
    assert "rows written" in run("cases", "rebuild", "--home", home).out


def test_a_home_with_postgresql(run: Run, home: Path, tmp_path: Path) -> None:
    if why := postgres.why_not():
        pytest.skip(why)
    one, _ = ids(run, home)
    config = tmp_path / "run.toml"
    config.write_text(f'home = "home"\n[cases]\nurl = "{postgres.database()}"\n')
    run("cases", "rebuild", "--config", config, "--home", home)
    (home / "cases.sqlite").unlink()
    assert "another database" in run("case", "history", one, "--home", home).err
    assert "another database" in run("cases", "rebuild", "--home", home).err
    rows = run("case", "history", one, "--config", config, "--home", home, "--json").json["history"]
    assert rows[0]["what"] == "opened"
    config.write_text('home = "home"\n[cases]\nurl = "mysql://x"\n')
    assert "[cases] url" in run("cases", "rebuild", "--config", config, "--home", home).err
    config.write_text('home = "home"\n[cases]\nurls = "x"\n')
    assert "takes url" in run("cases", "rebuild", "--config", config, "--home", home).err

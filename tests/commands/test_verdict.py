"""`watchbill verdict` on a home: in force at once, seen in cases and in what is said of each detector; wrong words are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runners.judged import opened

Run = Callable[..., Any]


@pytest.fixture
def judged(tmp_path: Path) -> tuple[Path, str]:
    made = opened(tmp_path / "home")
    (case,) = made.pipeline.book.cases
    made.checkpoint()
    made.close()
    return tmp_path / "home", case


def test_dismissed_is_in_force_and_counts_against_the_detector(run: Run, judged: tuple[Path, str]) -> None:
    home, case = judged
    said = run("verdict", case, "dismissed", "--reason", "test", "--by", "r7", "--home", home, "--json").json
    assert said["in_force"]
    (row,) = run("cases", "--home", home, "--json").json["cases"]
    assert row["status"] == "dismissed"
    canary = next(one for one in run("detectors", "--home", home, "--json").json if one["id"] == "canary")
    assert (canary["cases"], canary["confirmed"], canary["dismissed"], canary["reasons"]) == (1, 0, 1, {"test": 1})
    assert "spoke in 1 cases, 0 confirmed, 1 dismissed (test 1), 0% right" in run("detectors", "--home", home).out


def test_confirmed_then_lifted(run: Run, judged: tuple[Path, str]) -> None:
    home, case = judged
    words = ("verdict", case, "confirmed", "--reason", "owner", "--by", "r7", "--note", "he said so", "--home", home)
    assert "in force" in run(*words).out
    assert "r7 said confirmed, owner: he said so" in run("case", "show", case, "--home", home).out
    assert run("cases", "--home", home, "--json").json["cases"][0]["status"] == "confirmed"
    assert run("verdict", case, "lifted", "--by", "r7", "--home", home).code == 0
    assert run("cases", "--home", home, "--json").json["cases"][0]["status"] == "closed"


def test_an_account_may_be_named(run: Run, judged: tuple[Path, str]) -> None:
    home, _ = judged
    assert (
        run("verdict", "a2", "confirmed", "--account", "--reason", "hijacked", "--by", "r7", "--home", home).code == 0
    )
    assert {row["status"] for row in run("cases", "--home", home, "--json").json["cases"]} == {"open", "confirmed"}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("c404", "dismissed", "--reason", "test", "--by", "r7"), 1),
        (("CASE", "dismissed", "--reason", "leased", "--by", "r7"), 2),
        (("CASE", "guilty", "--reason", "leased", "--by", "r7"), 2),
        (("CASE", "confirmed", "--by", "r7"), 2),
        (("CASE", "dismissed", "--reason", "test", "--by", " "), 2),
    ],
)
def test_wrong_words_change_nothing(run: Run, judged: tuple[Path, str], words: tuple[str, ...], code: int) -> None:
    home, case = judged
    told = run("verdict", *(case if word == "CASE" else word for word in words), "--home", home)
    assert told.code == code
    assert len(told.err.strip().splitlines()) == 1
    assert not list((home / "inbox").glob("*")) if (home / "inbox").exists() else True


def test_no_home(run: Run, tmp_path: Path) -> None:
    told = run("verdict", "c1", "dismissed", "--reason", "test", "--by", "r7", "--home", tmp_path / "none")
    assert told.code == 2


def test_a_replay_takes_verdicts_at_their_time(run: Run, tmp_path: Path) -> None:
    from runners.judged import reference
    from runners.test_engine import START, look

    rows = [look(1, waybill="TRAP1"), look(2, waybill="TRAP2"), look(60), look(120)]
    (tmp_path / "log.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = {"account": "a1", "verdict": "dismissed", "reason": "test", "by": "r7", "time": START + 50_000}
    (tmp_path / "verdicts.ndjson").write_text(json.dumps(told) + "\n")
    words = ("replay", tmp_path / "log.ndjson", "--reference", reference(tmp_path / "ref"), "--json")
    run(*words, "--home", tmp_path / "h1", "--out", tmp_path / "o1")
    run(*words, "--home", tmp_path / "h2", "--out", tmp_path / "o2", "--verdicts", tmp_path / "verdicts.ndjson")
    statuses = [
        [json.loads(line)["status"] for line in (tmp_path / out / "cases.ndjson").read_text().splitlines()]
        for out in ("o1", "o2")
    ]
    assert statuses == [["open"], ["dismissed"]]
    before = (tmp_path / "o2" / "cases.ndjson").read_text()
    run(*words, "--home", tmp_path / "h2", "--out", tmp_path / "o2", "--verdicts", tmp_path / "verdicts.ndjson")
    assert (tmp_path / "o2" / "cases.ndjson").read_text() == before


def test_a_case_of_a_device_is_shown_by_its_device(run: Run, tmp_path: Path) -> None:
    from runners.test_engine import batch, look

    made = opened(tmp_path / "home")
    made.take(
        batch(
            look(50, account=None, device="S9", waybill="TRAP1"), look(51, account=None, device="S9", waybill="TRAP2")
        )
    )
    made.checkpoint()
    made.close()
    run(
        "verdict", "c404", "dismissed", "--reason", "test", "--by", "r", "--home", tmp_path / "home"
    )  # renews the lists
    (row,) = [one for one in run("cases", "--home", tmp_path / "home", "--json").json["cases"] if not one["accounts"]]
    assert (row["devices"], row["kind"], row["persons"]) == (["S9"], "device", 2)
    assert "device S9" in run("cases", "--home", tmp_path / "home").out
    assert "device S9" in run("case", "show", row["id"], "--home", tmp_path / "home").out
    said = run(
        "verdict",
        row["id"],
        "dismissed",
        "--reason",
        "shared_device",
        "--by",
        "r",
        "--home",
        tmp_path / "home",
        "--json",
    )
    assert said.json["in_force"]

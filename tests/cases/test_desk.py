"""The life cycle: what is legal when, what an illegal word says, and that nothing else changes anything."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from cases.lives import Life, frozen
from cases.worked import a_book, act, appeal, note, rise, say, tell, verdict
from watchbill.cases.acts import CaseAct
from watchbill.cases.book import CaseBook
from watchbill.cases.case import HISTORY_MAX, status_of
from watchbill.cases.desk import LEGAL, refusal

MORE: dict[str, dict[str, Any]] = {
    "assign": {"to": "r2"},
    "due": {"at": 9_000_000},
    "merge": {"other": "c20"},
    "split": {"account": "a"},
}


def test_any_life_of_cases_keeps_its_laws() -> None:
    before = Life.decided
    run_state_machine_as_test(Life, settings=settings(max_examples=80, stateful_step_count=40, database=None))
    assert Life.decided > before  # some went all the way to the end of an appeal


def in_status(status: str) -> CaseBook:
    """A book whose case c10, of one account, has this status; c20 is open, or confirmed with it."""
    book = a_book()
    rise(book, "a", 10)
    rise(book, "b", 20)
    if status == "contained":
        rise(book, "a", 30, old=3, new=0)
    elif status == "in_review":
        say(book, act("c10", "review", 90, by="r9"))
    elif status == "archived":
        say(book, act("c10", "archive", 90))
    elif status in {"confirmed", "closed"}:
        say(book, verdict("c10", "confirmed", "leased", 90))
        say(book, verdict("c20", "confirmed", "leased", 91))
        if status == "closed":
            say(book, verdict("c10", "lifted", "settled", 92))
    elif status == "dismissed":
        say(book, verdict("c10", "dismissed", "task", 90))
    assert status_of(book.whole("c10")) == status
    return book


@pytest.mark.parametrize("what", sorted(LEGAL))
@pytest.mark.parametrize("status", ["open", "contained", "in_review", "confirmed", "dismissed", "closed", "archived"])
def test_every_act_in_every_status(status: str, what: str) -> None:
    book = in_status(status)
    said = CaseAct.model_validate(
        act("c10", what).model_dump() if what not in MORE else act("c10", what, **MORE[what]).model_dump()
    )
    before, why = frozen(book), refusal(book, said)
    say(book, said)
    legal = status in LEGAL[what] and what != "split"  # one account alone has nothing to part
    assert bool(why) == (not legal)
    assert (frozen(book) == before) == (not legal)
    if not legal and what != "split":
        assert status in why
        assert "legal in" in why


def test_what_each_act_does() -> None:
    book = in_status("open")
    say(book, act("c10", "review", 1, by="r2"))
    assert (status_of(book.whole("c10")), book.cases["c10"].assigned) == ("in_review", "r2")
    assert "already" in refusal(book, act("c10", "review", 2, by="r2"))
    say(book, act("c10", "review", 3, by="r3"))
    assert book.cases["c10"].assigned == "r3"
    say(book, act("c10", "release", 4))
    assert status_of(book.whole("c10")) == "open"
    say(book, act("c10", "assign", 5, to="r4"))
    say(book, act("c10", "merge", 6, other="c20"))
    assert [case.account for case in book.whole("c20")] == ["a", "b"]
    say(book, verdict("c20", "dismissed", "covering", 7))  # the id of any of its files names the case
    assert {case.status for case in book.cases.values()} == {"dismissed"}
    assert [one["what"] for one in book.cases["c10"].history] == [
        "opened", "step", "review", "review", "release", "assign", "merged", "dismissed",
    ]  # fmt: skip


def test_a_word_about_one_account_takes_it_out_of_its_case() -> None:
    book = in_status("open")
    say(book, act("c10", "merge", other="c20"))
    say(book, verdict("", "dismissed", "covering", account="a"))
    assert (book.cases["c10"].status, book.cases["c20"].status) == ("dismissed", "open")
    assert len(book.whole("c20")) == 1


def test_archived_until_worse() -> None:
    book = in_status("open")
    case = book.cases["c10"]
    say(book, act("c10", "archive"))
    book.look("a", 50, 50_000, 6)
    rise(book, "a", 2_000, evidence={"unexplained": 13.0})
    assert (case.status, case.until) == ("archived", 50_000)  # unjudged: its span goes on
    rise(book, "a", 2_010, evidence={"unexplained": 15.0})
    assert (case.status, case.round, case.since, case.reasons["unexplained"][0]) == ("open", 2, 9_900, 15.0)
    say(book, act("c10", "archive", 2))
    say(book, act("c10", "reopen", 3))
    assert (book.cases["c10"].status, book.cases["c10"].round) == ("open", 2)  # its step still stands


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (note("c404"), "no such case"),
        (act("c10", "merge", other="c404"), "no such case to merge"),
        (act("c10", "merge", other="c10"), "one case already"),
        (act("c10", "split", account="a"), "one account alone"),
        (act("c10", "due", at=1), "past"),
        (verdict("c10", "lifted", "settled"), "not confirmed"),
        (verdict("c404", "dismissed", "task"), "no such case"),
        (tell("c10", account="z"), "one of the accounts"),
        (tell("c10", act="delayed", role="boss", reason="x", until=2_000_000, text_en=""), "security_lead"),
        (appeal("c10", "reject", note="no"), "no appeal is open"),
        (appeal("c10", to="staff"), "somebody else"),
    ],
)
def test_what_is_refused_says_why(said: CaseAct, why: str) -> None:
    book = in_status("open")
    assert why in refusal(book, said)


def test_one_that_is_confirmed_and_one_that_is_not_are_not_merged() -> None:
    book = in_status("open")
    say(book, verdict("c20", "confirmed", "ring"))
    assert "judge them alike" in refusal(book, act("c10", "merge", other="c20"))
    say(book, verdict("c10", "confirmed", "ring", 2))
    assert refusal(book, act("c10", "merge", other="c20")) == ""


def test_a_full_history_takes_no_more() -> None:
    book = in_status("open")
    for number in range(HISTORY_MAX):
        say(book, note("c10", number))
    assert len(book.cases["c10"].history) < HISTORY_MAX
    assert "full" in refusal(book, note("c10", 99_999))
    assert refusal(book, note("c20", 99_999)) == ""

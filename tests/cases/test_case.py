from __future__ import annotations

import copy
import json

from cases.worked import NONE, UP, a_book, appeal, rise, say, tell, verdict
from watchbill.cases.case import AUTO_MAX, HISTORY_MAX, status_of, write


def test_a_history_lists_what_happened_and_stops_at_its_limits() -> None:
    book = a_book()
    case = rise(book, "a", 10)
    assert [(one["n"], one["what"], one["seq"]) for one in case.history] == [(1, "opened", 10), (2, "step", 10)]
    assert case.history[1]["spoke"] == ["unexplained"]
    for number in range(AUTO_MAX + 10):
        rise(book, "a", 11 + number, new=UP if number % 2 else NONE)
    assert len(case.history) == 1 + AUTO_MAX
    write(case, "note", 9_999, 1, "r1", text="x")
    assert case.history[-1]["text"] == "x"
    for number in range(HISTORY_MAX):
        write(case, "note", number, 1, "r1")
    assert len(case.history) == HISTORY_MAX


def test_of_several_files_the_one_that_needs_a_person_most_gives_the_status() -> None:
    book = a_book()
    one, two = rise(book, "a", 10), rise(book, "b", 20)
    one.status = "dismissed"
    assert status_of([one, two]) == "open"
    one.reviewing = True
    assert status_of([one, two]) == "in_review"
    two.status = "confirmed"
    assert status_of([one, two]) == "confirmed"


def test_a_copy_of_a_snapshot_shares_what_never_changes_and_is_not_changed_by_what_comes() -> None:
    book = a_book()
    case = rise(book, "a", 10)
    saved = book.snapshot()
    copied = copy.deepcopy(saved)
    assert copied[0]["history"][0] is case.history[0]
    rise(book, "a", 20)
    assert len(copied[0]["history"]) == len(saved[0]["history"]) == 2
    again = a_book()
    again.restore(json.loads(json.dumps(copied)))
    assert again.snapshot() == saved


def test_a_snapshot_stays_as_it_was() -> None:
    book = a_book()
    rise(book, "a", 10)
    say(book, appeal("c10"))
    saved = book.snapshot()
    before = json.dumps(saved)
    say(book, appeal("c10", "reject", 2, by="r9", note="no"))
    say(book, tell("c10"))
    say(book, verdict("c10", "dismissed", "task"))
    rise(book, "a", 2_000, new=6, devices=("d",), evidence={"unexplained": 39.0})
    assert json.dumps(saved) == before
    again = a_book()
    again.restore(saved)
    say(again, appeal("c10", "reject", 7, by="r9", note="no"))
    assert json.dumps(saved) == before

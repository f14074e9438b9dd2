from __future__ import annotations

from cases.worked import HOUR, NONE, SUSPEND, UP, a_book, act, note, rise, say, verdict
from watchbill.cases.clocks import due_of, first_look_ms, overdue


def test_a_first_look_is_due_in_a_day_and_in_minutes_for_the_suspended() -> None:
    book = a_book()
    case = rise(book, "a", 10)
    assert due_of([case]) == 10_000 + 24 * HOUR
    rise(book, "a", 20, new=SUSPEND, old=UP)
    assert due_of([case]) == 20_000 + HOUR // 4
    rise(book, "a", 30, new=SUSPEND, old=SUSPEND)
    assert due_of([case]) == 20_000 + HOUR // 4
    assert not overdue([case], 20_000 + HOUR // 4)
    assert overdue([case], 20_001 + HOUR // 4)


def test_the_first_look_is_noted_once_and_ends_what_was_due() -> None:
    book = a_book()
    case = rise(book, "a", 10)
    assert first_look_ms(case) is None
    say(book, note("c10", time=70_000))
    say(book, act("c10", "review", time=90_000))
    assert (first_look_ms(case), due_of([case])) == (60_000, None)
    rise(book, "a", 100, new=SUSPEND)  # somebody is at it already
    assert due_of([case]) is None


def test_a_person_s_date_goes_before_and_a_verdict_ends_it() -> None:
    book = a_book()
    case = rise(book, "a", 10)
    say(book, act("c10", "due", at=2_000_000))
    say(book, act("c10", "review", 2))
    rise(book, "a", 100, new=SUSPEND)
    assert due_of([case]) == 2_000_000
    assert overdue([case], 2_000_001)
    say(book, verdict("c10", "confirmed", "leased"))
    assert due_of([case]) is None
    say(book, act("c10", "due", 3, at=3_000_000))
    assert due_of([case]) == 3_000_000
    say(book, verdict("c10", "lifted", "settled", 2))
    assert due_of([case]) is None


def test_a_new_round_waits_for_its_own_first_look() -> None:
    book = a_book()
    case = rise(book, "a", 10)
    say(book, verdict("c10", "dismissed", "task"))
    assert due_of([case]) is None
    rise(book, "a", 2_000, new=SUSPEND, old=NONE)
    assert case.round == 2
    assert first_look_ms(case) is None
    assert due_of([case]) == 2_000_000 + HOUR // 4


def test_of_a_merged_case_the_earliest_counts() -> None:
    book = a_book()
    rise(book, "a", 10)
    rise(book, "b", 20, new=SUSPEND)
    say(book, act("c10", "merge", other="c20"))
    assert due_of(book.whole("c10")) == 20_000 + HOUR // 4
    say(book, act("c10", "review", 2))
    assert due_of(book.whole("c10")) is None

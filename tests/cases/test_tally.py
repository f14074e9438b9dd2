from __future__ import annotations

import pytest

from watchbill.cases.book import CaseBook
from watchbill.cases.case import Signal
from watchbill.cases.tally import shift_of, tally
from watchbill.cases.verdicts import Verdict


def signal(account: str, seq: int, **nats: float) -> Signal:
    return Signal(
        seq=seq, time=seq, account=account, old=0, new=3, since=1, records=1, posterior=0.5, base=0.4, evidence=nats
    )


def judge(book: CaseBook, case: str, word: str, reason: str) -> None:
    number = len(book.told)
    book.judge(
        Verdict(id=f"v{number}", case=case, verdict=word, reason=reason, by="r", time=9),
        1_000 + number,  # type: ignore[arg-type]
    )


@pytest.fixture
def book() -> CaseBook:
    made = CaseBook({})
    made.take(signal("a", 1, volume=8.0, unexplained=9.0))
    made.take(signal("b", 2, unexplained=9.0))
    made.take(signal("c", 3, login_place=5.0, volume=0.5))
    return made


def test_every_detector_answers_for_the_cases_it_spoke_in(book: CaseBook) -> None:
    judge(book, "c1", "dismissed", "covering")
    judge(book, "c2", "confirmed", "leased")
    assert tally(book.cases.values()) == {
        "login_place": {"cases": 1, "confirmed": 0, "dismissed": 0, "reasons": {}},
        "unexplained": {"cases": 2, "confirmed": 1, "dismissed": 1, "reasons": {"covering": 1}},
        "volume": {"cases": 1, "confirmed": 0, "dismissed": 1, "reasons": {"covering": 1}},
    }
    assert shift_of(book.cases.values()) == ([0.4, 0.4], [False, True])


def test_a_person_may_correct_himself_and_a_new_round_counts_anew(book: CaseBook) -> None:
    judge(book, "c2", "confirmed", "leased")
    judge(book, "c2", "dismissed", "wrong")
    assert tally(book.cases.values())["unexplained"] == {
        "cases": 2,
        "confirmed": 0,
        "dismissed": 1,
        "reasons": {"wrong": 1},
    }
    book.take(signal("b", 20, volume=20.0))
    assert tally(book.cases.values())["volume"]["cases"] == 2
    judge(book, "c2", "confirmed", "owner")
    judge(book, "c2", "lifted", "settled")
    assert tally(book.cases.values())["volume"] == {"cases": 2, "confirmed": 1, "dismissed": 0, "reasons": {}}
    assert shift_of(book.cases.values())[1] == [False, True]


def test_a_case_that_people_opened_teaches_the_prior_nothing(book: CaseBook) -> None:
    book.judge(Verdict(id="x", account="z", verdict="confirmed", reason="ring", by="r", time=9), 50)
    assert shift_of(book.cases.values()) == ([], [])

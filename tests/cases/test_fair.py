from __future__ import annotations

import pytest

from cases.worked import ASK, HOUR, NONE, UP, a_book, act, appeal, rise, say, tell, verdict
from watchbill.cases.book import CaseBook
from watchbill.cases.desk import refusal
from watchbill.cases.fair import interrupted, open_appeal, partial, untold


@pytest.fixture
def book() -> CaseBook:
    made = a_book()
    rise(made, "a", 10)
    return made


def test_who_is_interrupted_is_untold_until_told(book: CaseBook) -> None:
    case = book.cases["c10"]
    assert untold(case, 0)
    say(book, tell("c10", to="boss"))
    assert untold(case, 0)
    say(book, tell("c10", 2))
    assert not untold(case, 0)
    assert case.history[-1]["text_en"] == "What:"
    say(book, verdict("c10", "dismissed", "task"))
    rise(book, "a", 3_000, new=6)
    assert (case.round, untold(case, 0)) == (2, True)  # a new round is told anew


def test_who_was_only_asked_is_not_interrupted() -> None:
    book = a_book()
    case = rise(book, "a", 10, new=ASK, evidence={"canary": 12.0})
    assert not interrupted(case)
    assert "nobody was interrupted" in refusal(book, tell("c10"))
    assert "nobody was interrupted" in refusal(book, appeal("c10"))
    say(book, verdict("c10", "confirmed", "owner"))
    assert interrupted(case)


def test_a_delay_is_a_decision_that_ends(book: CaseBook) -> None:
    case = book.cases["c10"]
    say(book, tell("c10", act="delayed", role="legal_lead", reason="police", until=2_000_000, text_en=""))
    assert not untold(case, 1_999_999)
    assert untold(case, 2_000_000)
    assert case.history[-1] | {"role": "legal_lead", "reason": "police", "until": 2_000_000} == case.history[-1]


def test_an_appeal_goes_to_the_idlest_of_those_who_did_not_decide(book: CaseBook) -> None:
    rise(book, "b", 20)
    say(book, appeal("c20"))
    assert book.cases["c20"].appeals[0]["to"] == "r1"
    say(book, verdict("c10", "confirmed", "leased", by="r2"))
    say(book, appeal("c10", number=2))
    (one,) = book.cases["c10"].appeals
    assert one["to"] == "r3"
    assert one["due"] == one["time"] + 24 * HOUR
    assert "open already" in refusal(book, appeal("c10", number=3))
    assert partial(book.cases["c10"], 1) == {"r2", "staff"}


@pytest.mark.parametrize("by", ["r2", "staff"])
def test_who_confirmed_or_brings_it_does_not_decide_it(book: CaseBook, by: str) -> None:
    say(book, verdict("c10", "confirmed", "leased", by="r2"))
    assert "somebody else" in refusal(book, appeal("c10", to="r2"))
    say(book, appeal("c10"))
    for what, more in (("uphold", {"reason": "wrong"}), ("reject", {"note": "no"})):
        assert "somebody else" in refusal(book, appeal("c10", what, 2, by=by, **more))


def test_nobody_is_free_and_the_appeal_is_open_all_the_same() -> None:
    book = a_book()
    book.settings = book.settings.model_copy(update={"appeal_reviewers": ("r1",)})
    rise(book, "a", 10)
    say(book, verdict("c10", "confirmed", "leased", by="r1"))
    say(book, appeal("c10"))
    waiting = open_appeal(book.cases["c10"])
    assert waiting is not None
    assert waiting["to"] == ""


def test_upheld_clears_and_corrects_everyone_who_was_told(book: CaseBook) -> None:
    say(book, tell("c10"))
    say(book, tell("c10", 2, to="boss", channel="mail"))
    say(book, tell("c10", 3, to="boss", channel="mail"))
    say(book, verdict("c10", "confirmed", "leased", by="r2"))
    say(book, appeal("c10"))
    say(book, appeal("c10", "uphold", 2, by="r3", reason="covering"), 2_000)
    case = book.cases["c10"]
    assert (case.status, case.appeals[0]["outcome"], case.appeals[0]["decided_by"]) == ("dismissed", "upheld", "r3")
    assert (case.verdicts[-1]["verdict"], case.verdicts[-1]["reason"], case.step) == ("dismissed", "covering", NONE)
    assert [(one["to"], one["about"], one["why"]) for one in book.take_corrected()] == [
        ("person", "t1", "covering"), ("boss", "t2", "covering"),
    ]  # fmt: skip
    assert book.take_corrected() == []
    assert [one["to"] for one in case.history if one["what"] == "correction"] == ["person", "boss"]
    assert "dismissed already" in refusal(book, appeal("c10", number=9))


def test_rejected_stands_and_another_decides_the_next(book: CaseBook) -> None:
    say(book, tell("c10"))
    say(book, appeal("c10"))
    say(book, appeal("c10", "reject", 2, by="r3", note="seen on camera"))
    case = book.cases["c10"]
    assert (case.status, case.appeals[0]["outcome"], book.take_corrected()) == ("open", "rejected", [])
    say(book, appeal("c10", number=3))
    assert "somebody else" in refusal(book, appeal("c10", "uphold", 4, by="r3", reason="wrong"))


def test_of_several_the_one_who_appeals_is_cleared_alone(book: CaseBook) -> None:
    rise(book, "b", 20)
    say(book, act("c10", "merge", other="c20"))
    assert "name one of the accounts" in refusal(book, appeal("c10"))
    say(book, appeal("c10", account="a"))
    say(book, appeal("c10", "uphold", 2, account="a", by="r3", reason="wrong"))
    assert (book.cases["c10"].status, book.cases["c20"].status) == ("dismissed", "open")
    assert [case.account for case in book.whole("c20")] == ["b"]


def test_a_dismissal_corrects_as_an_appeal_does(book: CaseBook) -> None:
    say(book, tell("c10"))
    say(book, verdict("c10", "dismissed", "task"))
    say(book, verdict("c10", "dismissed", "task", 2))
    assert len(book.cases["c10"].corrections) == 1
    rise(book, "a", 3_000, new=UP, evidence={"unexplained": 39.0})
    assert untold(book.cases["c10"], 0)


def test_a_dismissal_answers_an_appeal_and_one_of_an_earlier_round_is_not_decided_by_who_confirmed_it(
    book: CaseBook,
) -> None:
    say(book, appeal("c10"))
    say(book, verdict("c10", "dismissed", "task"))
    (one,) = book.cases["c10"].appeals
    assert (one["outcome"], open_appeal(book.cases["c10"])) == ("moot", None)
    rise(book, "a", 3_000, new=6)
    say(book, verdict("c10", "confirmed", "leased", 2, by="r2"))
    say(book, appeal("c10", number=2, to="r3"))
    say(book, verdict("c10", "lifted", "settled", 3))
    rise(book, "a", 4_000, new=UP)
    assert book.cases["c10"].round == 3
    assert "somebody else" in refusal(book, appeal("c10", "uphold", 3, by="r2", reason="wrong"))
    assert refusal(book, appeal("c10", "uphold", 3, by="r3", reason="wrong")) == ""

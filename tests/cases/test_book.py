from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from watchbill.cases.book import TOLD_MAX, CaseBook
from watchbill.cases.case import Case, Signal
from watchbill.cases.verdicts import Verdict
from watchbill.responses.policy import STEPS

NONE, MASK, ASK, UP, SUSPEND = (STEPS.index(name) for name in ("none", "mask", "ask_reason", "step_up", "suspend"))
FAMILY = {"unexplained": "reason", "volume": "volume", "canary": "canary", "roster_status": "roster"}
FIRST = Signal(
    seq=10,
    time=1_000,
    account="a",
    old=NONE,
    new=UP,
    since=900,
    records=4,
    posterior=0.2,
    evidence={"unexplained": 8.0},
)


def test_a_case_opens_at_a_step_that_stops_and_gathers() -> None:
    book = CaseBook(FAMILY)
    assert book.take(FIRST) == "c10"
    second = replace(FIRST, seq=20, time=2_000, old=UP, new=SUSPEND, records=9, posterior=0.4, since=950, devices=("d",), evidence={"unexplained": 12.0, "volume": 3.0, "canary": 0.5})  # fmt: skip
    assert book.take(second) == "c10"
    case = book.cases["c10"]
    assert (case.opened, case.updated, case.since, case.until, case.records) == (1_000, 2_000, 900, 2_000, 9)
    assert case.reasons == {"unexplained": (12.0, 9), "volume": (3.0, 9)}
    assert case.devices == ["d"]
    assert case.step_worst == SUSPEND
    assert case.posterior == 0.4


def test_a_mask_alone_is_no_case_but_belongs_to_an_open_one() -> None:
    book = CaseBook(FAMILY)
    mask = replace(FIRST, new=MASK)
    assert book.take(mask) is None
    assert book.cases == {}
    book.take(FIRST)
    assert book.take(replace(mask, seq=30)) == "c10"


def test_being_asked_is_no_case_but_a_clue_that_is_nearly_proof_opens_one() -> None:
    book = CaseBook(FAMILY)
    assert book.take(replace(FIRST, new=ASK)) is None
    assert book.take(replace(FIRST, new=ASK, evidence={"volume": 11.5})) is None
    assert book.take(replace(FIRST, new=ASK, account="b", evidence={"canary": 11.5})) == "c10"
    assert book.take(replace(FIRST, new=MASK, account="c", evidence={"canary": 11.5})) is None


def test_a_run_that_is_over_does_not_widen_its_case_until_standing_rises_again() -> None:
    book = CaseBook(FAMILY)
    book.take(FIRST)
    book.look("a", 12, 3_000, 5)
    book.look("a", 15, 90_000, 1)  # evidence had fallen to nothing and begins anew
    book.look("a", 16, 91_000, 6)
    assert book.cases["c10"].until == 3_000
    book.take(replace(FIRST, seq=20, time=95_000, records=8))
    book.look("a", 21, 96_000, 9)
    assert book.cases["c10"].until == 96_000


def test_weaker_evidence_does_not_overwrite_stronger() -> None:
    book = CaseBook(FAMILY)
    book.take(FIRST)
    book.take(replace(FIRST, seq=11, evidence={"unexplained": 5.0}, records=99, posterior=0.1))
    assert book.cases["c10"].reasons == {"unexplained": (8.0, 4)}
    assert book.cases["c10"].posterior == 0.2


def test_evidence_taken_back_leaves_the_case_with_what_is_left() -> None:
    book = CaseBook(FAMILY)
    book.take(replace(FIRST, evidence={"unexplained": 30.0, "volume": 5.0}, posterior=0.9))
    back = replace(FIRST, seq=20, old=UP, new=ASK, taken_back=True, posterior=0.3, evidence={"unexplained": 8.0})
    book.take(back)
    assert book.cases["c10"].reasons == {"unexplained": (8.0, 4), "volume": (5.0, 4)}
    assert book.cases["c10"].posterior == 0.3
    book.take(replace(back, seq=30, old=ASK, new=NONE, evidence={}))
    assert book.cases["c10"].reasons == {"volume": (5.0, 4)}
    assert book.cases["c10"].status == "contained"


def test_a_case_is_contained_and_opens_again_and_is_never_closed_by_itself() -> None:
    book = CaseBook(FAMILY)
    statuses = []
    for old, new in ((NONE, UP), (UP, NONE), (NONE, ASK), (ASK, SUSPEND), (SUSPEND, MASK), (MASK, NONE)):
        book.take(replace(FIRST, old=old, new=new))
        statuses.append(book.cases["c10"].status)
    assert statuses == ["open", "contained", "open", "open", "contained", "contained"]


def test_looks_widen_an_open_case_and_not_the_time_before_it() -> None:
    book = CaseBook(FAMILY)
    book.take(FIRST)
    book.look("a", 9, 5_000, 50)  # came before the case: another cut of the batches would not have shown it
    assert book.cases["c10"].until == 1_000
    book.look("a", 12, 3_000, 6)
    book.look("a", 13, 2_000, 7)
    book.look("b", 14, 9_000, 99)
    assert (book.cases["c10"].until, book.cases["c10"].records) == (3_000, 7)
    assert book.accounts == ["a"]


SIGNALS = st.builds(
    Signal, seq=st.integers(0, 99), time=st.integers(0, 99), account=st.sampled_from("abc"), old=st.integers(0, 6),
    new=st.integers(0, 6), since=st.integers(0, 99), records=st.integers(0, 99), posterior=st.floats(0, 1),
    evidence=st.dictionaries(st.sampled_from(["unexplained", "volume", "canary"]), st.floats(0, 50)),
    devices=st.tuples(st.sampled_from("xy")) | st.just(()), persons_of_account=st.integers(1, 2), role=st.just("courier"),
)  # fmt: skip


@given(st.lists(SIGNALS, max_size=20, unique_by=lambda signal: signal.seq), st.integers(0, 20))
def test_a_snapshot_through_json_changes_nothing(signals: list[Signal], at: int) -> None:
    whole, first = CaseBook(FAMILY), CaseBook(FAMILY)
    ids = [whole.take(signal) for signal in signals]
    said = [first.take(signal) for signal in signals[:at]]
    second = CaseBook(FAMILY)
    second.restore(json.loads(json.dumps(first.snapshot())))
    assert said + [second.take(signal) for signal in signals[at:]] == ids
    assert second.snapshot() == whole.snapshot()
    assert len(whole.cases) == len({case.account for case in whole.cases.values()})  # one a account


def verdict(word: str, reason: str, number: int = 1, **more: object) -> Verdict:
    given = {"id": f"v{number}", "case": "c10", "verdict": word, "reason": reason, "by": "r7", "time": 5_000, **more}
    return Verdict.model_validate(given)


def opened() -> tuple[CaseBook, Case]:
    book = CaseBook(FAMILY)
    book.take(FIRST)
    return book, book.cases["c10"]


def test_a_confirmed_case_stays_confirmed_with_the_kind_that_the_person_said() -> None:
    book, case = opened()
    assert book.judge(verdict("confirmed", "hijacked"), 50) is case
    book.take(replace(FIRST, seq=60, old=UP, new=NONE, evidence={"volume": 9.0}))
    book.take(replace(FIRST, seq=61, old=NONE, new=SUSPEND))
    assert (case.status, case.kind, book.confirmed()) == ("confirmed", "hijacked", ["a"])
    assert case.reasons["volume"] == (9.0, 4)
    book.judge(verdict("lifted", "settled", 2), 70)
    assert (case.status, book.confirmed()) == ("closed", [])
    book.look("a", 71, 9_000, 50)
    assert case.until < 9_000


def test_a_dismissed_case_opens_again_only_when_it_is_worse() -> None:
    book, case = opened()
    book.judge(verdict("dismissed", "covering"), 50)
    again = replace(FIRST, seq=60, time=90_000, since=80_000, records=2)
    for same in (again, replace(again, new=ASK), replace(again, evidence={"unexplained": 10.2, "volume": 3.2})):
        assert book.take(same) == "c10"
        assert (case.status, case.updated) == ("dismissed", 5_000)
    for worse in (
        replace(again, new=SUSPEND),
        replace(again, evidence={"unexplained": 10.4}),
        replace(again, evidence={"volume": 3.4}),
    ):
        book, case = opened()
        book.judge(verdict("dismissed", "covering"), 50)
        assert book.take(worse) == "c10"
        assert (case.status, case.round, case.since, case.records) == ("open", 2, 80_000, 2)
        assert set(case.reasons) == set(worse.evidence)


def test_a_settled_case_opens_again_with_any_step_that_stops() -> None:
    book, case = opened()
    book.judge(verdict("confirmed", "leased"), 50)
    book.judge(verdict("lifted", "settled", 2), 51)
    book.take(replace(FIRST, seq=60, new=ASK))
    assert case.status == "closed"
    book.take(replace(FIRST, seq=61, evidence={"unexplained": 2.0}))
    assert (case.status, case.round) == ("open", 2)


def test_the_same_verdict_twice_counts_once_and_one_about_nobody_changes_nothing() -> None:
    book, case = opened()
    assert book.judge(verdict("dismissed", "task"), 50) is case
    assert book.judge(verdict("dismissed", "task"), 51) is None
    assert len(case.verdicts) == 1
    assert book.judge(verdict("dismissed", "task", 2, case="c99"), 52) is None
    assert book.judge(verdict("confirmed", "ring", 3, case="c99"), 53) is None
    assert len(book.cases) == 1
    for number in range(TOLD_MAX + 5):
        book.judge(verdict("lifted", "settled", 100 + number, case="c99"), 54)
    assert len(book.told) == TOLD_MAX


def test_people_may_confirm_an_account_that_no_detector_named() -> None:
    book = CaseBook(FAMILY)
    case = book.judge(verdict("confirmed", "leased", case="", account="b"), 77)
    assert case is not None
    assert (case.id, case.status, case.account, case.kind) == ("c77", "confirmed", "b", "leased")
    assert book.judge(verdict("dismissed", "wrong", 2, case="", account="b"), 78) is case
    assert book.judge(verdict("dismissed", "wrong", 3, case="", account="z"), 79) is None


def test_a_suspension_that_nobody_looked_at_is_counted_against_the_firm() -> None:
    book, case = opened()
    book.take(replace(FIRST, seq=20, old=UP, new=SUSPEND))
    book.take(replace(FIRST, seq=21, old=SUSPEND, new=MASK))
    assert case.unattended == 1
    book.take(replace(FIRST, seq=22, old=SUSPEND, new=MASK, taken_back=True))
    book.take(replace(FIRST, seq=23, old=SUSPEND, new=NONE))
    assert case.unattended == 1


def test_verdicts_outlive_a_snapshot() -> None:
    book, _ = opened()
    book.judge(verdict("dismissed", "covering"), 50)
    second = CaseBook(FAMILY)
    second.restore(json.loads(json.dumps(book.snapshot())), list(book.told))
    assert second.judge(verdict("dismissed", "covering"), 51) is None
    worse = replace(FIRST, seq=60, new=SUSPEND)
    assert (book.take(worse), second.take(worse)) == ("c10", "c10")
    assert second.snapshot() == book.snapshot()

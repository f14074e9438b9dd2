from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.cases.book import CaseBook, Signal, kind_of
from watchbill.responses.policy import STEPS

NONE, MASK, ASK, UP, SUSPEND = (STEPS.index(name) for name in ("none", "mask", "ask_reason", "step_up", "suspend"))
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
    book = CaseBook()
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
    book = CaseBook()
    mask = replace(FIRST, new=MASK)
    assert book.take(mask) is None
    assert book.cases == {}
    book.take(FIRST)
    assert book.take(replace(mask, seq=30)) == "c10"


def test_being_asked_is_no_case_but_a_clue_that_is_nearly_proof_opens_one() -> None:
    book = CaseBook()
    assert book.take(replace(FIRST, new=ASK)) is None
    assert book.take(replace(FIRST, new=ASK, evidence={"volume": 11.5})) is None
    assert book.take(replace(FIRST, new=ASK, account="b", evidence={"canary": 11.5})) == "c10"
    assert book.take(replace(FIRST, new=MASK, account="c", evidence={"canary": 11.5})) is None


def test_a_run_that_is_over_does_not_widen_its_case_until_standing_rises_again() -> None:
    book = CaseBook()
    book.take(FIRST)
    book.look("a", 12, 3_000, 5)
    book.look("a", 15, 90_000, 1)  # evidence had fallen to nothing and begins anew
    book.look("a", 16, 91_000, 6)
    assert book.cases["c10"].until == 3_000
    book.take(replace(FIRST, seq=20, time=95_000, records=8))
    book.look("a", 21, 96_000, 9)
    assert book.cases["c10"].until == 96_000


def test_weaker_evidence_does_not_overwrite_stronger() -> None:
    book = CaseBook()
    book.take(FIRST)
    book.take(replace(FIRST, seq=11, evidence={"unexplained": 5.0}, records=99, posterior=0.1))
    assert book.cases["c10"].reasons == {"unexplained": (8.0, 4)}
    assert book.cases["c10"].posterior == 0.2


def test_evidence_taken_back_leaves_the_case_with_what_is_left() -> None:
    book = CaseBook()
    book.take(replace(FIRST, evidence={"unexplained": 30.0, "volume": 5.0}, posterior=0.9))
    back = replace(FIRST, seq=20, old=UP, new=ASK, taken_back=True, posterior=0.3, evidence={"unexplained": 8.0})
    book.take(back)
    assert book.cases["c10"].reasons == {"unexplained": (8.0, 4), "volume": (5.0, 4)}
    assert book.cases["c10"].posterior == 0.3
    book.take(replace(back, seq=30, old=ASK, new=NONE, evidence={}))
    assert book.cases["c10"].reasons == {"volume": (5.0, 4)}
    assert book.cases["c10"].status == "contained"


def test_a_case_is_contained_and_opens_again_and_is_never_closed_by_itself() -> None:
    book = CaseBook()
    statuses = []
    for old, new in ((NONE, UP), (UP, NONE), (NONE, ASK), (ASK, SUSPEND), (SUSPEND, MASK), (MASK, NONE)):
        book.take(replace(FIRST, old=old, new=new))
        statuses.append(book.cases["c10"].status)
    assert statuses == ["open", "contained", "open", "open", "contained", "contained"]


def test_looks_widen_an_open_case_and_not_the_time_before_it() -> None:
    book = CaseBook()
    book.take(FIRST)
    book.look("a", 9, 5_000, 50)  # came before the case: another cut of the batches would not have shown it
    assert book.cases["c10"].until == 1_000
    book.look("a", 12, 3_000, 6)
    book.look("a", 13, 2_000, 7)
    book.look("b", 14, 9_000, 99)
    assert (book.cases["c10"].until, book.cases["c10"].records) == (3_000, 7)
    assert book.accounts == ["a"]


@pytest.mark.parametrize(
    ("evidence", "role", "persons", "kind"),
    [
        ({"canary": 9.0, "login_place": 9.0}, "courier", 1, "canary"),
        ({"roster_status": 3.0, "login_place": 9.0}, "courier", 1, "leaver"),
        ({"unexplained": 9.0}, "robot", 1, "service"),
        ({"login_place": 4.0, "unexplained": 9.0}, "courier", 3, "leased"),
        ({"unexplained": 9.0}, "service", 2, "shared"),
        ({"unexplained": 9.0, "volume": 3.0}, "courier", 1, "leased"),
        ({"unexplained": 9.0, "volume": 0.9}, "courier", 1, "owner"),
        ({}, "courier", 1, "owner"),
    ],
)  # fmt: skip
def test_kinds(evidence: dict[str, float], role: str, persons: int, kind: str) -> None:
    assert kind_of(evidence, role, persons) == kind


SIGNALS = st.builds(
    Signal, seq=st.integers(0, 99), time=st.integers(0, 99), account=st.sampled_from("abc"), old=st.integers(0, 6),
    new=st.integers(0, 6), since=st.integers(0, 99), records=st.integers(0, 99), posterior=st.floats(0, 1),
    evidence=st.dictionaries(st.sampled_from(["unexplained", "volume", "canary"]), st.floats(0, 50)),
    devices=st.tuples(st.sampled_from("xy")) | st.just(()), persons_of_account=st.integers(1, 2), role=st.just("courier"),
)  # fmt: skip


@given(st.lists(SIGNALS, max_size=20, unique_by=lambda signal: signal.seq), st.integers(0, 20))
def test_a_snapshot_through_json_changes_nothing(signals: list[Signal], at: int) -> None:
    whole, first = CaseBook(), CaseBook()
    ids = [whole.take(signal) for signal in signals]
    said = [first.take(signal) for signal in signals[:at]]
    second = CaseBook()
    second.restore(json.loads(json.dumps(first.snapshot())))
    assert said + [second.take(signal) for signal in signals[at:]] == ids
    assert second.snapshot() == whole.snapshot()
    assert len(whole.cases) == len({case.account for case in whole.cases.values()})  # one a account

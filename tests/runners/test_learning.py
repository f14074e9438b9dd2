from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from watchbill.cases.book import CaseBook
from watchbill.cases.case import Signal
from watchbill.cases.verdicts import Verdict
from watchbill.core.settings import RiskSettings, Settings
from watchbill.detectors.base import CONFIRMED, SUSPECTED
from watchbill.responses.policy import FOREVER, STANDING
from watchbill.responses.presence import PROOF
from watchbill.runners.learning import learned_prior, suspected, until_of


@given(st.lists(st.integers(0, 3), max_size=9), st.lists(st.sampled_from([0, 1, 2, 3, 4, 5, 6]), max_size=9))
def test_frozen_is_confirmed_or_under_a_step(bits: list[int], steps: list[int]) -> None:
    standing = np.zeros(len(steps), STANDING)
    standing["step"] = steps
    out = suspected(standing, np.array(bits, np.uint8))
    for at, value in enumerate(out.tolist()):
        assert bool(value & CONFIRMED) == (at < len(bits) and bool(bits[at] & CONFIRMED))
        assert bool(value & SUSPECTED) == (at < len(steps) and steps[at] >= 2)


def test_no_end_is_none_for_people() -> None:
    assert (until_of(0), until_of(FOREVER), until_of(7)) == (None, None, 7)


def test_the_prior_learns_from_verdicts_unless_settings_forbid() -> None:
    book = CaseBook({})
    book.take(Signal(1, 1, "a", 0, 3, 1, 1, 0.9, {"volume": 9.0}))
    assert learned_prior(Settings(), book) == 0
    book.judge(Verdict(id="v", case="c1", verdict="dismissed", reason="wrong", by="r", time=2), 2)
    assert learned_prior(Settings(), book) < 0
    assert learned_prior(Settings(risk=RiskSettings(learn_from_verdicts=False)), book) == 0


def test_an_account_of_which_only_a_place_is_free_is_still_suspected() -> None:
    standing, proofs = np.zeros(3, STANDING), np.zeros(2, PROOF)
    proofs["rest_until"][1] = 5
    assert suspected(standing, np.zeros(0, np.uint8), proofs).tolist() == [0, SUSPECTED, 0]
    assert suspected(standing, np.zeros(0, np.uint8)).tolist() == [0, 0, 0]

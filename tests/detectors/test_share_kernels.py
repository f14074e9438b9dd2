from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.core.settings import Settings
from watchbill.detectors import breadth, consequence, fresh_parcels, greedy_fields, number_gaps, others_parcels, slow
from watchbill.detectors.base import SUSPECTED, Surroundings
from watchbill.detectors.kernels import example_looks
from watchbill.detectors.share_kernels import BINS, LEVELS, SILENT, UNKNOWN, Shares, day_nats, shares_of

ALL = [
    kind.Detector.shares for kind in (breadth, consequence, fresh_parcels, greedy_fields, number_gaps, others_parcels)
]
ALL.append(slow.Detector(Settings()).shares)
AROUND = Surroundings(accounts=40, roles=("courier", "service"))


@pytest.mark.parametrize("shares", ALL)
def test_mixtures_are_probabilities_that_rise_with_the_level(shares: Shares) -> None:
    np.testing.assert_allclose(shares.weights.sum(axis=1), 1, atol=1e-6)
    means = (shares.weights * shares.rates).sum(axis=1)
    # cells near 0 are coarse, which raises the null's mean: on the safe side
    assert (np.diff(means) > 0).all()
    assert (means > shares.level * 0.98).all()
    assert ((shares.wrong > 0) & (shares.wrong < 1)).all()


@given(st.integers(0, 6), st.integers(0, LEVELS - 1), st.integers(1, 60))
def test_a_day_of_looks_has_mean_one_under_its_null(which: int, level: int, looks: int) -> None:
    shares = ALL[which]
    total = 0.0
    for hits in range(looks + 1):
        under = sum(
            float(weight) * float(rate) ** hits * (1 - float(rate)) ** (looks - hits)
            for rate, weight in zip(shares.rates[level], shares.weights[level], strict=True)
        )
        total += math.comb(looks, hits) * under * math.exp(day_nats(looks, hits, level, shares))
    assert total == pytest.approx(1, abs=1e-6)


def test_alternatives_at_times_the_share_stay_rates() -> None:
    shares = shares_of(0.01, 0.5, 0.05, (2.0, 5.0, 80.0))
    np.testing.assert_allclose(shares.wrong[0], [0.02, 0.05, 0.8], rtol=1e-9)
    assert shares.wrong.max() <= 0.95


def days_of(count: int, hits: int, days: int, account: int, start: int = 20_000) -> np.ndarray:
    """Days with `count` first looks of which `hits` are at fresh parcels."""
    events = np.concatenate([example_looks(count, start_day=start + d) for d in range(days)])
    events["account"] = account
    fresh = np.zeros(count, np.uint8)
    fresh[:: max(1, count // max(hits, 1))] = 1
    events["fresh"] = np.tile(fresh if hits else np.zeros(count, np.uint8), days)
    return events


def test_a_role_is_judged_by_one_vote_an_account_day_and_silent_where_its_days_are_wide() -> None:
    detector = fresh_parcels.Detector(Settings())
    events = np.concatenate([days_of(40, 2, 3, account) for account in range(24)])
    detector.observe(events, AROUND)
    assert (detector.honest == UNKNOWN).all()
    detector.publish(0, AROUND)
    assert 0.05 <= detector.honest[0] <= (0.06**0.5 + 1 / BINS) ** 2
    wide = np.concatenate([days_of(40, 30, 2, account, 20_010) for account in range(12)])
    detector.observe(wide, AROUND)
    detector.publish(0, AROUND)
    assert detector.honest[0] == SILENT
    assert detector.honest[1] == UNKNOWN


def test_who_is_suspected_teaches_nothing() -> None:
    events = days_of(60, 12, 5, 3)
    free, held = fresh_parcels.Detector(Settings()), fresh_parcels.Detector(Settings())
    free.observe(events, AROUND)
    held.observe(events, Surroundings(accounts=40, roles=AROUND.roles, frozen=np.full(40, SUSPECTED, np.uint8)))
    assert free.rows["own_count"][3] > 0
    assert held.rows["own_count"][3] == 0


def test_evidence_taken_back_never_rises_and_cannot_be_taken_twice() -> None:
    detector = others_parcels.Detector(Settings())
    days = np.concatenate([example_looks(80, start_day=20_000 + d) for d in range(3)])
    days["assigned"], days["item"] = 1, np.arange(1, 241)
    days["assigned"][-6:] = 2
    before = detector.observe(days, AROUND)[-1]
    work = days[-6:].copy()
    work["kind"], work["follows"], work["first"], work["reveal"] = 4, 1, 0, 0
    back = detector.observe(work, AROUND)
    assert before > 5
    assert (np.diff(np.concatenate([[before], back])) <= 0).all()
    assert detector.observe(work, AROUND)[-1] == back[-1]

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.detectors import canary, login_place, roster_status
from watchbill.detectors.kernels import NATS_MAX, STAKE, daily_stake, distance_km, rare_event


def test_one_bet_a_day_has_mean_at_most_one_under_its_null() -> None:
    for probability in (canary.P_HIT, roster_status.P_RETURN, roster_status.P_STRANGER, 0.5):
        quiet = math.exp(daily_stake(0.0))
        hit = math.exp(rare_event(daily_stake(0.0), STAKE, probability, 0.0))
        assert quiet == pytest.approx(1 - STAKE)
        assert (1 - probability) * quiet + probability * hit <= 1 + 1e-9


@pytest.mark.parametrize(
    ("first", "second", "half"),
    [(login_place.P_NEW, login_place.P_JOURNEY, login_place.HALF), (canary.P_HIT, canary.P_AGAIN, canary.HALF)],
)
def test_two_bets_on_one_stake_have_mean_at_most_one_however_they_depend(
    first: float, second: float, half: float
) -> None:
    """All joint laws with these margins: the mean is linear in the overlap, so the two ends decide."""
    for overlap in (0.0, min(first, second)):
        total = 0.0
        for a, b in itertools.product((0, 1), repeat=2):
            weight = {
                (1, 1): overlap, (1, 0): first - overlap, (0, 1): second - overlap, (0, 0): 1 - first - second + overlap,
            }[a, b]  # fmt: skip
            m, paid = daily_stake(0.0), 0.0
            if a:
                m, paid = rare_event(m, half, first, paid), paid + half / first
            if b:
                m = rare_event(m, half, second, paid)
            total += weight * math.exp(m)
        assert total <= 1 + 1e-9


@given(st.floats(0, 50), st.floats(1e-9, 0.5), st.floats(1e-9, 0.5))
def test_the_order_of_two_events_of_a_day_does_not_matter(m: float, p: float, q: float) -> None:
    half = STAKE / 2
    one = rare_event(rare_event(m, half, p, 0.0), half, q, half / p)
    other = rare_event(rare_event(m, half, q, 0.0), half, p, half / q)
    assert one == pytest.approx(other, rel=1e-9)
    assert one > m


@given(st.floats(-100, 1_000))
def test_capital_is_topped_up_to_one_and_a_day_only_lowers_it(m: float) -> None:
    assert daily_stake(m) <= max(m, 0.0) + math.log(1 - STAKE) + 1e-9
    assert math.log(1 - STAKE) - 1e-9 <= daily_stake(m) <= float(NATS_MAX)


def test_distances() -> None:
    assert distance_km(39.9, 116.4, 39.9, 116.4) == 0
    assert distance_km(39.90, 116.41, 31.23, 121.47) == pytest.approx(1_067, abs=5)  # Beijing to Shanghai
    assert distance_km(0, 0, 0, 180) == pytest.approx(math.pi * 6371, rel=1e-6)
    assert distance_km(0, 179.9, 0, -179.9) == pytest.approx(22.2, abs=0.2)

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.core.evidence import PRIOR, RATES, all_but_one, look_ratio, next_day


@pytest.mark.parametrize("n", [1, 5, 40])
def test_the_ratio_has_mean_one_under_the_null(n: int) -> None:
    chance = [sum(PRIOR * comb(n, k) * RATES**k * (1 - RATES) ** (n - k)) for k in range(n + 1)]
    assert sum(chance) == pytest.approx(1.0)
    mean = sum(p * np.exp(look_ratio(float(n), float(k))) for k, p in enumerate(chance))
    assert mean == pytest.approx(1.0)
    faded = sum(p * np.exp(next_day(0.0, float(n), float(k))) for k, p in enumerate(chance))
    assert faded <= 1.0 + 1e-9


@given(st.integers(0, 300), st.integers(0, 300))
def test_it_rises_with_looks_without_a_reason_and_is_finite(n: int, k: int) -> None:
    few, more = min(n, k), min(n, k + 1)
    assert np.isfinite(look_ratio(float(n), float(k)))
    assert look_ratio(float(n), float(few)) <= look_ratio(float(n), float(more)) + 1e-9


def test_it_says_what_the_unexplained_detector_says() -> None:
    assert look_ratio(6.0, 6.0) > 12
    assert look_ratio(100.0, 4.0) < -3
    assert look_ratio(0.0, 0.0) == 0


def test_one_bad_member_condemns_nobody_and_the_pool_is_an_e_value() -> None:
    assert all_but_one(np.array([30.0, 0.0, 0.0]), 0.5) == pytest.approx(0.0)
    assert all_but_one(np.array([8.0, 8.0, 8.0]), 0.5) > 14
    assert all_but_one(np.array([30.0]), 0.5) == 0.0
    # three members, each with factor 4 at a chance of 1/4, else 0: mean 1; one of them is bad and always shows 1,000
    factors = (0.0, 0.0, 0.0, 4.0)
    mean = 0.0
    for pair in product(factors, repeat=2):
        nats = np.log(np.maximum(np.array([*pair, 1000.0]), 1e-12))
        mean += np.exp(all_but_one(nats, 0.5)) / 16
    assert mean <= 1.0 + 1e-9

"""Intervals against known values, and what must always hold of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.lab.trials.intervals import Resample, bootstrap_quantile, poisson, quantile, wilson


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (1, 100, 0.0018, 0.0545), (0, 0, 0.0, 1.0)],
)
def test_wilson_against_published_values(hits: int, n: int, low: float, high: float) -> None:
    assert wilson(hits, n) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0.0, 3.6889), (1, 0.0253, 5.5716), (5, 1.6235, 11.6683), (50, 37.1108, 65.9184)]
)
def test_poisson_against_garwoods_table(count: int, low: float, high: float) -> None:
    assert poisson(count) == (pytest.approx(low, abs=1e-3), pytest.approx(high, abs=1e-3))


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=40), st.floats(0.01, 1))
def test_a_quantile_is_one_of_the_values_and_covers_its_share(values: list[float], q: float) -> None:
    found = quantile(values, q)
    assert found in values
    assert sum(value <= found for value in values) >= q * len(values) - 1e-6


def test_median_of_an_even_number_is_the_lower_one_and_p90_of_ten_the_ninth() -> None:
    assert quantile([4, 1, 3, 2], 0.5) == 2
    assert quantile(range(1, 11), 0.9) == 9


def test_a_share_is_at_least_as_wide_as_wilson_and_holds_the_share() -> None:
    rng = np.random.default_rng(3)
    of = rng.integers(5, 10, 200).astype(np.float64)
    hits = rng.binomial(of.astype(int), 0.1).astype(np.float64)
    low, high = Resample(np.repeat(np.arange(10), 20)).share(hits, of)
    inner = wilson(hits.sum(), of.sum())
    assert low <= inner[0] < hits.sum() / of.sum() < inner[1] <= high


def test_events_of_one_person_widen_the_interval() -> None:
    of, world = np.full(100, 10.0), np.repeat(np.arange(10), 10)
    spread, heap = np.zeros(100), np.zeros(100)
    spread[:50], heap[:5] = 1, 10
    again = Resample(world)
    wide, narrow = again.share(heap, of), again.share(spread, of)
    assert wide[1] - wide[0] > 1.5 * (narrow[1] - narrow[0])


def test_nothing_seen_is_wilsons_upper_end() -> None:
    nothing = np.zeros(30)
    assert Resample(np.zeros(30, np.int64)).share(nothing, np.full(30, 10.0)) == wilson(0, 300)
    assert Resample(np.zeros(0, np.int64)).share(np.zeros(0), np.zeros(0)) == (0.0, 1.0)


def test_weights_of_a_sample_draw_as_many_accounts_as_the_worlds_drawn_hold() -> None:
    weights = Resample(np.repeat([4, 9], [3, 7])).weights
    assert set(weights.sum(axis=1).astype(int).tolist()) == {6, 10, 14}


def test_bootstrap_of_a_quantile_holds_it_and_is_the_same_each_time() -> None:
    values, worlds = list(range(1, 41)), [k // 4 for k in range(40)]
    low, high = bootstrap_quantile(values, worlds, 0.5)
    assert low < 20 < high
    assert bootstrap_quantile(values, worlds, 0.5) == (low, high)
    assert bootstrap_quantile([7, 7, 7], [0, 1, 2], 0.9) == (7, 7)


@pytest.mark.parametrize("count", [300, 399, 400, 401, 1_507, 100_000])
def test_poisson_of_large_counts_covers_the_count_and_goes_on_from_the_exact_one(count: int) -> None:
    low, high = poisson(count)
    assert low == pytest.approx(count - 1.96 * count**0.5, rel=0.01)
    assert high == pytest.approx(count + 1.96 * count**0.5, rel=0.01)
    assert low < count < high
    exact, near = poisson(400), poisson(401)
    assert 0.5 < near[0] - exact[0] < 1.5
    assert 0.5 < near[1] - exact[1] < 1.5

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from watchbill.context.feeds import CLOCK_SIZE, FEED, feed_tick, poisson_gamma_below

HOUR, MINUTE = 3_600_000, 60_000
DAY = 24 * HOUR
START = 20_000 * DAY
SETTINGS = np.array([MINUTE, 0, 0.01, 5.0])


class Feeds:
    """Outlets sending scans minute by minute, and the gates after each minute."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.feed, self.clock = np.zeros(4, FEED), np.zeros(CLOCK_SIZE, np.int64)

    def run(self, start: int, minutes: int, rates: list[float]) -> NDArray[np.uint8]:
        """uint8[minutes, outlets]; rates in scans an hour, each with a busy or quiet day of its own (factor 0.7-1.4)."""
        gates = np.zeros((minutes, len(rates)), np.uint8)
        for i in range(minutes):
            arrival = start + i * MINUTE
            if arrival % DAY == 0:
                self.mood = self.rng.uniform(0.7, 1.4, len(rates))
            feed_tick(self.feed, self.clock, arrival, SETTINGS)
            gates[i] = self.feed["gated"][: len(rates)]
            self.feed["now"][: len(rates)] += self.rng.poisson(np.array(rates) * self.mood / 60).astype(np.int32)
        return gates


def test_a_feed_that_stops_is_gated_within_an_hour_and_opens_again() -> None:
    feeds = Feeds(1)
    feeds.run(START, 8 * 24 * 60, [60.0, 400.0, 3_000.0])
    noon = START + 8 * DAY
    feeds.run(noon, 12 * 60, [60.0, 400.0, 3_000.0])
    silent = feeds.run(noon + 12 * HOUR, 90, [0.0, 0.0, 3_000.0])
    assert silent[59:, :2].all()
    assert silent[20:, 1].all()  # the denser the feed, the sooner its silence is known
    assert not silent[:, 2].any()
    back = feeds.run(noon + 12 * HOUR + 90 * MINUTE, 180, [60.0, 400.0, 3_000.0])
    assert back[75:].mean() < 0.03


def test_busy_and_quiet_days_are_not_gated() -> None:
    feeds = Feeds(2)
    rates = [30.0, 200.0, 5_000.0]
    feeds.run(START, 10 * 24 * 60, rates)
    calm = feeds.run(START + 10 * DAY, 3 * 24 * 60, rates)
    surge = feeds.run(START + 13 * DAY, 24 * 60, [3 * rate for rate in rates])
    print(f"gated minutes of a working feed: {calm.mean():.4f}")  # noqa: T201
    assert calm.mean() < 0.01
    assert not surge.any()


def test_a_gate_stays_shut_through_the_quiet_night() -> None:
    feeds = Feeds(3)
    day = [(8, 3.0), (10, 80.0), (6, 3.0)]  # hours, scans an hour
    for number in range(6):
        start = START + number * DAY
        for hours, rate in day:
            feeds.run(start, hours * 60, [rate])
            start += hours * HOUR
    dead = START + 6 * DAY
    feeds.run(dead, 8 * 60, [3.0])
    assert feeds.run(dead + 8 * HOUR, 16 * 60, [0.0])[60:].all()
    assert feeds.run(dead + DAY, 8 * 60, [0.0]).all()


def test_a_feed_that_stays_thinner_opens_in_the_end() -> None:
    feeds = Feeds(4)
    feeds.run(START, 8 * 24 * 60, [200.0])
    gates = [feeds.run(START + day * DAY, 24 * 60, [60.0]).mean() for day in range(8, 40)]
    assert gates[0] > 0.8
    assert max(gates[-3:]) < 0.5


def test_what_is_not_known_is_not_judged() -> None:
    feeds = Feeds(5)
    assert not feeds.run(START, 26 * 60, [500.0]).any()  # its second day begins: one day is no standard
    rare = Feeds(6)
    rare.run(START, 8 * 24 * 60, [2.0])
    assert not rare.run(START + 8 * DAY, 12 * 60, [0.0]).any()  # fewer than `feed_scans_min`


def test_rows_made_ahead_learn_nothing() -> None:
    feeds = Feeds(7)
    feeds.run(START, 3 * 24 * 60, [100.0])
    assert feeds.feed["days"][0].min() >= 2
    assert not feeds.feed["days"][1:].any()


def test_a_jump_of_the_clock_starts_anew() -> None:
    feeds = Feeds(8)
    feeds.run(START, 60, [100.0])
    feeds.run(START + 400 * DAY, 60, [100.0])
    assert feeds.feed["days"][0].sum() <= 2


def exact(count: int, mean: float, variance: float) -> float:
    """The sum in logs, term by term."""
    if variance <= mean * 1.01:
        logs = [k * math.log(mean) - mean - math.lgamma(k + 1) for k in range(count + 1)]
    else:
        size = mean * mean / (variance - mean)
        p = size / (size + mean)
        logs = [
            math.lgamma(k + size) - math.lgamma(size) - math.lgamma(k + 1) + size * math.log(p) + k * math.log1p(-p)
            for k in range(count + 1)
        ]
    return math.fsum(math.exp(term) for term in logs)


@given(st.integers(0, 400), st.floats(0.5, 300), st.floats(1, 20))
def test_lower_tails_are_exact(count: int, mean: float, spread: float) -> None:
    count = min(count, int(mean))  # the upper half is never asked for
    said = poisson_gamma_below(float(count), mean, mean * spread)
    assert said == pytest.approx(min(1.0, exact(count, mean, mean * spread)), rel=1e-5, abs=1e-12)


def test_tails_of_dense_feeds_do_not_vanish() -> None:
    assert poisson_gamma_below(20_000, 20_000, 20_000) == pytest.approx(0.5, abs=0.01)
    assert poisson_gamma_below(19_000, 20_000, 1e6) == pytest.approx(0.16, abs=0.02)
    assert poisson_gamma_below(0, 20_000, 1e6) == pytest.approx(0, abs=1e-12)

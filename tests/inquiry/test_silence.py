from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from watchbill.inquiry.silence import Heard

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def heard(*arrivals: int) -> Heard:
    """A source whose records arrived then."""
    one = Heard()
    one.hear(np.array(arrivals, np.int64))
    return one


def test_a_source_is_silent_an_hour_after_its_last_record_when_it_never_paused() -> None:
    one = heard(*range(0, HOUR, MINUTE))
    last = 59 * MINUTE
    assert not one.silent(last + HOUR)
    assert one.silent(last + HOUR + 1)
    assert one.lag_ms(last + 5) == 5


def test_nights_are_a_habit_after_three_and_one_outage_is_none() -> None:
    days = [day * DAY + minute * MINUTE for day in range(4) for minute in range(0, 14 * 60, 5)]
    last = days[-1]
    night = DAY - (14 * 60 - 5) * MINUTE
    assert not heard(*days).silent(last + 2 * night)
    assert heard(*days).silent(last + 2 * night + 1)
    once = heard(0, 5 * DAY, 5 * DAY + MINUTE)
    assert once.silent(5 * DAY + MINUTE + HOUR + 1), "one outage must not excuse the next"


def test_a_clock_behind_the_last_record_is_no_lag() -> None:
    assert heard(10 * HOUR).lag_ms(HOUR) == 0


def test_nothing_is_expected_of_a_source_that_never_spoke() -> None:
    one = Heard()
    one.hear(np.zeros(0, np.int64))
    assert (one.last, one.lag_ms(DAY), one.silent(DAY)) == (None, None, False)


@given(
    st.lists(st.integers(0, 3 * HOUR), min_size=1, max_size=60),
    st.lists(st.integers(0, 60), max_size=8),
)
def test_cuts_change_nothing(pauses: list[int], cuts: list[int]) -> None:
    arrivals = np.cumsum(np.array(pauses, np.int64))
    whole, parts = Heard(), Heard()
    whole.hear(arrivals)
    edges = sorted({0, len(pauses), *(cut for cut in cuts if cut < len(pauses))})
    for start, end in itertools.pairwise(edges):
        parts.hear(arrivals[start:end])
    assert parts == whole
    assert whole.pauses == sorted((int(p) for p in np.diff(arrivals) if p > 0), reverse=True)[:3]

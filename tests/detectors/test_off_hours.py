from __future__ import annotations

import itertools
import math

import numpy as np

from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.kernels import daily_stake, example_looks, rare_event
from watchbill.detectors.off_hours import OFF, ON, P_FAR, P_LONG, P_MANY, THIRD, Detector

AROUND = Surroundings(accounts=2, present=frozenset({"shifts"}))
HOUR = 3_600_000


def looks(count: int, hour: float, shift: int, *, day: int = 20_000, gap_ms: int = 60_000) -> np.ndarray:
    events = example_looks(count, start_day=day, gap_ms=gap_ms)
    events["time"] += int((hour - 9) * HOUR)
    events["arrival"], events["shift"] = events["time"], shift
    events["hour"] = events["time"] // HOUR % 24
    return events


def test_three_bets_on_one_stake_have_mean_at_most_one_for_nested_events() -> None:
    chances = (P_FAR, P_MANY, P_LONG)
    total = 0.0
    # whatever depends on what: the day's factor is 1 - stake plus what each bet pays, whose means add up to the stake
    for said in itertools.product((0, 1), repeat=3):
        weight = math.prod(p if s else 1 - p for p, s in zip(chances, said, strict=True))
        m, paid = daily_stake(0.0), 0.0
        for p, s in zip(chances, said, strict=True):
            if s:
                m, paid = rare_event(m, THIRD, p, paid), paid + THIRD / p
        total += weight * math.exp(m)
    assert total <= 1 + 1e-9


def test_a_night_speaks_more_the_longer_it_lasts() -> None:
    day, night = looks(30, 9, ON), looks(90, 23, OFF, gap_ms=120_000)
    out = Detector(Settings()).observe(np.concatenate([day, night]), AROUND)
    assert out[:30].max() == 0
    assert 0 < out[30] < out[-1]


def test_an_early_start_is_taken_back_when_the_shift_begins() -> None:
    early, work = looks(40, 5.5, OFF), looks(5, 8, ON)
    out = Detector(Settings()).observe(np.concatenate([early, work]), AROUND)
    assert out[39] > 0
    assert out[-1] == 0


def test_roles_that_work_at_odd_hours_make_it_less_rare() -> None:
    detector = Detector(Settings())
    parts = [looks(2, 23, OFF, day=20_000 + d) for d in range(200)]
    detector.observe(np.concatenate(parts), AROUND)
    before = detector.chances.copy()
    detector.publish(0, AROUND)
    assert (detector.chances >= before).all()


def test_unknown_shifts_say_nothing() -> None:
    assert Detector(Settings()).observe(looks(50, 23, 0), AROUND).max() == 0

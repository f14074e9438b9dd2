from __future__ import annotations

import numpy as np
import pytest

from watchbill.context.events import RETRACT
from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.bounded_loss import CAPACITY_MIN, Detector
from watchbill.detectors.kernels import example_looks

AROUND = Surroundings(accounts=2)


def test_the_loss_of_a_burst_is_the_capacity() -> None:
    left = Detector(Settings()).observe(example_looks(60, gap_ms=1000), AROUND)
    assert (left >= 0).sum() == CAPACITY_MIN


def test_a_day_of_harvest_is_bounded_whatever_the_bucket_learns() -> None:
    detector = Detector(Settings())
    days = np.concatenate([example_looks(2_000, gap_ms=20_000, start_day=20_000 + d) for d in range(14)])
    free = (detector.observe(days, AROUND) >= 0).reshape(14, -1).sum(axis=1)
    print("unexplained records revealed by day of a steady harvest:", free.tolist())  # noqa: T201
    hours = 2_000 * 20 / 3600
    assert free.max() <= 40 + 40 * hours + 1  # the role's ceiling, as capacity and as refill an hour
    assert free.max() <= 60


def test_a_late_reason_refunds_and_a_weight_costs() -> None:
    detector, events = Detector(Settings()), example_looks(9, gap_ms=1000)
    assert detector.observe(events, AROUND)[-1] < 0
    back = events[:3].copy()
    back["kind"] = RETRACT
    detector.observe(back, AROUND)
    more = example_looks(4, gap_ms=1000)
    more["arrival"] = events["arrival"][-1] + np.arange(4)
    assert (detector.observe(more, AROUND) >= 0).tolist() == [True, True, True, False]
    dear = example_looks(1)
    dear["account"], dear["weight"] = 1, 10
    assert detector.observe(dear, AROUND)[0] < 0  # an ID number is more than the smallest bucket


def test_explained_and_masked_looks_cost_nothing_and_never_say_over_the_bound() -> None:
    detector, events = Detector(Settings()), example_looks(8, gap_ms=1000)
    detector.observe(events, AROUND)
    fine = example_looks(300, gap_ms=3_600_000)
    fine["arrival"] += events["arrival"][-1] - fine["arrival"][0]
    fine["reason"], fine["weight"] = 1, 0
    assert (detector.observe(fine, AROUND) >= 0).all()


def test_a_silent_feed_freezes_evidence_and_never_the_bucket() -> None:
    events = example_looks(60, gap_ms=1000)
    events["gated"] = 1
    assert (Detector(Settings()).observe(events, AROUND) >= 0).sum() == CAPACITY_MIN


def test_what_was_masked_took_nothing_and_gives_nothing_back() -> None:
    detector, events = Detector(Settings()), example_looks(12, gap_ms=1000)
    assert (detector.observe(events, AROUND) < 0).tolist() == [False] * 8 + [True] * 4
    masked = events[8:].copy()
    masked["kind"] = RETRACT
    detector.observe(masked, AROUND)
    more = example_looks(1)
    more["arrival"], more["seq"] = events["arrival"][-1], 100
    assert detector.observe(more, AROUND)[0] < 0


def test_a_repeat_over_the_bound_is_over_it_too_and_costs_nothing_under_it() -> None:
    detector, events = Detector(Settings()), example_looks(9, gap_ms=1000)
    again = example_looks(1)
    again["weight"], again["first"], again["arrival"], again["seq"] = 0, 0, events["arrival"][0], 50
    left = detector.observe(np.concatenate([events[:3], again]), AROUND)
    assert left[-1] == pytest.approx(left[-2], abs=0.01) == pytest.approx(5, abs=0.01)
    assert detector.observe(np.concatenate([events[3:], again]), AROUND)[-1] < 0

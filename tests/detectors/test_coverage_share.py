from __future__ import annotations

import math

import numpy as np
import pytest

from watchbill.context.events import WORK
from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.coverage_share import LINGER, Detector, _nats
from watchbill.detectors.kernels import example_looks

AROUND = Surroundings(accounts=4, outlets=2, roles=("service",))


def day(number: int, looks: dict[int, int], scans: int) -> np.ndarray:
    """One day at outlet 1: its scans in the morning, then first looks of each account."""
    parts = [example_looks(scans, gap_ms=1_000, start_day=20_000 + number)]
    parts[0]["kind"], parts[0]["account"], parts[0]["at"] = WORK, -1, 1
    for account, count in looks.items():
        part = example_looks(count, gap_ms=1_000, start_day=20_000 + number)
        part["account"], part["outlet_id"], part["reason"] = account, 1, 1
        parts.append(part)
    return np.concatenate(parts)


def run(days: list[np.ndarray]) -> list[float]:
    """The most nats of each day, tables published between scans and looks."""
    detector, out = Detector(Settings()), []
    for events in days:
        detector.observe(events[events["kind"] == WORK], AROUND)
        detector.publish(0, AROUND)
        out.append(float(detector.observe(events[events["kind"] != WORK], AROUND).max()))
        detector.publish(0, AROUND)
    return out


@pytest.mark.parametrize(("mean", "size"), [(30.0, 4.0), (80.0, 20.0)])
def test_the_ratio_has_mean_at_most_one_and_rises_with_the_count(mean: float, size: float) -> None:
    p = mean / (mean + size)
    total, last = 0.0, -math.inf
    for k in range(3_000):
        log_mass = (
            math.lgamma(k + size) - math.lgamma(size) - math.lgamma(k + 1) + k * math.log(p) + size * math.log1p(-p)
        )
        nats = _nats(float(k), mean, size)
        assert nats >= last
        total, last = total + math.exp(log_mass + nats), nats
    assert 0.7 < total <= 1 + 1e-6  # under 1 where the ratio is cut


def test_a_surge_of_parcels_and_a_colleagues_day_off_are_honest() -> None:
    usual = [day(d, {0: 60, 1: 60}, 1_000) for d in range(8)]
    assert max(run([*usual, day(8, {0: 150, 1: 140}, 2_500)])) < 2
    assert max(run([*usual, day(8, {0: 125}, 1_000)])) < 2


def test_a_copy_of_the_outlets_list_is_found_although_colleagues_work_as_always() -> None:
    usual = [day(d, {0: 60, 1: 60}, 1_000) for d in range(8)]
    said = run([*usual, *(day(8 + d, {1: 60, 0: 500}, 1_000) for d in range(3))])
    assert max(said[:8]) < 1
    assert said[8] > 3
    assert max(said[9:]) > 8


def test_a_day_that_is_busy_for_a_whole_role_is_expected_of_each_of_its_accounts() -> None:
    around = Surroundings(accounts=60, outlets=2, roles=("service", "courier"))
    detector = Detector(Settings())
    detector.grow(60)
    rows = detector.rows[:60]
    rows["mean"], rows["role"], rows["day"] = 60, np.arange(60) % 2, 5
    rows["count"] = np.where(rows["role"] == 0, 120, 60)
    rows["count"][1] = 6_000  # a harvest of one account is no rise of its role
    detector.publish(0, around)
    assert detector.crowd[0] == pytest.approx(2.0)
    assert detector.crowd[1] < 1.1
    rows["day"], rows["count"] = 6, 0
    detector.publish(0, around)
    assert detector.crowd[0] == pytest.approx(LINGER * 2.0)
    rows["day"] = 7
    detector.publish(0, around)
    assert detector.crowd[0] == 1.0


def test_an_outlet_that_changed_is_not_odd_for_ever() -> None:
    usual = [day(d, {0: 60}, 1_000) for d in range(8)]
    said = run([*usual, *(day(8 + d, {0: 180}, 1_000) for d in range(20))])
    assert max(said[8:14]) > 3
    assert said[-1] < 0.5 * max(said)

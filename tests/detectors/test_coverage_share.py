from __future__ import annotations

import math

import numpy as np
import pytest

from watchbill.context.events import WORK
from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.coverage_share import Detector, _nats
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

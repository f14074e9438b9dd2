from __future__ import annotations

import numpy as np
import pytest

from watchbill.context.events import WORK
from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.consequence import Detector
from watchbill.detectors.kernels import example_looks

AROUND = Surroundings(accounts=1)


def day(number: int, looks: int, worked: int) -> np.ndarray:
    events = example_looks(looks, start_day=20_000 + number)
    work = events[:worked].copy()
    work["kind"], work["follows"], work["first"], work["reveal"] = WORK, 1, 0, 0
    return np.concatenate([events, work])


def test_a_day_speaks_when_it_is_over() -> None:
    usual = [day(d, 80, 78) for d in range(3)]
    out = Detector(Settings()).observe(np.concatenate([*usual, day(3, 200, 60), day(4, 1, 0)]), AROUND)
    assert out[:-1].max() < 1
    assert out[-1] > 5


def test_half_the_work_in_a_colleagues_name_is_no_alarm() -> None:
    days = [day(d, 80, 70) for d in range(4)] + [day(4, 80, 50), day(5, 1, 0)]
    assert Detector(Settings()).observe(np.concatenate(days), AROUND).max() < 5


def test_a_role_whose_looks_lead_to_no_work_is_silent() -> None:
    assert Detector(Settings()).observe(np.concatenate([day(d, 80, 0) for d in range(9)]), AROUND).max() == 0


def test_a_day_says_no_more_than_how_rare_such_days_are_in_the_role() -> None:
    detector = Detector(Settings())
    detector._prepare(AROUND)
    detector.votes[0, 2], detector.votes[0, 20] = 90.0, 9.0
    detector.publish(0, AROUND)
    assert detector.rare[0, 20] == pytest.approx(np.log(100 / 10), rel=0.01)
    assert detector.rare[0, 21] == pytest.approx(np.log(100 / 1), rel=0.01)
    assert detector.rare[0, 0] == 0

from __future__ import annotations

import numpy as np

from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.greedy_fields import LEARN_DAYS, Detector
from watchbill.detectors.kernels import example_looks

AROUND = Surroundings(accounts=12)


def carrier(days: int, *, fields: int = 3) -> np.ndarray:
    events = np.concatenate([example_looks(40, start_day=20_000 + d) for d in range(days) for _ in range(10)])
    events["account"] = np.tile(np.repeat(np.arange(10), 40), days)
    events["fields"] = fields
    return events


def test_more_than_role_and_account_are_used_to_is_a_hit() -> None:
    detector = Detector(Settings())
    detector.observe(carrier(LEARN_DAYS + 1), AROUND)
    detector.publish(0, AROUND)
    assert detector.usual[0].tolist() == [3, -1, -1]
    looks = example_looks(4, start_day=20_000 + LEARN_DAYS + 1)
    looks["fields"], looks["first"] = [2, 3, 4, 9], 1
    assert detector.marks(looks).tolist() == [0, 0, 1, 1]


def test_a_new_screen_becomes_habit_and_a_harvest_of_a_day_does_not() -> None:
    detector = Detector(Settings())
    detector.observe(carrier(LEARN_DAYS + 1), AROUND)
    for day in range(LEARN_DAYS + 2):
        looks = example_looks(40, start_day=20_010 + day)
        looks["fields"] = 6
        hits = (detector.marks(looks) == 1).sum()
        assert hits == (40 if day <= LEARN_DAYS - 1 else 0), day


def test_lists_three_times_as_long_as_any_are_greedy() -> None:
    detector = Detector(Settings())
    lists = carrier(LEARN_DAYS + 1)
    lists["results"][::20], lists["page"][::20] = 30, 2
    detector.observe(lists, AROUND)
    detector.publish(0, AROUND)
    looks = example_looks(3, start_day=20_020)
    looks["fields"], looks["results"], looks["page"] = 3, [30, 40, 600], 1
    assert detector.marks(looks).tolist() == [0, 0, 1]

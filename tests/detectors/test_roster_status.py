from __future__ import annotations

import numpy as np
import pytest

from watchbill.context.roster import ACTIVE, EARLY, ENDED, UNKNOWN
from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.kernels import example_looks
from watchbill.detectors.roster_status import Detector

AROUND = Surroundings(accounts=1, present=frozenset({"accounts"}))


def days(*spans: tuple[int, int, int]) -> np.ndarray:
    """Looks on each day of (first day, days, roster status)."""
    parts = []
    for first, count, status in spans:
        for day in range(first, first + count):
            looks = example_looks(3, start_day=20_000 + day)
            looks["roster"] = status
            parts.append(looks)
    return np.concatenate(parts)


@pytest.mark.parametrize(
    ("events", "most", "least"),
    [
        (days((0, 5, ACTIVE), (20, 1, ENDED)), 99, 3),  # a leaver who comes back after a silence
        (
            days((0, 5, ACTIVE), (5, 7, ENDED)),
            0,
            0,
        ),  # works on without a break: a finding about the data for seven days
        (days((0, 5, ACTIVE), (5, 9, ENDED)), 99, 3),  # and no longer
        (days((0, 7, UNKNOWN)), 0, 0),  # a stranger, for seven days
        (days((0, 12, UNKNOWN)), 99, 3),
        (days((0, 7, EARLY), (7, 5, ACTIVE)), 0, 0),  # a roster that was late
        (days((0, 5, ACTIVE), (9, 1, ACTIVE), (10, 3, ENDED)), 0, 0),
    ],
)
def test_spells_outside_the_roster(events: np.ndarray, most: float, least: float) -> None:
    last = Detector(Settings()).observe(events, AROUND)[-1]
    assert least <= last <= most


def test_masked_looks_are_not_held_against_a_leaver() -> None:
    events = days((0, 5, ACTIVE), (20, 1, ENDED))
    events["reveal"] = 0
    assert Detector(Settings()).observe(events, AROUND).max() == 0

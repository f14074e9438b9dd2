from __future__ import annotations

import numpy as np

from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.kernels import example_looks
from watchbill.detectors.number_gaps import LAST, Detector

AROUND = Surroundings(accounts=2)


def marks(numbers: list[int], **fields: object) -> list[int]:
    events = example_looks(len(numbers))
    events["number"] = numbers
    for name, value in fields.items():
        events[name] = value
    detector = Detector(Settings())
    detector.grow(2)
    return detector.marks(events).tolist()


def test_near_is_within_a_few_numbers_of_one_of_the_last() -> None:
    assert marks([1_000, 1_009, 5_000, 1_001, 5_020, 0]) == [0, 1, 0, 1, 0, -1]
    far = [10_000 * k for k in range(1, LAST + 1)]
    assert marks([77, *far, 78])[-1] == 0  # sixteen others lie between
    assert marks([77, *far[:-1], 78])[-1] == 1


def test_own_parcels_do_not_count_and_are_remembered() -> None:
    assert marks([1_000, 1_001, 1_002], assigned=[1, 1, 2]) == [-1, -1, 1]


def test_the_last_numbers_are_each_accounts_own() -> None:
    assert marks([1_000, 1_001], account=[0, 1]) == [0, 0]


def test_a_shop_of_parcels_now_and_then_is_honest() -> None:
    rng = np.random.default_rng(3)
    days = np.concatenate([example_looks(100, start_day=20_000 + d) for d in range(8)])
    days["number"] = rng.integers(1, 10**12, 800)
    days["number"][::10] = days["number"][9::10] + 1
    days["number"][710:740] = 4_000_000 + np.arange(30)
    assert Detector(Settings()).observe(days, AROUND).max() <= 8.1  # thirty in one hour

from __future__ import annotations

import numpy as np

from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.fresh_parcels import Detector
from watchbill.detectors.kernels import example_looks

AROUND = Surroundings(accounts=1)


def test_handling_the_parcel_is_no_excuse() -> None:
    events = example_looks(2)
    events["fresh"], events["own_scan"] = 1, [0, 1]
    work = events[1:].copy()
    work["kind"], work["follows"] = 4, 1
    assert Detector(Settings()).marks(np.concatenate([events, work])).tolist() == [1, 1, -1]


def test_who_always_looked_at_fresh_parcels_goes_on_unsuspected() -> None:
    days = np.concatenate([example_looks(100, start_day=20_000 + d) for d in range(8)])
    days["fresh"] = np.arange(800) % 5 == 0
    assert Detector(Settings()).observe(days, AROUND).max() < 5
    days["fresh"][750:] = 1
    assert Detector(Settings()).observe(days, AROUND)[-1] > 8

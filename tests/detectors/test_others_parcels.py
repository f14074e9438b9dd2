from __future__ import annotations

import numpy as np

from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.kernels import example_looks
from watchbill.detectors.others_parcels import Detector
from watchbill.detectors.share_kernels import PAID, PASS

AROUND = Surroundings(accounts=20, roles=("courier", "service"))


def test_only_a_parcel_of_others_never_in_hand_is_a_hit() -> None:
    events = example_looks(6)
    events["assigned"], events["own_scan"] = [1, 2, 0, 2, 2, 2], [0, 0, 0, 1, 0, 0]
    events["gated"][4], events["kind"][5], events["follows"][5] = 1, 4, 1
    assert Detector(Settings()).marks(events).tolist() == [0, 1, 1, 0, PASS, PAID]


def test_half_explained_records_of_others_are_found_within_a_dozen() -> None:
    days = np.concatenate([example_looks(100, start_day=20_000 + d) for d in range(4)])
    days["assigned"] = 1
    days["assigned"][::40] = 2
    days["reason"] = 1
    days["assigned"][350:] = 2
    days["reason"][350::2] = 0
    out = Detector(Settings()).observe(days, AROUND)
    assert out[:350].max() < 8
    assert out[362] > np.log(1e5 / 0.05)


def test_a_role_without_own_parcels_is_silent() -> None:
    days = np.concatenate([example_looks(100, start_day=20_000 + d) for d in range(4)])
    days["assigned"] = 2
    assert Detector(Settings()).observe(days, AROUND).max() == 0

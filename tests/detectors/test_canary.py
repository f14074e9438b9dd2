from __future__ import annotations

from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.canary import Detector
from watchbill.detectors.kernels import example_looks

AROUND = Surroundings(accounts=1, present=frozenset({"canaries"}))


def test_the_same_canary_counts_once_a_day_and_another_once_more() -> None:
    events = example_looks(5)
    events["canary"], events["item"] = 1, [1, 1, 2, 1, 3]
    out = Detector(Settings()).observe(events, AROUND)
    assert out[0] == out[1] < out[2] == out[3] == out[4]


def test_a_masked_hit_counts_and_a_failed_one_does_not() -> None:
    events = example_looks(2)
    events["canary"], events["reveal"], events["success"] = 1, 0, [0, 1]
    out = Detector(Settings()).observe(events, AROUND)
    assert out[0] == 0
    assert out[1] > 5

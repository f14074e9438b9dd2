from __future__ import annotations

import numpy as np

from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.breadth import Detector
from watchbill.detectors.kernels import example_looks

AROUND = Surroundings(accounts=1)


def test_an_hour_of_clearing_problem_parcels_is_honest() -> None:
    days = np.concatenate([example_looks(120, start_day=20_000 + d) for d in range(6)])
    days["first"] = np.arange(720) % 2
    days["first"][660:690] = 1
    assert Detector(Settings()).observe(days, AROUND).max() < 3


def test_failed_looks_say_nothing() -> None:
    events = example_looks(3)
    events["success"], events["first"] = [1, 0, 1], [1, 1, 0]
    assert Detector(Settings()).marks(events).tolist() == [1, -1, 0]

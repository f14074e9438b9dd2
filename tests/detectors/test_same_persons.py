from __future__ import annotations

import numpy as np

from watchbill.context.events import RETRACT
from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.kernels import example_looks
from watchbill.detectors.same_persons import BUSY_MIN, Detector
from watchbill.detectors.share_kernels import PAID, PASS

AROUND = Surroundings(accounts=3)
DAY_MS = 86_400_000


def looks(*subjects: int, day: int = 0, reason: int = 0) -> np.ndarray:
    events = example_looks(len(subjects), start_day=20_000 + day)
    events["subject"] = events["subject_last"] = np.array(subjects, np.uint64) << 40
    events["reason"], events["item"] = reason, np.arange(len(subjects)) + 1 + 1_000 * day
    return events


def test_a_hit_is_a_look_without_a_reason_at_somebody_so_seen_on_another_day() -> None:
    detector = Detector(Settings())
    detector.grow(1)
    assert detector.marks(looks(1, 2, 1)).tolist() == [0, 0, 0]
    assert detector.marks(looks(1, 3, 2, day=1)).tolist() == [1, 0, 1]
    assert detector.marks(looks(3, 1, day=2, reason=1)).tolist() == [PASS, PASS]


def test_either_customer_of_a_parcel_counts() -> None:
    detector = Detector(Settings())
    detector.grow(1)
    detector.marks(looks(1))
    events = looks(5, day=1)
    events["subject_last"] = np.uint64(1) << np.uint64(40)
    assert detector.marks(events).tolist() == [1]


def test_customers_whom_everybody_meets_count_for_nobody() -> None:
    detector = Detector(Settings())
    detector.grow(1)
    detector.marks(looks(*[7] * int(BUSY_MIN + 2), reason=1))
    detector.publish(3_600_000, AROUND)
    detector.marks(looks(7, 8))
    assert detector.marks(looks(7, 8, day=1)).tolist() == [0, 1]
    detector.publish(DAY_MS, AROUND)
    detector.publish(DAY_MS + 3_600_000, AROUND)
    assert detector.busy.max() == (BUSY_MIN + 4) // 2


def test_masked_and_gated_looks_say_nothing_and_a_late_reason_takes_back() -> None:
    events = looks(1, 1, 1)
    events["reveal"][0], events["gated"][1], events["kind"][2] = 0, 1, RETRACT
    detector = Detector(Settings())
    detector.grow(1)
    assert detector.marks(events).tolist() == [PASS, PASS, PAID]


def test_who_is_busy_is_read_from_the_published_table_only_also_before_the_first() -> None:
    detector = Detector(Settings())
    detector.grow(1)
    detector.marks(looks(*[7] * int(BUSY_MIN + 2), reason=1))
    assert (detector.counts.max(), detector.busy.max()) == (BUSY_MIN + 2, 0)

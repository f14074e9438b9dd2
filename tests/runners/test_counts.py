"""Counts of what was taken in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from watchbill.runners.counts import Counts


def test_kinds_times_and_decisions_add_up() -> None:
    counts = Counts()
    counts.add(pa.table({"kind": ["view", "scan", "view"], "time": [5, 3, 9]}), np.array([0, 1], np.uint8), 1)
    counts.add(pa.table({"kind": ["view"], "time": [7]}), np.array([1], np.uint8), 2)
    counts.add(
        pa.table({"kind": pa.array([], pa.string()), "time": pa.array([], pa.int64())}), np.zeros(0, np.uint8), 0
    )
    assert counts.kinds == {"view": 3, "scan": 1}
    assert (counts.looks, counts.decisions, counts.interventions) == (3, {"0": 1, "1": 2}, 3)
    assert (counts.first_time, counts.last_time) == (3, 9)

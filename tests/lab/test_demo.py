from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from watchbill.lab import demo as lab
from watchbill.lab.demo import Demo, Lease
from watchbill.runners.clock import ManualClock


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    one = Demo(tmp_path, ManualClock(), seed=1, days=4)
    one.lease = Lease("A", 0, 10, frozenset({"r"}), 1, 1, 1)
    return one


def piece() -> pa.Table:
    return pa.table(
        {
            "id": ["r", "o", "x"], "account": ["A", "A", "B"], "kind": ["view", "view", "view"],
            "outcome": ["success"] * 3, "masked": pa.array([False] * 3),
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("how", "outcomes", "masked", "owner"),
    [
        ("deny", ["denied", "denied", "success"], [False, False, False], 1),
        ("prove", ["denied", "success", "success"], [False, False, False], 0),
        ("mask", ["success"] * 3, [True, True, False], 1),
    ],
)
def test_the_carrier_records_what_it_was_told(
    demo: Demo, how: str, outcomes: list[str], masked: list[bool], owner: int
) -> None:
    obeyed = demo._obeyed(piece(), how, np.array([True, False, False]))
    assert obeyed.column("outcome").to_pylist() == outcomes
    assert obeyed.column("masked").to_pylist() == masked
    assert demo.tally.owner_refused == owner


def test_the_lab_builds_one_lease_and_knows_what_it_would_have_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab, "SCALE", 0.1)
    one = Demo(tmp_path, ManualClock(), seed=3, days=4)
    one.build()
    assert one.lease.days == 2
    assert len(one.lease.ids) == one.lease.looks
    assert 0 < one.records_unwatched() <= one.lease.looks
    assert one.lease.since < one.lease.until


def test_a_step_on_a_device_that_looks_for_itself_is_told_by_its_device(demo: Demo) -> None:
    demo._intervention({"device": "S9", "step": "step_up", "time": 5, "evidence": {"reason": 2.0}})
    assert demo.tally.events == [(5, "device S9", "step_up (reason e=2)", False)]

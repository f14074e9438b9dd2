from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from watchbill.context.events import LOOK, WORK
from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.concurrent import GOES_ON, GOES_ON_WRONG, NO_MORE_NATS, STEP_NATS, Detector
from watchbill.detectors.kernels import example_looks


def around(**more: object) -> Surroundings:
    """Places: the outlet's, its city's home lines (20 km off), a carrier's NAT; outlet 0 stands at place 0."""
    fields: dict[str, object] = {
        "accounts": 1, "outlets": 1, "present": frozenset({"networks"}), "lat": np.array([39.9, 40.08, 40.08]),
        "lon": np.array([116.4, 116.4, 116.4]), "place_kind": np.array([1, 3, 2], np.uint8),
        "outlet_lat": np.array([39.9]), "outlet_lon": np.array([116.4]),
    }  # fmt: skip
    return Surroundings(**(fields | more))  # type: ignore[arg-type]


def round_and_desk(scans: int = 30, place: int = 1, gap_ms: int = 120_000) -> NDArray[np.void]:
    """Four days of scans alone, then a day on which every scan is followed by a desk's look, half a minute later."""
    days = np.concatenate([example_looks(5, start_day=20_000 + d) for d in range(4)])
    last = example_looks(2 * scans, start_day=20_004)
    last["time"] = last["time"][0] + np.repeat(np.arange(scans), 2) * gap_ms + np.tile([0, 30_000], scans)
    last["arrival"] = last["time"]
    events = np.concatenate([days, last])
    events["kind"], events["at"], events["device"] = WORK, 0, 5
    events["kind"][len(days) + 1 :: 2], events["place"][len(days) + 1 :: 2] = LOOK, place
    events["device"][len(days) + 1 :: 2] = 9
    return events


def nats(events: NDArray[np.void], surroundings: Surroundings | None = None) -> float:
    return float(Detector(Settings()).observe(events, surroundings or around())[-1])


def test_a_desk_that_searches_while_the_owner_scans_elsewhere() -> None:
    out = Detector(Settings()).observe(round_and_desk(), around())
    assert out[:20].max() == 0
    assert 15 < out[-1] <= 40


def test_honest_days_that_look_like_it_say_nothing() -> None:
    assert nats(round_and_desk(place=0)) == 0  # the counter PC beside him
    assert nats(round_and_desk(place=2)) == 0  # carrier NAT is no place
    assert (
        nats(round_and_desk(gap_ms=1_300_000)) == 0
    )  # over ten minutes between a scan and the desk: he may have gone there
    shared = round_and_desk()
    shared["persons"] = 2  # a shared number: it cannot tell
    assert nats(shared) == 0
    late = round_and_desk()
    late["arrival"][late["kind"] == WORK] += 3_600_000
    assert nats(late) == 0  # scans that reach the log late
    one_phone = round_and_desk()
    one_phone["device"] = 5
    assert nats(one_phone) == 0
    moved = round_and_desk()
    moved["kind"][20:40:2], moved["place"][20:40:2] = LOOK, 1  # in the morning there, in the afternoon here
    moved["kind"][20:40], moved["place"][20:40] = LOOK, 1
    moved["kind"][40:], moved["at"][40:] = WORK, 0
    assert nats(moved) == 0


def test_a_registered_machine_stands_where_the_register_says() -> None:
    register = {
        "registered": np.array([9], np.uint64),
        "device_outlet": np.array([0], np.int32),
        "device_kind": np.array([1], np.uint8),
    }
    assert nats(round_and_desk(), around(**register)) == 0
    register["device_kind"] = np.array([2], np.uint8)
    assert nats(round_and_desk(), around(**register)) > 10


def test_a_place_of_earlier_days_is_the_accounts_own() -> None:
    events = round_and_desk()
    seen = events.copy()
    seen["kind"][0:20:5], seen["place"][0:20:5], seen["device"][0:20:5] = LOOK, 1, 9
    assert nats(seen) == 0
    assert nats(events) > 10


def test_the_bet_on_one_more_return_is_fair_under_the_null() -> None:
    assert GOES_ON * np.exp(STEP_NATS) + (1 - GOES_ON) * np.exp(NO_MORE_NATS) == pytest.approx(1.0)
    assert GOES_ON_WRONG > GOES_ON

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.in_turn import Detector, turn_nats
from watchbill.detectors.kernels import example_looks

HOUR = 3_600_000


def around(registered: int = 1) -> Surroundings:
    return Surroundings(
        accounts=12, outlets=12, present=frozenset({"accounts", "devices"}), place_kind=np.array([3, 1, 2, 5], np.uint8),
        registered=np.array([registered], np.uint64), device_kind=np.array([2], np.uint8),
    )  # fmt: skip


def turns(
    numbers: int, *, apart_ms: int = HOUR, outlets: int = 12, place: int = -1, device: int = 99
) -> NDArray[np.void]:
    events = np.concatenate([example_looks(3) for _ in range(numbers)])
    events["account"] = np.repeat(np.arange(numbers), 3)
    events["time"] += events["account"].astype(np.int64) * apart_ms
    events["arrival"], events["device"], events["outlet_id"] = events["time"], device, events["account"] % outlets
    events["place"], events["address"], events["reason"] = place, 77, 1
    return events


def last_says(events: NDArray[np.void], surroundings: Surroundings | None = None) -> float:
    """Nats at one more explained look of the last account, after a tick."""
    detector, where = Detector(Settings()), surroundings or around()
    detector.observe(events, where)
    more = events[-1:].copy()
    more["time"], more["arrival"] = more["time"] + HOUR, more["arrival"] + HOUR
    detector.publish(int(more["arrival"][0]), where)
    return float(detector.observe(more, where)[0])


def test_numbers_of_several_outlets_one_after_another() -> None:
    assert [round(last_says(turns(n)), 1) > 5 for n in (2, 3, 5)] == [False, True, True]
    assert last_says(turns(7)) > last_says(turns(4))


@pytest.mark.parametrize(
    ("events", "surroundings"),
    [
        (turns(6, apart_ms=60_000), None),  # hours are shared: rings has those
        (turns(6, outlets=1), None),  # colleagues of one outlet
        (turns(6), around(registered=99)),  # a registered handset
        (turns(6, device=0, place=1), None),  # an office network
        (turns(6, device=0, place=2), None),  # carrier NAT
        (turns(6, device=0, place=3), None),  # VPN
    ],
)
def test_honest_sharing_says_nothing(events: NDArray[np.void], surroundings: Surroundings | None) -> None:
    assert last_says(events, surroundings) == 0


def test_a_home_line_says_less_than_a_device() -> None:
    line = last_says(turns(6, device=0, place=0))
    assert 0 < line < last_says(turns(6))


def test_the_bets_over_all_numbers_of_outlets_are_at_most_one() -> None:
    for line in (0, 1):
        assert sum(0.5**m for m in range(1, 40)) <= 1
        nats = [turn_nats(m, line) for m in range(20)]
        assert nats[:3] == [0, 0, 0]
        assert nats == sorted(nats)


def test_who_was_forgiven_is_not_accused_through_the_same_device_again() -> None:
    detector, events = Detector(Settings()), turns(6)
    detector.observe(events, around())
    more = events[[0, -1]].copy()
    more["time"], more["arrival"] = more["time"] + 9 * HOUR, more["arrival"] + 9 * HOUR
    detector.publish(int(more["arrival"][0]), around())
    detector.forgive(5)
    said = detector.observe(more, around())
    assert said[0] > 5
    assert said[1] == 0

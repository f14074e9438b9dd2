from __future__ import annotations

import numpy as np
import pytest

from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.kernels import example_looks
from watchbill.detectors.login_place import Detector


def around(kinds: list[int] | None = None, lat: list[float] | None = None) -> Surroundings:
    return Surroundings(
        accounts=1, present=frozenset({"networks"}), lat=np.array(lat or [39.9, 26.1, 39.95]),
        lon=np.array([116.4, 119.3, 116.5]), place_kind=np.array(kinds or [1, 1, 1], np.uint8),
    )  # fmt: skip


def week(last_device: int, last_place: int, days: int = 8) -> np.ndarray:
    events = np.concatenate([example_looks(2, start_day=20_000 + d) for d in range(days)])
    events["device"], events["place"] = 11, 0
    events["device"][-2:], events["place"][-2:] = last_device, last_place
    return events


@pytest.mark.parametrize(
    ("device", "place", "kinds", "days", "speaks"),
    [
        (99, 1, [1, 1, 1], 8, True),
        (11, 1, [1, 1, 1], 8, False),  # an old device in a new place, a day apart
        (99, 0, [1, 1, 1], 8, False),  # a new handset at home
        (99, 1, [1, 2, 1], 8, False),  # carrier NAT says nothing about a place
        (99, 1, [1, 5, 1], 8, False),  # nor does a VPN
        (99, -1, [1, 1, 1], 8, False),
        (99, 1, [1, 1, 1], 3, False),  # the first days are only learned
    ],
)
def test_new_device_and_new_place_together(device: int, place: int, kinds: list[int], days: int, speaks: bool) -> None:
    out = Detector(Settings()).observe(week(device, place, days), around(kinds))
    assert (out[-1] > 2) == speaks


@pytest.mark.parametrize(
    ("place", "lat", "speaks"), [(1, None, True), (2, None, False), (1, [39.9, float("nan"), 39.95], False)]
)
def test_journeys(place: int, lat: list[float] | None, speaks: bool) -> None:
    events = week(11, 0)
    events["place"][-1] = place  # a minute later
    assert (Detector(Settings()).observe(events, around(lat=lat))[-1] > 2) == speaks


def test_who_is_under_suspicion_teaches_no_device_and_who_is_forgiven_does() -> None:
    near, detector = around(), Detector(Settings())
    detector.observe(week(11, 0), near)
    near.frozen = np.full(1, 1, np.uint8)
    away = week(99, 1, 1)
    away["day"] += 9
    assert detector.observe(away, near)[-1] > 2
    near.frozen = np.zeros(1, np.uint8)
    detector.forgive(0)
    assert detector.observe(away, near)[-1] == 0  # it only learns today
    away["day"] += 3
    assert detector.observe(away, near)[-1] == 0  # and knows the device and place from then on

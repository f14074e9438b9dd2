from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.former_device import Detector
from watchbill.detectors.kernels import example_looks

DAY = 86_400_000
LEAVER = 9


def around(kind: int = 0, shared: int = 0, end_day: int = 20_004) -> Surroundings:
    """Device 99 is registered when `kind` is not 0; the leaver's post ends with `end_day`."""
    here = 1 if kind else 0
    ends = np.full(10, 2**62)
    ends[LEAVER] = end_day * DAY
    return Surroundings(
        accounts=10, outlets=4, present=frozenset({"accounts", "devices"}), place_kind=np.array([3, 1], np.uint8),
        registered=np.array([99] * here, np.uint64), device_kind=np.array([kind] * here, np.uint8),
        device_shared=np.array([shared] * here, np.uint8), ends=ends,
    )  # fmt: skip


def held(days: int = 3, *, device: int = 99, place: int = -1) -> NDArray[np.void]:
    events = np.concatenate([example_looks(2, start_day=20_000 + d) for d in range(days)])
    events["account"], events["device"], events["outlet_id"], events["reason"] = LEAVER, device, 1, 1
    events["place"], events["address"] = place, 55
    return events


def others(
    looks: int = 4, *, account: int = 0, outlet: int = 2, device: int = 99, place: int = -1, day: int = 20_006
) -> NDArray[np.void]:
    events = example_looks(looks, start_day=day)
    events["account"], events["device"], events["outlet_id"], events["tenure_days"] = account, device, outlet, 400
    events["place"], events["address"] = place, 55
    return events


def says(past: list[NDArray[np.void]], events: NDArray[np.void], where: Surroundings) -> float:
    detector = Detector(Settings())
    for part in past:
        detector.observe(part, where)
        detector.publish(int(events["arrival"][0]) - 1, where)
    return float(detector.observe(events, where)[-1])


def test_a_leavers_phone_on_another_account_and_what_it_looks_at() -> None:
    quiet = others()
    quiet["reason"] = 1
    assert says([held()], others(5), around()) > 13.6
    assert 4 < says([held()], quiet, around()) < 7


@pytest.mark.parametrize(
    ("past", "events", "where"),
    [
        ([held()], others(outlet=1), around(kind=2)),  # a handset handed on to a colleague
        ([held()], others(), around(kind=1)),  # a PC stays where it is
        ([held()], others(), around(kind=2, shared=1)),
        ([held()], others(), around(end_day=20_100)),  # he has not left
        ([held()], others(device=98), around()),
        ([held(1)], others(), around()),  # used for one day only: lent
        ([held(place=1, device=0)], others(device=0, place=1), around()),  # an office network
    ],
)
def test_honest_handing_on_says_nothing(
    past: list[NDArray[np.void]], events: NDArray[np.void], where: Surroundings
) -> None:
    assert says(past, events, where) == 0


def test_a_new_hire_may_get_the_handset_even_elsewhere() -> None:
    new = others()
    new["tenure_days"] = 3
    assert says([held()], new, around(kind=2)) == 0


def test_several_accounts_on_one_handset_of_a_leaver() -> None:
    met = [others(1, account=1, outlet=1), others(1, account=2, outlet=1)]
    assert says([held(), *met], others(6, outlet=1), around(kind=2)) > 13.6


def test_a_home_line_says_less() -> None:
    line = says([held(device=0, place=0)], others(1, device=0, place=0), around())
    assert 0 < line < says([held()], others(1), around())


def test_who_was_forgiven_is_not_accused_of_the_same_thing_again() -> None:
    detector, where = Detector(Settings()), around()
    detector.observe(held(), where)
    detector.publish(20_005 * DAY, where)
    assert detector.observe(others(), where)[-1] > 5
    detector.forgive(0)
    assert detector.observe(others(day=20_007), where).max() == 0
    assert detector.observe(others(account=2, day=20_007), where)[-1] > 5

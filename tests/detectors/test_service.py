from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from watchbill.context.coverage import COVERAGE_GATED
from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.kernels import example_looks
from watchbill.detectors.service import GOES_ON, NO_MORE_NATS, STEP_NATS, Detector, P

ROBOT = 1


def around() -> Surroundings:
    """Devices 11 and 12 are servers, 13 a PC."""
    return Surroundings(
        accounts=1, roles=("courier", "robot"), present=frozenset({"accounts"}), registered=np.array([11, 12, 13], np.uint64),
        device_kind=np.array([4, 4, 1], np.uint8), place_kind=np.array([4, 3], np.uint8),
    )  # fmt: skip


def work(
    looks: int, start_day: int, *, device: int = 11, address: int = 21, what: int = 31, hour: int = 9, place: int = 0
) -> NDArray[np.void]:
    events = example_looks(looks, gap_ms=10_000, start_day=start_day)
    events["device"], events["address"], events["what"], events["role"] = device, address, what, ROBOT
    events["place"], events["hour"], events["gated"] = place, hour, COVERAGE_GATED  # robots are not judged by reasons
    return events


def after_a_week(*days: NDArray[np.void], role: int = ROBOT) -> float:
    events = np.concatenate([*(work(60, 20_000 + d) for d in range(9)), *days])
    events["role"] = role
    return float(Detector(Settings()).observe(events, around())[-1])


def test_a_stolen_identity_on_a_strange_machine_is_stopped_by_its_own_evidence() -> None:
    assert after_a_week(work(100, 20_009, device=99, address=98)) > 14.5
    assert after_a_week(work(100, 20_009, device=13, address=98)) > 14.5  # a registered PC is no server
    assert (
        after_a_week(work(100, 20_009, device=0, address=98, place=1)) > 14.5
    )  # where machines are not logged, the address is
    assert after_a_week(work(100, 20_009, device=99), role=0) == 0  # a courier's account is not this detector's


@pytest.mark.parametrize(
    "days",
    [
        (work(400, 20_009),),  # busy
        (work(60, 20_009, device=12, address=22),),  # a new server
        (work(60, 20_009, what=77), work(60, 20_010, what=77)),  # a release that asks for other fields
        (work(3, 20_009, device=13),),  # somebody tries it out
        (work(60, 20_009, hour=3),),
        (work(60, 20_009, device=0),),
        (work(100, 20_009, device=0, address=98),),  # another address in the data centre
    ],
)
def test_what_honest_robots_do_stops_none(days: tuple[NDArray[np.void], ...]) -> None:
    assert after_a_week(*days) < 8


def test_a_new_home_is_learned_after_a_day_without_suspicion() -> None:
    moved = [work(60, 20_009 + d, device=12, address=22, what=77) for d in range(4)]
    assert after_a_week(*moved) < 3


def test_one_quiet_look_the_day_before_opens_no_door() -> None:
    assert after_a_week(work(1, 20_009, device=99), work(100, 20_010, device=99)) > 14.5


def test_without_a_register_a_new_machine_is_a_bet_and_no_more() -> None:
    events = np.concatenate([*(work(60, 20_000 + d) for d in range(9)), work(100, 20_009, device=99)])
    blind = Surroundings(
        accounts=1, roles=("courier", "robot"), present=frozenset({"accounts"}), place_kind=np.array([4], np.uint8)
    )
    assert 0 < Detector(Settings()).observe(events, blind)[-1] < 6


def test_the_bets_are_fair_under_the_null() -> None:
    assert GOES_ON * np.exp(STEP_NATS) + (1 - GOES_ON) * np.exp(NO_MORE_NATS) == pytest.approx(1.0)
    assert P.max() <= 0.01

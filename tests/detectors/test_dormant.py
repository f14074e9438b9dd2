from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from watchbill.context.events import WORK
from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.dormant import PEERS_MIN, Detector
from watchbill.detectors.kernels import example_looks

HOUR = 3_600_000
PEERS = 150


def around() -> Surroundings:
    return Surroundings(
        accounts=PEERS + 2,
        roles=("courier", "service"),
        present=frozenset({"accounts"}),
        registered=np.array([7], np.uint64),
    )


def day(
    looks: int, start_day: int, *, account: int = 0, work: bool = True, tenure: int = 400, device: int = 4
) -> NDArray[np.void]:
    """A courier's day: a scan first (if any), then explained looks."""
    events = example_looks(looks + 1, start_day=start_day)
    events["account"], events["reason"], events["tenure_days"], events["device"] = account, 1, tenure, device
    events["kind"][0] = WORK
    return events if work else events[1:]


def taught(*, idle: int = 0) -> Detector:
    """A detector that has seen couriers work for four days; `idle` of them never scan."""
    detector = Detector(Settings())
    for start in range(20_000, 20_004):
        for peer in range(2, PEERS + 2):
            detector.observe(day(65, start, account=peer, work=peer >= 2 + idle), around())
    detector.publish(20_005 * 24 * HOUR, around())
    return detector


def test_a_number_that_slept_and_harvests_without_any_work() -> None:
    detector = taught()
    detector.observe(day(5, 20_000), around())
    back = day(80, 20_030, work=False)
    said = detector.observe(back, around())
    assert said[10] == 0
    assert 2 < said[-1] < 12  # all explained: evidence that grows with such days
    late = [float(detector.observe(day(80, 20_031 + d, work=False), around())[-1]) for d in range(3)]
    assert late == sorted(late)
    wild = day(80, 20_060, work=False)
    wild["reason"][::2] = 0
    assert detector.observe(wild, around())[-1] > 13.6


def test_honest_returns_and_temporary_staff_say_nothing() -> None:
    detector = taught()
    for start in (20_000, 20_030):
        assert detector.observe(day(80, start), around()).max() < 1
    many = [detector.observe(day(80, 20_031, account=peer, tenure=1), around()).max() for peer in range(2, 60)]
    assert max(many) == 0
    new = [detector.observe(day(80, 20_040, account=PEERS + 1, tenure=2), around()).max()]
    assert max(new) < 1


def test_where_peers_leave_no_work_either_it_is_no_sign() -> None:
    detector = taught(idle=60)
    detector.observe(day(5, 20_000), around())
    assert detector.observe(day(80, 20_030, work=False), around()).max() < 1


def test_too_few_peers_are_no_measure() -> None:
    detector = Detector(Settings())
    detector.observe(day(5, 20_000), around())
    for start in range(20_000, 20_000 + PEERS_MIN // 2):
        detector.observe(day(65, start, account=2), around())
    detector.publish(20_200 * 24 * HOUR, around())
    assert (detector.peers == 1).all()
    assert detector.observe(day(80, 20_130, work=False), around()).max() == 0


def test_a_return_on_a_strange_device_is_a_bet_and_on_a_registered_one_not() -> None:
    said = []
    for device in (9, 7, 4):
        detector = Detector(Settings())
        detector.observe(day(5, 20_000), around())
        said.append(float(detector.observe(day(3, 20_030, device=device), around())[-1]))
    assert said[0] > 0.5
    assert said[1:] == [0, 0]

from __future__ import annotations

import numpy as np
import pytest

from watchbill.context.events import RETRACT
from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.kernels import example_looks
from watchbill.detectors.slow import DAY_NATS_MAX, KNOWN_LOOKS, Detector

AROUND = Surroundings(accounts=8)


def days_of(hits: list[int], *, account: int = 0, device: int = 0, start: int = 20_000, looks: int = 100) -> np.ndarray:
    """Days of a hundred first looks, `hits[d]` of them without a reason."""
    events = np.concatenate([example_looks(looks, start_day=start + d) for d in range(len(hits))])
    events["account"], events["device"], events["seq"] = account, device, np.arange(len(events)) + 10**6 * account
    events["reason"] = 1
    for d, count in enumerate(hits):
        events["reason"][looks * d : looks * d + count] = 0
    return events


def test_a_steady_harvest_is_found_and_one_terrible_day_is_not() -> None:
    honest = [1, 0, 2, 1, 3, 0, 1, 2]
    steady = Detector(Settings()).observe(days_of(honest + [9] * 10 + [1]), AROUND)
    assert steady[-1] > np.log(1e5 / 0.05)
    bad = Detector(Settings()).observe(days_of([*honest, 40, 1, 2, 0, 1]), AROUND)
    assert 0 < bad.max() <= DAY_NATS_MAX
    assert bad[-1] < bad.max()


def test_an_account_is_judged_by_its_own_share_once_that_is_known() -> None:
    quiet = Detector(Settings()).observe(days_of([8] * (int(KNOWN_LOOKS) // 100)), AROUND)
    assert quiet.max() == 0
    careless = Detector(Settings()).observe(days_of([8, 6, 9, 7] * 6), AROUND)
    assert careless.max() < 5


def test_a_late_reason_takes_back_what_yesterdays_look_added() -> None:
    events = days_of([1, 0, 2, 1, 3, 1, 12])
    detector, other = Detector(Settings()), Detector(Settings())
    tomorrow = days_of([1], start=20_007, looks=1)
    detector.observe(events, AROUND)
    other.observe(events, AROUND)
    over = detector.observe(tomorrow, AROUND)[-1]
    other.observe(tomorrow, AROUND)
    back = events[events["day"] == 20_006][:11].copy()
    back["kind"] = RETRACT
    said = other.observe(back, AROUND)
    assert over > 1
    assert (np.diff(said) <= 1e-6).all()
    assert said[-1] == pytest.approx(0, abs=0.3)


def test_one_device_with_a_few_of_many_accounts_adds_up_and_colleagues_are_left_alone() -> None:
    honest, slow = [1, 0, 2, 1, 3, 0, 1, 2], [6] * 9
    parts = [days_of(honest + slow, account=a, device=5) for a in range(3)] + [days_of([1] * 17, account=4, device=5)]
    events = np.concatenate(parts)
    events = events[np.lexsort((events["account"], events["time"]))]
    around = Surroundings(accounts=8)
    detector = Detector(Settings())
    detector.observe(events, around)
    detector.publish(0, around)
    assert detector.keys.shape == (1,)
    last = np.concatenate([days_of([0], account=a, device=5, start=20_017, looks=1) for a in (0, 4)])
    pooled, colleague = detector.observe(last, around)
    alone = Detector(Settings()).observe(np.concatenate([parts[0], last[:1]]), around)[-1]
    assert pooled > alone > 4
    assert colleague == 0

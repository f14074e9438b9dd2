from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from watchbill.context.events import RETRACT
from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.device_pool import FLEET, Detector
from watchbill.detectors.kernels import example_looks

HOUR = 3_600_000
AROUND = Surroundings(accounts=60, outlets=4, present=frozenset({"accounts"}))


def through(accounts: range, looks: int, bad: int, *, device: int = 99, role: int = 0) -> NDArray[np.void]:
    """Looks of some accounts through one machine, the first `bad` of each without a reason."""
    events = np.concatenate([example_looks(looks) for _ in accounts])
    events["account"] = np.repeat(np.array(accounts), looks)
    events["device"], events["role"] = device, role
    events["reason"] = np.tile(np.arange(looks) >= bad, len(accounts))
    events["seq"] = np.arange(len(events)) + 1_000 * accounts.start
    return events


def heard(detector: Detector, *parts: NDArray[np.void]) -> NDArray[np.float32]:
    """All but the last part, a tick, then the last part."""
    for part in parts[:-1]:
        detector.observe(part, AROUND)
    detector.publish(int(parts[-1]["arrival"][0]), AROUND)
    return detector.observe(parts[-1].copy(), AROUND)


def later(events: NDArray[np.void]) -> NDArray[np.void]:
    events = events.copy()
    events["time"], events["arrival"] = events["time"] + HOUR, events["arrival"] + HOUR
    return events


def test_a_trojan_on_a_shared_pc_speaks_at_its_next_victim() -> None:
    out = heard(Detector(Settings()), through(range(1, 6), 6, 4), later(through(range(7, 8), 2, 2)))
    assert out[0] > 14.5
    # an account whose looks there have reasons is left alone
    assert heard(Detector(Settings()), through(range(1, 6), 6, 4), later(through(range(7, 8), 4, 0))).max() == 0
    # and so is everybody at the PC beside it
    assert (
        heard(Detector(Settings()), through(range(1, 6), 6, 4), later(through(range(7, 8), 2, 2, device=98))).max() == 0
    )


def test_one_or_two_crooked_colleagues_condemn_no_machine() -> None:
    crooked, honest = through(range(1, 2), 40, 40), through(range(2, 8), 40, 1)
    assert heard(Detector(Settings()), crooked, honest, later(through(range(8, 9), 2, 2))).max() == 0


def test_what_is_explained_later_is_taken_back() -> None:
    looks = through(range(1, 6), 4, 4)
    back = looks.copy()
    back["kind"], back["device"] = RETRACT, 0
    assert heard(Detector(Settings()), looks, back, later(through(range(7, 8), 2, 2))).max() == 0


def test_a_feed_that_is_down_for_a_role_condemns_no_machine() -> None:
    parts = [through(range(1 + 4 * d, 5 + 4 * d), 6, 4, device=90 + d) for d in range(5)]
    assert heard(Detector(Settings()), *parts, later(through(range(1, 2), 2, 2, device=90))).max() == 0
    alone = [through(range(1 + 4 * d, 5 + 4 * d), 6, 4 if d == 0 else 0, device=90 + d) for d in range(8)]
    assert heard(Detector(Settings()), *alone, later(through(range(1, 2), 2, 2, device=90))).max() > 10


def test_the_same_malware_on_several_handsets() -> None:
    sick = through(range(1, 12), 4, 3)
    well = through(range(12, 60), 10, 0)
    for part in (sick, well):
        part["device"], part["lone"], part["outlet_id"] = part["account"] + 500, 1, part["account"] % 40
    detector = Detector(Settings())
    out = heard(detector, sick, well, later(sick[:1]))
    assert FLEET in detector.keys
    assert out[-1] > 14.5
    detector.observe(later(well[:1]), AROUND)
    assert detector.rows["nats"][12] == 0


def test_forgiving_takes_what_was_counted_too() -> None:
    detector = Detector(Settings())
    detector.observe(through(range(1, 6), 6, 6), AROUND)
    for account in range(1, 4):
        detector.forgive(account)
    assert detector.pairs.living()["k"].sum() == 12

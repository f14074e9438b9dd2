from __future__ import annotations

import numpy as np

from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.handover import PARTS, Detector
from watchbill.detectors.kernels import example_looks

AROUND = Surroundings(accounts=8)
DAY = 86_400_000
WAYS = ([1, 2, 3, 2], [4, 5, 6], [7, 8, 8, 9], [1, 4, 7], [2, 5, 8, 3])


def day(number: int, account: int, person: int, count: int = 60) -> np.ndarray:
    events = example_looks(count, start_day=20_000 + number, gap_ms=60_000 + 40_000 * person)
    events["hour"] = (events["hour"] + 2 * person) % 24
    events["what"], events["account"] = np.resize(WAYS[person], count), account
    events["device"] = 100 + person
    events["first"] = np.arange(count) % (2 + person) == 0
    return events


def run(swapped: int, days: int, detector: Detector | None = None) -> tuple[Detector, np.ndarray]:
    """Log odds at the end of each day of account 0; from `swapped` on the person of account 1 works it."""
    detector = detector or Detector(Settings())
    odds = []
    for number in range(days):
        detector.publish((20_000 + number) * DAY, AROUND)
        for account in range(len(WAYS)):
            person = 1 if account == 0 and number >= swapped else account
            said = detector.score(day(number, account, person), AROUND)
            if account == 0:
                odds.append(said[-1])
    return detector, np.array(odds)


def test_another_person_is_found_on_the_first_day_and_stays_found() -> None:
    _, odds = run(20, 25)
    assert (odds[10:20] < Detector(Settings()).base_odds).all()
    assert (odds[20:] > 0).all()


def test_the_owner_never_is() -> None:
    detector, odds = run(99, 30)
    assert (odds <= detector.base_odds).all()


def test_the_new_days_are_not_learned_until_thirty_of_them() -> None:
    detector, odds = run(20, 49)
    assert detector.rows[0]["blocks"] == 20  # the twentieth own day is closed by the first strange one
    assert detector.rows[0]["refused"] == 28
    assert (odds[20:] > 0).all()
    _, odds = run(20, 75)
    assert (odds[65:] < 0).all()


def test_before_ten_days_it_says_nothing() -> None:
    detector, odds = run(5, 10)
    assert (odds == detector.base_odds).all()


def test_what_all_peers_days_show_together_is_taken_off() -> None:
    detector, _ = run(99, 15)
    level = detector.level.copy()
    detector.level = np.array([level[0] + 10 * 8.0, level[1] + 10, *level[2:]])
    detector.gather()
    assert detector.level[2] > 0
    detector.level = np.array([0.0, 2.0, 1.0, *detector.level[3:]])
    detector.gather()
    assert detector.level[2] == 0  # too few days to believe


def test_parts_are_of_the_running_day() -> None:
    detector, _ = run(99, 12)
    parts = detector.parts(AROUND)
    assert parts.shape == (8, PARTS)
    assert (parts[0, :3] < 0).all()  # the owner's own day
    detector.forgive(0)
    np.testing.assert_allclose(detector.parts(AROUND)[0, :3], 0)

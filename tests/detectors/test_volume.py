from __future__ import annotations

import numpy as np

from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.kernels import example_looks
from watchbill.detectors.volume import CAP_NATS, Detector


def around(*a_day: float) -> Surroundings:
    roles = tuple(f"r{n}" for n in range(len(a_day)))
    return Surroundings(
        accounts=200,
        roles=roles,
        looks_a_day=np.array(a_day, np.float32),
        tokens_max=np.full(len(a_day), 40, np.float32),
    )


def hours(counts: np.ndarray, account: int, start_day: int = 20_000) -> np.ndarray:
    """Looks of ten-hour days: counts int[days, 10]."""
    parts = []
    for day, row in enumerate(counts):
        for hour, count in enumerate(row):
            looks = example_looks(int(count), gap_ms=1000, start_day=start_day + day)
            looks["hour"] += hour
            parts.append(looks)
    events = np.concatenate(parts)
    events["account"] = account
    return events


def test_honest_hours_that_wander_seldom_ask() -> None:
    """Gamma-Poisson hours of mean 10: the share of account-days over ten nats (a question at most; capped there)."""
    rng = np.random.default_rng(21)
    detector, over = Detector(Settings()), 0
    for account in range(200):
        rates = rng.gamma(2.0, 5.0, (20, 10))
        out = detector.observe(hours(rng.poisson(rates), account), around(100))
        over += int((out > np.log(1e3 / 0.1)).any())
    print(f"seed 21: {over} of 200 accounts in 20 days")  # noqa: T201
    assert over <= 20


def test_volume_alone_never_stops_anybody() -> None:
    out = Detector(Settings()).observe(example_looks(3_000, gap_ms=1_000), around(100))
    assert out.max() == CAP_NATS
    assert Settings().risk.weights["volume"] * np.exp(CAP_NATS) < Settings().policy.step_up_at


def test_a_harvest_does_not_teach() -> None:
    detector = Detector(Settings())
    detector.observe(hours(np.full((10, 10), 10), 0), around(100))
    before = float(detector.rows["looks"][0] / detector.rows["expected"][0])
    detector.observe(hours(np.full((3, 10), 400), 0, 20_010), around(100))
    assert detector.rows["looks"][0] / detector.rows["expected"][0] < 1.6 * before


def test_a_change_of_role_keeps_the_own_rate() -> None:
    detector = Detector(Settings())
    detector.observe(hours(np.full((10, 10), 100), 0), around(1_000, 50))
    moved = hours(np.full((1, 10), 100), 0, 20_010)
    moved["role"] = 1
    assert detector.observe(moved, around(1_000, 50)).max() < 5


def test_a_surge_of_the_whole_role_raises_what_is_expected() -> None:
    detector, near = Detector(Settings()), around(100)
    for account in range(60):
        detector.observe(hours(np.full((1, 2), 30), account), near)
    detector.publish(0, near)
    assert 1.5 < detector.surge[0] <= 4.0
    detector.publish(0, near)
    assert detector.surge[0] == 1.0


def test_peers_learn_nothing_from_who_is_confirmed_and_no_profile_from_who_is_suspected() -> None:
    profiles, surges = [], []
    for bits in (0, 1, 2):
        detector, near = Detector(Settings()), around(100)
        near.frozen = np.full(1, bits, np.uint8)
        detector.observe(hours(np.full((4, 10), 14), 0), near)
        detector.publish(0, near)
        profiles.append(float(detector.profile[0, 9]))
        surges.append(float(detector.surge[0]))
    assert profiles[0] > profiles[1] == profiles[2] == 10.0
    assert surges[0] == surges[1] > surges[2] == 1.0


def test_a_surge_of_the_role_speaks_for_its_people() -> None:
    detector, near = Detector(Settings()), around(100)
    detector.observe(hours(np.full((4, 10), 30), 0), near)
    assert detector.for_person(example_looks(1)[0], near) == ()
    detector.publish(0, near)
    (said,) = detector.for_person(example_looks(1)[0], near)
    assert said.nats == -float(np.log(detector.surge[0])) < 0


def test_a_role_that_clears_its_shelves_in_one_hour_is_known_for_it() -> None:
    rng = np.random.default_rng(5)
    counts = np.where(np.arange(10) == 9, 80, 4)[None, :] * np.ones((30, 1))
    counts[rng.random((30, 10)) < 0.5] = 1  # not every evening, so that the profile by hour alone does not cover it
    detector = Detector(Settings())
    for account in range(30):
        detector.observe(hours(rng.permuted(counts.astype(int), axis=1), account), around(60))
        detector.publish(0, around(60))
    assert detector.bursts[0] > 1.5
    plain = Detector(Settings())
    evening = hours(np.full((1, 1), 80), 50, 20_050)
    plain.observe(hours(np.full((10, 10), 4), 50), around(60))
    detector.observe(hours(np.full((10, 10), 4), 50), around(60))
    assert detector.observe(evening.copy(), around(60)).max() < plain.observe(evening.copy(), around(60)).max()

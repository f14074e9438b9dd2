from __future__ import annotations

import numpy as np
import pytest

from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.kernels import example_looks
from watchbill.detectors.metronome import CAP_NATS, STAKE, Detector, repeat_chance

AROUND = Surroundings(accounts=3)


def paced(pauses: np.ndarray) -> np.ndarray:
    events = example_looks(len(pauses))
    events["time"] = events["time"][0] + 7 + pauses.cumsum()
    return events


def lognormal(seed: int, spread: float, clock: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).lognormal(np.log(20_000), spread, 20_000)
    return np.maximum(clock, drawn // clock * clock).astype(np.int64)


@pytest.mark.parametrize("spread", [0.5, 0.8, 1.2])
@pytest.mark.parametrize("clock", [1, 1_000])
def test_the_chance_of_a_repeat_is_bounded_for_hands(spread: float, clock: int) -> None:
    pauses = lognormal(1, spread, clock)
    before, then = pauses[:-1], pauses[1:]
    bound = np.array([repeat_chance(int(p), clock) for p in before])
    bet = bound <= 0.5
    repeats = np.abs(then - before) <= 0.02 * before
    factor = 1 - STAKE + np.where(repeats, STAKE / bound, 0.0)
    assert factor[bet].mean() <= 1.0


@pytest.mark.parametrize("jitter", [0, 10, 40])
def test_a_script_is_found_within_thirty_looks(jitter: int) -> None:
    noise = np.random.default_rng(2).integers(-jitter, jitter + 1, 30)
    assert Detector(Settings()).observe(paced(4_000 + noise), AROUND)[-1] > 5


def test_it_never_speaks_louder_than_its_cap_and_fades_under_a_hand() -> None:
    detector = Detector(Settings())
    said = detector.observe(paced(np.full(500, 4_001)), AROUND)
    assert said.max() == CAP_NATS
    after = paced(lognormal(3, 0.8, 1)[:400])
    after["time"] += 500 * 4_001
    assert detector.observe(after, AROUND)[-1] < 1


def test_a_role_that_repeats_by_nature_is_let_be() -> None:
    detector = Detector(Settings())
    detector.observe(paced(lognormal(4, 0.8, 1)[:10]), AROUND)
    detector.tally[:] = [200, 500]
    detector.publish(0, AROUND)
    assert detector.rates[0] == pytest.approx(0.4)
    assert detector.observe(paced(np.full(50, 4_001)), AROUND).max() == 0

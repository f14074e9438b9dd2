"""The e-CUSUM of unexplained looks: its false alarms under honest days, its delays, and what retractions may do."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from watchbill.context.events import EVENT, LOOK, RETRACT
from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.kernels import example_looks
from watchbill.detectors.unexplained import POINTS, Detector, beta_grid

ALARM = np.log(Settings().policy.step_up_at / Settings().risk.weights["reason"])
LOOKS = 100
AROUND = Surroundings(accounts=1)


def account_days(hits: NDArray[np.bool_]) -> NDArray[np.void]:
    """Events of bool[accounts, days, looks], account by account (state is by account, so the order is free)."""
    accounts, days, looks = hits.shape
    events = np.zeros(hits.size, EVENT)
    events["kind"], events["first"], events["reveal"], events["success"] = LOOK, 1, 1, 1
    events["account"] = np.repeat(np.arange(accounts), days * looks)
    events["day"] = np.tile(np.repeat(np.arange(days) + 20_000, looks), accounts)
    events["seq"] = np.arange(hits.size)
    events["reason"] = ~hits.ravel()
    return events


def alarms(mean: float, correlation: float, seed: int, accounts: int = 4_000, days: int = 10) -> float:
    """False alarms an account-day: each day has its own rate, Beta(mean, correlation); M starts anew after one."""
    rng = np.random.default_rng(seed)
    a, b = mean * (1 - correlation) / correlation, (1 - mean) * (1 - correlation) / correlation
    rates = rng.beta(a, b, (accounts, days, 1))
    hits = rng.random((accounts, days, LOOKS)) < rates
    detector = Detector(Settings())
    out = detector.observe(account_days(hits), Surroundings(accounts=accounts)).reshape(accounts, days, LOOKS)
    over = (out >= ALARM).any(axis=2)
    first = over & (np.cumsum(over, axis=1) == 1)  # one spell of evidence is one alarm
    share = float(first.sum() / over.size)
    print(f"seed {seed}: mean {mean}, rho {correlation}: {1000 * share:.3f} false alarms in 1,000 account-days")  # noqa: T201
    return share


def delay(share: float, seed: int, accounts: int = 2_000) -> tuple[float, float]:
    """(median, 90th percentile) looks from the start of an attack to the alarm, after two honest days."""
    rng = np.random.default_rng(seed)
    hits = np.concatenate(
        [rng.random((accounts, 2, 300)) < 0.02, rng.random((accounts, 1, 300)) < share], axis=1
    )  # fmt: skip
    out = Detector(Settings()).observe(account_days(hits), Surroundings(accounts=accounts))
    over = out.reshape(accounts, 3, 300)[:, 2] >= ALARM
    looks = np.where(over.any(axis=1), over.argmax(axis=1) + 1, 301)
    median, late = np.quantile(looks, [0.5, 0.9], method="higher")
    print(f"seed {seed}: {share:.0%} unexplained: found after {median:.0f} looks (median), {late:.0f} (90 %)")  # noqa: T201
    return float(median), float(late)


@pytest.mark.parametrize(
    ("mean", "correlation", "most"),
    [(0.02, 0.05, 1e-3), (0.03, 0.05, 1e-3), (0.05, 0.05, 2e-3), (0.03, 0.08, 2e-3)],
)
def test_false_alarms_under_honest_days_that_differ(mean: float, correlation: float, most: float) -> None:
    assert alarms(mean, correlation, seed=11) < most


@pytest.mark.parametrize(("share", "median_max", "late_max"), [(0.98, 10, 14), (0.8, 15, 25), (0.5, 60, 150)])
def test_attacks_are_found_soon(share: float, median_max: float, late_max: float) -> None:
    median, late = delay(share, seed=12)
    assert median <= median_max
    assert late <= late_max


def test_the_grid_is_a_beta_cut_at_its_top() -> None:
    rates, weights = beta_grid(0.03, 0.05)
    assert rates.shape == weights.shape == (POINTS,)
    assert weights.sum() == pytest.approx(1, abs=1e-5)
    assert 0 < rates[0] < rates[-1] < 0.3
    assert (np.diff(rates) > 0).all()
    # the first cell is where the density is steepest: its midpoint costs some of the mean
    assert float((rates * weights).sum()) == pytest.approx(0.03, rel=0.5)


def renter(count: int = 30) -> tuple[Detector, NDArray[np.void], NDArray[np.float32]]:
    detector, events = Detector(Settings()), example_looks(count)
    return detector, events, detector.observe(events, AROUND)


def retract(events: NDArray[np.void], at: int) -> NDArray[np.void]:
    back = events[at : at + 1].copy()
    back["kind"], back["first"], back["reveal"] = RETRACT, 0, 0
    return back


def test_a_retraction_only_lowers_and_only_once() -> None:
    rng = np.random.default_rng(13)
    detector, events, out = renter()
    level = float(out[-1])
    for at in rng.permutation(30):
        first = float(detector.observe(retract(events, int(at)), AROUND)[0])
        again = float(detector.observe(retract(events, int(at)), AROUND)[0])
        assert 0 <= first <= level
        assert again == first
        level = first
    assert level == pytest.approx(0, abs=1e-3)


def test_a_retraction_takes_back_what_the_look_added() -> None:
    detector, events, out = renter()
    steps = np.diff(out, prepend=np.float32(0))
    after = detector.observe(retract(events, 20), AROUND)[0]
    assert after == pytest.approx(out[-1] - steps[20], abs=1e-4)


def test_a_retraction_of_an_unknown_look_changes_nothing() -> None:
    detector, events, out = renter()
    stray = retract(events, 3)
    stray["seq"] = 999_999
    assert detector.observe(stray, AROUND)[0] == out[-1]


def test_factors_are_forgotten_when_looks_wait_no_longer() -> None:
    detector, events, out = renter()
    detector.publish(int(events["arrival"][-1]) + 73 * 3_600_000, AROUND)
    assert detector.factors.held == 0
    assert detector.observe(retract(events, 3), AROUND)[0] == out[-1]


def test_gates_freeze_and_coverage_silences() -> None:
    frozen = example_looks(30)
    frozen["gated"] = 1
    assert Detector(Settings()).observe(frozen, AROUND).max() == 0
    detector, _events, out = renter()
    more = example_looks(1)
    more["seq"], more["gated"] = 100, 1
    assert detector.observe(more, AROUND)[0] == out[-1]
    more["seq"], more["gated"] = 101, 2
    assert detector.observe(more, AROUND)[0] == 0


def test_a_renter_gains_nothing_from_a_day_change_and_a_day_that_goes_back() -> None:
    events = example_looks(30)
    events["day"][10:20] -= 1
    assert Detector(Settings()).observe(events, AROUND)[-1] > ALARM

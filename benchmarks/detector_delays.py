"""False alarms and delays of the e-CUSUM of unexplained looks, on seeded made-up accounts; docs/detection.md quotes it.

Bias: looks are drawn one by one from a rate a day (Beta-distributed between days): no lists, no shifts, no late scans.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from watchbill.context.events import EVENT, LOOK
from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.unexplained import Detector

LOOKS = 100


def observe(hits: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Log M after each look; hits (no reason) is bool[accounts, days, looks]."""
    accounts, days, looks = hits.shape
    events = np.zeros(hits.size, EVENT)
    events["kind"], events["first"], events["reveal"], events["success"] = LOOK, 1, 1, 1
    events["account"] = np.repeat(np.arange(accounts), days * looks)
    events["day"] = np.tile(np.repeat(np.arange(days) + 20_000, looks), accounts)
    events["seq"] = np.arange(hits.size)
    events["reason"] = ~hits.ravel()
    return Detector(Settings()).observe(events, Surroundings(accounts=accounts)).reshape(hits.shape)


def false_alarms(rng: np.random.Generator, mean: float, rho: float, limit: float, accounts: int) -> tuple[float, float]:
    """Alarms in 1,000 account-days: new ones, and days that are over the limit at all."""
    a, b = mean * (1 - rho) / rho, (1 - mean) * (1 - rho) / rho
    rates = rng.beta(a, b, (accounts, 10, 1))
    over = (observe(rng.random((accounts, 10, LOOKS)) < rates) >= limit).any(axis=2)
    new = over & ~np.concatenate([np.zeros((accounts, 1), bool), over[:, :-1]], axis=1)
    return 1000 * float(new.mean()), 1000 * float(over.mean())


def delays(rng: np.random.Generator, share: float, limit: float, accounts: int) -> tuple[float, float, float]:
    """Looks from the start of an attack to the alarm: median, 90th percentile, share never found in 300."""
    hits = rng.random((accounts, 3, 300)) < np.array([0.02, 0.02, share])[:, None]
    over = observe(hits)[:, 2] >= limit
    looks = np.where(over.any(axis=1), over.argmax(axis=1) + 1.0, np.inf)
    median, late = np.quantile(looks, [0.5, 0.9], method="higher")
    return float(median), float(late), float(np.isinf(looks).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--accounts", type=int, default=5_000)
    given = parser.parse_args()
    settings = Settings()
    limit = float(np.log(settings.policy.step_up_at / settings.risk.weights["reason"]))
    print(
        f"seed {given.seed}; alarm at log M >= {limit:.1f} (step_up_at / weight of the reason family); {LOOKS} looks a day\n"
    )
    print("| honest rate | day-to-day correlation | new alarms in 1,000 account-days | days over in 1,000 |")
    print("|---|---|---|---|")
    for mean, rho in ((0.02, 0.05), (0.03, 0.05), (0.05, 0.05), (0.03, 0.08), (0.05, 0.10)):
        new, over = false_alarms(np.random.default_rng(given.seed), mean, rho, limit, given.accounts)
        print(f"| {mean:.0%} | {rho} | {new:.2f} | {over:.2f} |")
    print("\n| attack: unexplained looks | found after, median | 90 % | not within 300 |")
    print("|---|---|---|---|")
    for share in (0.98, 0.80, 0.50, 0.30):
        median, late, never = delays(np.random.default_rng(given.seed), share, limit, given.accounts)
        shown = [f"{looks:.0f}" if np.isfinite(looks) else "over 300" for looks in (median, late)]
        print(f"| {share:.0%} | {shown[0]} | {shown[1]} | {never:.1%} |")


if __name__ == "__main__":
    main()

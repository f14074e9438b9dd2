"""What the real benchmarks share: where the data is, event streams, hits at false alarms, bootstrap over users, logistic weights."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from common import ROOT
from numpy.typing import NDArray

from watchbill.context.events import EVENT, LOOK
from watchbill.detectors.base import Surroundings

DATA = Path(os.environ.get("WATCHBILL_DATA", str(ROOT.parent / "shared" / "data")))
DAY_MS = 86_400_000
START_DAY = 15_000
FALSE_ALARMS = (0.013, 0.017, 0.046)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def word(text: str) -> int:
    """A 32-bit key of a text (FNV-1a), never 0."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value or 1


def stream(
    account: NDArray[np.int64], what: NDArray[np.int64], time: NDArray[np.int64] | None = None
) -> NDArray[np.void]:
    """EVENT rows of looks, in order; without `time` an event a second (nothing may be read from that)."""
    events = np.zeros(len(account), EVENT)
    events["seq"] = events["row"] = np.arange(len(account))
    when = START_DAY * DAY_MS + np.arange(len(account), dtype=np.int64) * 1_000 if time is None else time
    events["time"] = events["arrival"] = when
    events["day"], events["hour"] = when // DAY_MS, when // 3_600_000 % 24
    events["account"], events["what"] = account, what
    events["kind"], events["first"], events["success"] = LOOK, 1, 1
    events["outlet_id"], events["place"], events["persons"] = -1, -1, 1
    return events


def around(accounts: int) -> Surroundings:
    """Surroundings without any table."""
    return Surroundings(accounts=accounts)


def auc(truth: Flags, score: Floats) -> float:
    """Area under the ROC curve, ties counted half."""
    _, at, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2.0)[at]
    hits = int(truth.sum())
    return float((rank[truth].sum() - hits * (hits + 1) / 2.0) / (hits * (len(truth) - hits)))


def threshold(truth: Flags, score: Floats, false_alarms: float) -> float:
    """The lowest threshold that at most this share of honest scores stand above."""
    honest = np.sort(score[~truth])[::-1]
    return float(honest[int(np.floor(false_alarms * len(honest)))])


def hits(truth: Flags, score: Floats, false_alarms: float) -> float:
    """Share of the true ones above `threshold`."""
    return float((score[truth] > threshold(truth, score, false_alarms)).mean())


def interval(
    measure: Callable[[NDArray[np.int64]], float], groups: int, *, draws: int = 500, seed: int = 7
) -> tuple[float, float]:
    """Bootstrap 95 % interval of `measure(chosen groups)`, groups (users, pairs of seed and user) drawn with replacement."""
    rng = np.random.default_rng(seed)
    values = [measure(rng.integers(0, groups, groups)) for _ in range(draws)]
    low, high = np.quantile([value for value in values if np.isfinite(value)], [0.025, 0.975])
    return float(low), float(high)


def wilson(right: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (Wilson 1927)."""
    z, p = 1.959964, right / of
    middle, half = p + z * z / (2 * of), z * np.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    return float((middle - half) / (1 + z * z / of)), float((middle + half) / (1 + z * z / of))


def logistic(features: Floats, truth: Flags, *, ridge: float = 1.0) -> Floats:
    """Weights (intercept first) of a ridge logistic regression by Newton steps, on the features' own scale.

    The intercept gives log likelihood ratios: the share of true ones among the rows is taken out of it.
    """
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    design = np.c_[np.ones(len(truth)), (features - mean) / spread]
    weights = np.zeros(design.shape[1])
    keep = np.r_[0.0, np.full(features.shape[1], ridge)]
    for _ in range(25):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ weights, -30, 30)))
        curve = (design * (p * (1 - p))[:, None]).T @ design + np.diag(keep + 1e-9)
        weights -= np.linalg.solve(curve, design.T @ (p - truth) + keep * weights)
    slopes = weights[1:] / spread
    share = truth.mean()
    return np.r_[weights[0] - slopes @ mean - np.log(share / (1 - share)), slopes]


def percent(value: float, low: float | None = None, high: float | None = None) -> str:
    """A share as text, with its interval."""
    return f"{value:.1%}" if low is None or high is None else f"{value:.1%} ({low:.1%}-{high:.1%})"


def plain(values: Sequence[float], digits: int = 3) -> str:
    """Numbers as settings show them."""
    return "(" + ", ".join(f"{value:.{digits}f}" for value in values) + ")"

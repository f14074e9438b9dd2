"""Feed health: is an outlet's stream of scans as dense as it should be at this hour?

When it is not, "unexplained" is no evidence there (shared/detection.md 1): a feed that goes down makes every honest look
unexplained. The table of gated outlets is published at ticks of the arrival clock and read until the next tick.
"""

from __future__ import annotations

from math import lgamma
from typing import TYPE_CHECKING, Final

import numpy as np

from watchbill.core.kernel import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOURS: Final = 24
FEED: Final = np.dtype(
    [
        ("mean", np.float32, (HOURS,)),  # scans in that local hour, decayed over days
        ("square", np.float32, (HOURS,)),  # its second moment
        ("days", np.float32, (HOURS,)),  # hours of that name seen
        ("now", np.int32),  # scans in the running hour
        ("before", np.int32),  # scans in the hour before it
        ("gated", np.uint8),
        ("begun", np.uint8),  # 1: it has sent a scan at all (rows are made ahead; they learn nothing before that)
    ],
    align=True,
)
_HOUR_MS: Final = 3_600_000
_DECAY: Final = 0.9
_DECAY_GATED: Final = 0.97
_DAYS_MIN: Final = 2.0

TICK: Final = 0
HOUR: Final = 1
EVERYWHERE: Final = 2
CLOCK_SIZE: Final = 4
"""clock[TICK] = the arrival at which the next tick falls, clock[HOUR] = number of the running local hour, clock[EVERYWHERE] = 1
while at least half of the outlets that can be judged are gated: then accounts without an outlet (robots, headquarters) are too."""


@kernel
def poisson_gamma_below(count: float, mean: float, variance: float) -> float:
    """P(X <= count) for a negative binomial with that mean and variance (Poisson when variance <= mean)."""
    # from the term of `count` downwards: the terms near 0 are too small for a float when the mean is large
    k = float(int(count))
    if variance <= mean * 1.01:
        size, odds = 0.0, mean
        term = np.exp(k * np.log(mean) - mean - lgamma(k + 1))
    else:
        size = mean * mean / (variance - mean)
        odds = mean / (size + mean)
        log_ways = lgamma(k + size) - lgamma(size) - lgamma(k + 1)
        term = np.exp(log_ways + size * np.log(size / (size + mean)) + k * np.log(odds))
    total = term
    while k > 0 and term > 1e-9 * total:
        term *= k / (odds if size == 0.0 else odds * (k - 1 + size))
        total += term
        k -= 1
    return float(min(total, 1.0))


@kernel
def _close_hour(feed: NDArray[np.void], hour: int) -> None:
    h = hour % HOURS
    for o in range(feed.shape[0]):
        row = feed[o]
        count = float(row.now)
        if row.now:
            row.begun = 1
        if not row.begun:
            continue
        # a silent hour of a gated feed says nothing about how dense it is when it works; a thin one, that it may stay so
        if row.gated == 0 or row.now:
            keep = (_DECAY_GATED if row.gated else _DECAY) if row.days[h] >= 1.0 else 0.0
            row.mean[h] = keep * row.mean[h] + (1 - keep) * count
            row.square[h] = keep * row.square[h] + (1 - keep) * count * count
            row.days[h] += 1.0
        row.before = row.now
        row.now = 0


@kernel
def feed_tick(feed: NDArray[np.void], clock: NDArray[np.int64], arrival: int, settings: NDArray[np.float64]) -> None:
    """Close hours that have passed, publish the gates, set the next tick.

    Args:
        settings: [tick_ms, utc_offset_ms, quantile, scans_min].
    """
    local = arrival + np.int64(settings[1])
    hour = local // _HOUR_MS
    if clock[HOUR] == 0 or hour - clock[HOUR] > 24 * 8:
        clock[HOUR] = hour
    while clock[HOUR] < hour:
        _close_hour(feed, clock[HOUR])
        clock[HOUR] += 1
    part = (local % _HOUR_MS) / _HOUR_MS
    h, last = hour % HOURS, (hour - 1) % HOURS
    shut, judged = 0, 0
    for o in range(feed.shape[0]):
        row = feed[o]
        mean = part * row.mean[h] + (1 - part) * row.mean[last]
        seen = row.now + (1 - part) * row.before
        if row.gated and seen <= 0:
            shut += 1
            judged += 1
            continue  # a gate stays shut, also through the night, until scans come again
        if row.days[h] < _DAYS_MIN or row.days[last] < _DAYS_MIN or mean < settings[3]:
            row.gated = 0  # too little to judge by
            continue
        spread = part * (row.square[h] - row.mean[h] ** 2) + (1 - part) * (row.square[last] - row.mean[last] ** 2)
        judged += 1
        if seen >= mean:
            row.gated = 0
            continue
        row.gated = 1 if poisson_gamma_below(seen, mean, max(spread, mean)) < settings[2] else 0
        shut += row.gated
    clock[EVERYWHERE] = 1 if shut > 0 and 2 * shut >= judged else 0
    tick = np.int64(settings[0])
    clock[TICK] = (arrival // tick + 1) * tick

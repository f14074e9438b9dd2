"""Feed health: is an outlet's stream of scans as dense as it should be at this hour?

When it is not, "unexplained" is no evidence there (shared/detection.md 1): a feed that goes down makes every honest look
unexplained. The table of gated outlets is published at ticks of the arrival clock and read until the next tick.
"""

from __future__ import annotations

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
    ],
    align=True,
)
_HOUR_MS: Final = 3_600_000
_DECAY: Final = 0.9
_DAYS_MIN: Final = 2.0

TICK: Final = 0
HOUR: Final = 1
CLOCK_SIZE: Final = 4
"""clock[TICK] = the arrival at which the next tick falls, clock[HOUR] = number of the running local hour."""


@kernel
def poisson_gamma_below(count: float, mean: float, variance: float) -> float:
    """P(X <= count) for a negative binomial with that mean and variance (Poisson when variance <= mean)."""
    if variance <= mean * 1.01:
        term = np.exp(-mean)
        total = term
        for k in range(1, int(count) + 1):
            term *= mean / k
            total += term
        return total
    size = mean * mean / (variance - mean)
    p = size / (size + mean)
    term = p**size
    total = term
    for k in range(1, int(count) + 1):
        term *= (k - 1 + size) / k * (1 - p)
        total += term
    return total


@kernel
def _close_hour(feed: NDArray[np.void], hour: int) -> None:
    h = hour % HOURS
    for o in range(feed.shape[0]):
        row = feed[o]
        count = float(row.now)
        # a gated hour says nothing about how dense the feed is when it works
        if row.gated == 0:
            keep = _DECAY if row.days[h] >= 1.0 else 0.0
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
    for o in range(feed.shape[0]):
        row = feed[o]
        if row.days[h] < _DAYS_MIN or row.days[last] < _DAYS_MIN:
            row.gated = 0
            continue
        mean = part * row.mean[h] + (1 - part) * row.mean[last]
        if mean < settings[3]:
            row.gated = 0
            continue
        spread = part * (row.square[h] - row.mean[h] ** 2) + (1 - part) * (row.square[last] - row.mean[last] ** 2)
        seen = row.now + (1 - part) * row.before
        row.gated = 1 if poisson_gamma_below(seen, mean, max(spread, mean)) < settings[2] else 0
    tick = np.int64(settings[0])
    clock[TICK] = (arrival // tick + 1) * tick

"""Intervals of what was counted: Wilson for shares, Garwood for counts, bootstrap over worlds and accounts."""

from __future__ import annotations

from math import exp, sqrt
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

Z95: Final = 1.959963984540054
AGAIN: Final = 500
"""Bootstrap samples."""
_STEPS: Final = 200
_EXACT_MAX: Final = 400


def wilson(hits: float, n: float) -> tuple[float, float]:
    """95 % interval of the share hits / n (Wilson 1927); (0, 1) where nothing was tried."""
    if n <= 0:
        return 0.0, 1.0
    p = hits / n
    middle = (p + Z95 * Z95 / (2 * n)) / (1 + Z95 * Z95 / n)
    half = Z95 * sqrt(p * (1 - p) / n + Z95 * Z95 / (4 * n * n)) / (1 + Z95 * Z95 / n)
    return 0.0 if hits <= 0 else max(0.0, middle - half), 1.0 if hits >= n else min(1.0, middle + half)


def poisson(count: int) -> tuple[float, float]:
    """95 % interval of a mean of which `count` was seen (Garwood 1936), by bisection of the Poisson tail.

    Large counts by the cube root of Wilson and Hilferty (1931): exp(-mean) is nothing to a float from 745 on.
    """
    if count > _EXACT_MAX:
        low, high = (
            k * (1 - 1 / (9 * k) + sign * Z95 / (3 * sqrt(k))) ** 3 for k, sign in ((count, -1), (count + 1, 1))
        )
        return low, high
    low = 0.0 if count == 0 else _solve(lambda mean: 1 - _below(count - 1, mean), 0.025, count, rising=True)
    return low, _solve(lambda mean: _below(count, mean), 0.025, count, rising=False)


def _below(count: int, mean: float) -> float:
    """P(X <= count) for X Poisson(mean)."""
    term = total = exp(-mean)
    for k in range(1, count + 1):
        term *= mean / k
        total += term
    return total


def _solve(share: Callable[[float], float], wanted: float, count: int, *, rising: bool) -> float:
    low, high = 0.0, count + 10 * sqrt(count + 1.0) + 10
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if (share(middle) < wanted) == rising:
            low = middle
        else:
            high = middle
    return (low + high) / 2


class Resample:
    """Bootstrap weights of accounts: worlds are drawn again, then the accounts of each.

    Accounts of a world share its days, and the looks of an account share its person: both are drawn whole.
    """

    def __init__(self, world: NDArray[np.int64], seed: int = 1) -> None:
        """`world`: int64[accounts], which world each account is of."""
        rng = np.random.default_rng(seed)
        names, place = np.unique(world, return_inverse=True)
        self.weights = np.zeros((AGAIN, world.shape[0]), np.float32)
        if not names.shape[0]:
            return
        times = rng.multinomial(names.shape[0], np.full(names.shape[0], 1 / max(1, names.shape[0])), AGAIN)
        for k in range(names.shape[0]):
            rows = np.flatnonzero(place == k)
            # a world drawn r times has r times its accounts, each drawn anew
            draws = times[:, k] * rows.shape[0]
            self.weights[:, rows] = rng.multinomial(draws, np.full(rows.shape[0], 1 / rows.shape[0]))

    def share(self, hits: NDArray[np.float64], of: NDArray[np.float64]) -> tuple[float, float]:
        """95 % interval of sum(hits) / sum(of), float64[accounts] each.

        The wider of bootstrap and Wilson: the first knows of accounts, the second of what was hardly ever seen.
        """
        first = wilson(float(hits.sum()), float(of.sum()))
        if not hits.shape[0] or of.sum() <= 0:
            return first
        up, down = self.weights @ hits, self.weights @ of
        low, high = np.quantile(up[down > 0] / down[down > 0], [0.025, 0.975])
        return min(first[0], float(low)), max(first[1], float(high))


def quantile(values: Sequence[float], q: float) -> float:
    """The q-quantile as one of the values (the lowest that at least a share q does not exceed): no invented records."""
    ordered = sorted(values)
    return float(ordered[max(0, int(np.ceil(q * len(ordered) - 1e-9)) - 1)])


def bootstrap_quantile(values: Sequence[float], world: Sequence[int], q: float, seed: int = 1) -> tuple[float, float]:
    """95 % interval of the q-quantile: worlds are drawn again with all their attacks."""
    rng, numbers = np.random.default_rng(seed), np.array(values, np.float64)
    names, place = np.unique(np.array(world), return_inverse=True)
    groups = [numbers[place == k] for k in range(names.shape[0])]
    drawn = rng.integers(0, len(groups), (AGAIN, len(groups)))
    found = [quantile(np.concatenate([groups[k] for k in row]).tolist(), q) for row in drawn.tolist()]
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)

"""What n looks, k of them without a reason, say against honest work: a ratio of two mixtures, and its pooling over a group.

The null is the mixture of the unexplained detector (16 rates, a Beta of the honest mean truncated at 0.3), the alternative
the rates that renters show. Looks of one day are exchangeable under both, so counts are enough, and a product over days
is a martingale under the null. A ratio taken back (a late reason) only falls.
"""

from __future__ import annotations

from math import lgamma
from typing import TYPE_CHECKING, Final

import numpy as np

from watchbill.core.kernel import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

POINTS: Final = 16
HONEST_MEAN: Final = 0.03
CORRELATION: Final = 0.05
TOP: Final = 0.3
WRONG: Final = np.array([0.4, 0.6, 0.8, 0.97])
FADE_A_DAY: Final = 0.7
"""Power that yesterday's ratio is raised to: an e-value to a power under 1 is one, and what is old is forgotten."""
FLOOR_NATS: Final = -4.0
"""Past days that speak for a member are not saved up to hide a bad one behind."""
HALF: Final = 0.5


def _grid() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    edges = np.linspace(0.0, TOP**0.5, POINTS + 1) ** 2
    rates = (edges[1:] + edges[:-1]) / 2
    a, b = HONEST_MEAN * (1 / CORRELATION - 1), (1 - HONEST_MEAN) * (1 / CORRELATION - 1)
    log_density = (a - 1) * np.log(rates) + (b - 1) * np.log1p(-rates) - (lgamma(a) + lgamma(b) - lgamma(a + b))
    weights = np.exp(log_density) * np.diff(edges)
    return rates, weights / weights.sum()


RATES, PRIOR = _grid()


@kernel
def _log_mean(n: float, k: float, rates: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    top = -np.inf
    for j in range(rates.shape[0]):
        top = max(top, k * np.log(rates[j]) + (n - k) * np.log1p(-rates[j]))
    total = 0.0
    for j in range(rates.shape[0]):
        total += weights[j] * np.exp(k * np.log(rates[j]) + (n - k) * np.log1p(-rates[j]) - top)
    return float(top + np.log(total))


EVEN: Final = np.full(WRONG.shape[0], 1.0 / WRONG.shape[0])


@kernel
def look_ratio(n: float, k: float) -> float:
    """Nats against honest work in `n` looks of one day of which `k` (at most n) had no reason."""
    if n <= 0:
        return 0.0
    return float(_log_mean(n, min(k, n), WRONG, EVEN) - _log_mean(n, min(k, n), RATES, PRIOR))


@kernel
def next_day(past: float, n: float, k: float) -> float:
    """The nats of all days so far, as they count on the next: faded, floored."""
    return float(max(FADE_A_DAY * (past + look_ratio(n, k)), FLOOR_NATS))


@kernel
def all_but_one(nats: NDArray[np.float64], share: float) -> float:
    """Nats against "at most one of this group is bad": every member is bad with chance `share`, and the worst is left out.

    For the true bad member j the product over all others is an e-value under the null, and leaving out the largest factor
    is at most that product. The members' factors must be independent given the null.
    """
    total, most = 0.0, 0.0
    for i in range(nats.shape[0]):
        one = np.log(1.0 - share + share * np.exp(min(nats[i], 40.0)))
        total += one
        most = max(most, one)
    return float(total - most)

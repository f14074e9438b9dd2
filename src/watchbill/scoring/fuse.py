"""Fusing the families: a weighted mean of e-values (valid under any dependence) and a capped sum of evidence.

Source: shared/detection.md 6. The guarantee number E = sum of w_f * M_f with weights that sum to at most 1 is itself an
e-value. M_f is the largest e-value of a family's detectors, so its weight is shared among them; the posterior is logistic(prior + sum of min(cap, log M_f)).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from watchbill.core.kernel import kernel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray


def shared_weights(weights: Mapping[str, float], families: Sequence[str], spoken: Iterable[str]) -> NDArray[np.float64]:
    """Weight of each family, shared among its detectors: the largest of k e-values has a mean of up to k.

    Args:
        weights: by family, at most 1 in all. spoken: the family of each detector in use.
    """
    many = Counter(spoken)
    return np.array([weights.get(family, 0.0) / max(many[family], 1) for family in families])


@kernel
def fuse(
    evidence: NDArray[np.float32], weights: NDArray[np.float64], prior: float, cap: float,
    guarantee: NDArray[np.float32], posterior: NDArray[np.float32],
) -> None:  # fmt: skip
    """Fill log guarantee numbers (nats) and posteriors of n events.

    Args:
        evidence: float32[families, n], log e-values (0 = nothing). weights: float64[families].
        prior: prior log odds. cap: most nats that one family may add to the posterior.
    """
    for i in range(evidence.shape[1]):
        total = 0.0
        top = 0.0
        for f in range(evidence.shape[0]):
            top = max(top, float(evidence[f, i]))
        odds = prior
        if top > 0.0:
            for f in range(evidence.shape[0]):
                nats = float(evidence[f, i])
                total += weights[f] * np.exp(nats - top)
                odds += min(cap, nats)
        guarantee[i] = top + np.log(total) if total > 0.0 else 0.0
        posterior[i] = 1.0 / (1.0 + np.exp(-odds))

"""The calibrated posterior: from the sum of capped evidence to a probability that means what it says.

Source: shared/detection.md 6. An isotonic map by knots (settings `risk.calibration`), straight lines between them; then the
log odds move by what people's verdicts on cases say about the posterior's mean (settings `risk.learn_from_verdicts`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from watchbill.core.kernel import kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SHIFT_MAX: Final = 2.0
"""Most nats that verdicts may move the prior, either way."""
BELIEF: Final = 10.0
"""The Beta prior on the share confirmed counts as so many verdicts that came out as the posterior said."""
_TINY: Final = 1e-7


@kernel
def calibrate(
    posterior: NDArray[np.float32], raw: NDArray[np.float64], knots: NDArray[np.float64], shift: float,
    out: NDArray[np.float32],
) -> None:  # fmt: skip
    """Map n raw posteriors; before the first knot and behind the last the map is flat.

    Args:
        posterior, out: float32[n], may be the same. raw, knots: float64[k], never falling. shift: nats added to the log odds.
    """
    last = raw.shape[0] - 1
    before, again = -1.0, np.float32(0.0)  # most events say what the one before said: the prior alone
    for i in range(posterior.shape[0]):
        p = float(posterior[i])
        if p == before:
            out[i] = again
            continue
        at = np.searchsorted(raw, p, side="right") - 1
        if at < 0:
            said = knots[0]
        elif at >= last:
            said = knots[last]
        else:
            said = knots[at] + (knots[at + 1] - knots[at]) / (raw[at + 1] - raw[at]) * (p - raw[at])
        if shift != 0.0:
            held = min(max(said, _TINY), 1.0 - _TINY)
            said = 1.0 / (1.0 + np.exp(-(np.log(held / (1.0 - held)) + shift)))
        out[i] = said
        before, again = p, out[i]


def unshifted(posterior: float, shift: float) -> float:
    """The posterior without the nats that verdicts moved it."""
    if shift == 0.0:
        return posterior
    held = min(max(posterior, _TINY), 1.0 - _TINY)
    return float(1.0 / (1.0 + np.exp(-(np.log(held / (1.0 - held)) - shift))))


def prior_shift(posteriors: Sequence[float], confirmed: Sequence[bool]) -> float:
    """Nats by which the log odds of the posterior's mean were wrong on the cases that people judged.

    A Beta count: the share confirmed has the prior Beta(BELIEF m, BELIEF (1 - m)), m the mean posterior (unshifted) of those
    cases, so that verdicts that come out as often as said move nothing.

    Args:
        posteriors: of each judged case, calibrated and unshifted. confirmed: what the person said.

    Returns:
        Within [-SHIFT_MAX, SHIFT_MAX]; 0 without verdicts.
    """
    if not posteriors:
        return 0.0
    mean = min(max(sum(posteriors) / len(posteriors), _TINY), 1.0 - _TINY)
    share = (BELIEF * mean + sum(confirmed)) / (BELIEF + len(posteriors))
    nats = float(np.log(share / (1.0 - share)) - np.log(mean / (1.0 - mean)))
    return max(-SHIFT_MAX, min(SHIFT_MAX, nats))

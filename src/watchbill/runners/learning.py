"""From whom nothing is learned, and what verdicts teach: who is frozen at a table tick, and how far the prior moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from watchbill.cases.tally import shift_of
from watchbill.detectors.base import CONFIRMED, SUSPECTED
from watchbill.responses.policy import ASK_REASON, FOREVER
from watchbill.scoring.calibration import prior_shift

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.cases.book import CaseBook
    from watchbill.core.settings import Settings


def suspected(
    standing: NDArray[np.void], frozen: NDArray[np.uint8], proofs: NDArray[np.void] | None = None
) -> NDArray[np.uint8]:
    """Surroundings.frozen as a table tick renews it: under a step, or at work with masked values after a suspension.

    `proofs` (responses.presence.PROOF): an account of which only some place is free is still under its step.
    """
    out = np.zeros(max(standing.shape[0], frozen.shape[0]), np.uint8)
    out[: frozen.shape[0]] = frozen & CONFIRMED
    out[: standing.shape[0]][(standing["step"] >= ASK_REASON) | (standing["whole"] == 1)] |= SUSPECTED
    if proofs is not None:
        out[: proofs.shape[0]][proofs["rest_until"] > 0] |= SUSPECTED
    return out


def learned_prior(settings: Settings, book: CaseBook) -> float:
    """Nats that the verdicts of the book move the posterior's prior; 0 when settings forbid."""
    if not settings.risk.learn_from_verdicts:
        return 0.0
    return prior_shift(*shift_of(book.cases.values()))


def until_of(until: int) -> int | None:
    """`until` for people: None for no end, or no step."""
    return None if until in (0, FOREVER) else until

"""When a source counts as silent: it pauses for much longer than it is used to, by the clock of arrival.

The rule, in one place: a source is silent when the clock has passed its last record by more than an hour and by more
than twice a pause that is its habit. A habit is the third-longest pause that it ever made: nights and week-ends come
again, an outage does not. All of it follows from the journal, so nothing more is written there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SILENT_AT_LEAST_MS: Final = 3_600_000
TIMES_ITS_HABIT: Final = 2
KEPT: Final = 3
"""Pauses remembered; the shortest of them is the habit."""


@dataclass(slots=True)
class Heard:
    """What is known of a source's rhythm: arrival of its last record, and its longest pauses, longest first; all in ms."""

    last: int | None = None
    pauses: list[int] = field(default_factory=list)

    def hear(self, arrivals: NDArray[np.int64]) -> None:
        """Take in the arrivals of its next records (int64[n], never falling); how they are cut does not matter."""
        if not arrivals.shape[0]:
            return
        first = arrivals[:1] if self.last is None else np.array([self.last], np.int64)
        pauses = np.diff(arrivals, prepend=first)
        least = self.pauses[-1] if len(self.pauses) == KEPT else 0
        longer = pauses[pauses > least]
        if longer.shape[0]:
            self.pauses = sorted([*self.pauses, *np.sort(longer)[-KEPT:].tolist()], reverse=True)[:KEPT]
        self.last = int(arrivals[-1])

    def lag_ms(self, clock: int) -> int | None:
        """How long ago its last record arrived; None when it has sent none."""
        return None if self.last is None else max(0, clock - self.last)

    def silent(self, clock: int) -> bool:
        """Whether it says nothing where it should; of one that never sent a record nothing is expected yet."""
        lag = self.lag_ms(clock)
        habit = self.pauses[-1] if len(self.pauses) == KEPT else 0
        return lag is not None and lag > max(SILENT_AT_LEAST_MS, TIMES_ITS_HABIT * habit)

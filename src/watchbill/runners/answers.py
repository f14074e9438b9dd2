"""What the looks of a batch that were asked about got: the answers in the form that a step puts out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from watchbill.context.events import LOOK
from watchbill.responses.policy import ALLOW, DO_MASK, DO_STEP_UP, STEP_UP

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.records.columns import Columns


@dataclass(slots=True)
class Asked:
    """One row a look of a batch that was asked about: `row` in the batch, decision, role and the account's standing.

    `decision` indexes responses.policy.DECISIONS, `step` STEPS, `role` Context.roles; `until` is epoch ms.
    """

    row: NDArray[np.int32]
    decision: NDArray[np.uint8]
    role: NDArray[np.uint8]
    step: NDArray[np.uint8]
    until: NDArray[np.int64]

    @property
    def withheld(self) -> NDArray[np.int64]:
        """Rows whose answer shows nothing in plain."""
        return np.asarray(self.row[self.decision != ALLOW], np.int64)


def asked_of(
    columns: Columns, events: NDArray[np.void], decisions: NDArray[np.uint8], standings: NDArray[np.void]
) -> Asked:
    """The answers of a piece: EVENT[n] with uint8[n] decisions, STANDING[accounts] as it is behind it.

    Past `limits.accounts_max` nobody has a bound to keep, so nothing is shown in plain. A look from a place that proved presence
    (responses/presence.py) stands under no step, though its account does.
    """
    at = np.flatnonzero((events["kind"] == LOOK) & columns.asked[events["row"]])
    who = events["account"][at]
    got = np.where(who >= 0, decisions[at], DO_MASK).astype(np.uint8)
    standing = standings[np.maximum(who, 0)]
    free = (standing["step"] == STEP_UP) & (got < DO_STEP_UP) & (events["reveal"][at] == 1)
    step = np.where((who >= 0) & ~free, standing["step"], 0).astype(np.uint8)
    return Asked(events["row"][at], got, events["role"][at], step, np.where(step > 0, standing["until"], 0))

"""Leavers and unknown accounts. Catches: an ended account that comes back after a silence, and strangers who stay.

Misses: leavers whose roster row was never ended. An account that is missing from the roster, or that works on without a
break past its end, is a finding about the data for the first days (`gates.roster_grace_days`), not about the person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from watchbill.context.events import LOOK, RETRACT
from watchbill.context.roster import ACTIVE, ENDED
from watchbill.core.kernel import kernel
from watchbill.detectors.base import DetectorBase, Example, Surroundings
from watchbill.detectors.kernels import STAKE, daily_stake, example_looks, rare_event

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROW: Final = np.dtype(
    [
        ("log_m", np.float32),
        ("day", np.int32),
        ("last_day", np.int32),  # last active day before today
        ("odd_since", np.int32),  # first day of the running spell outside the roster, 0 = none
        ("dormant", np.uint8),  # 1: that spell began after a silence
        ("said", np.uint8),
    ],
    align=True,
)
P_RETURN: Final = 1e-3
P_STRANGER: Final = 2e-2
SILENCE_DAYS: Final = 3


@kernel
def _observe(events: NDArray[np.void], rows: NDArray[np.void], grace_days: int, out: NDArray[np.float32]) -> None:
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0:
            continue
        row = rows[event.account]
        if event.kind != RETRACT:
            if event.day > row.day:
                row.last_day, row.day, row.said = row.day, event.day, 0
                row.log_m = daily_stake(row.log_m)
            if event.roster == ACTIVE:
                row.odd_since = 0
            elif row.odd_since == 0:
                row.odd_since = event.day
                gap = event.day - row.last_day
                row.dormant = 1 if event.roster == ENDED and row.last_day and gap > SILENCE_DAYS else 0
            odd = row.odd_since > 0 and event.kind == LOOK and event.reveal and row.said == 0
            if odd and event.roster == ENDED and (row.dormant or event.day - row.odd_since >= grace_days):
                row.said = 1
                row.log_m = rare_event(row.log_m, STAKE, P_RETURN, 0.0)
            elif odd and event.roster != ENDED and event.day - row.odd_since >= grace_days:
                row.said = 1
                row.log_m = rare_event(row.log_m, STAKE, P_STRANGER, 0.0)
        out[i] = max(row.log_m, np.float32(0))


class Detector(DetectorBase):
    """Looks by accounts that the roster does not hold at that time."""

    family = "roster"
    needs = ("accounts",)
    row: ClassVar[np.dtype[Any]] = ROW
    kept = ("day", "last_day", "odd_since", "dormant", "said")
    text_en = "is not on the roster at this time (left, or never known)"
    text_zh = "该账号此时不在花名册内（已离职或来源不明）"

    def observe(self, events: NDArray[np.void], around: Surroundings) -> NDArray[np.float32]:
        """See the base class."""
        self.grow(around.accounts)
        out = np.zeros(events.shape[0], np.float32)
        if not self.silent(around):
            _observe(events, self.rows, int(self.settings.gates.roster_grace_days), out)
        return out

    @classmethod
    def examples(cls) -> list[Example]:
        """A leaver who comes back, and a roster that is late."""
        before = np.concatenate([example_looks(3, start_day=20_000 + d) for d in range(3)])
        gone = example_looks(3, start_day=20_020)
        gone["roster"] = ENDED
        late = np.concatenate([example_looks(3, start_day=20_003 + d) for d in range(5)])
        late["roster"] = ENDED
        return [
            Example(
                "back after seventeen days of silence, past the end",
                np.concatenate([before, gone]),
                found=True,
                nats_min=4.0,
            ),
            Example("works on without a break past the end", np.concatenate([before, late]), found=False, nats_min=4.0),
        ]

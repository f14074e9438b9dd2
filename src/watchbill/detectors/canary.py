"""Canaries. Catches: whoever looks at a customer or parcel that does not exist; one hit is near proof.

Misses: harvests that never touch one (with one canary in 200, four of five harvests of 50 records).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from watchbill.context.events import LOOK
from watchbill.core.kernel import kernel
from watchbill.detectors.base import DetectorBase, Example, Surroundings
from watchbill.detectors.kernels import STAKE, daily_stake, example_looks, rare_event

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROW: Final = np.dtype([("log_m", np.float32), ("day", np.int32), ("last", np.uint64), ("said", np.uint8)], align=True)
P_HIT: Final = 1e-6
P_AGAIN: Final = 1e-9
"""Daily probabilities of a first hit, and of a second one at another canary."""
HALF: Final = STAKE / 2


@kernel
def _observe(events: NDArray[np.void], rows: NDArray[np.void], out: NDArray[np.float32]) -> None:
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0:
            continue
        row = rows[event.account]
        if event.kind == LOOK:
            if event.day > row.day:
                row.day, row.said = event.day, 0
                row.log_m = daily_stake(row.log_m)
            if event.canary and event.success and row.said == 0:
                row.last, row.said = event.item, 1
                row.log_m = rare_event(row.log_m, HALF, P_HIT, 0.0)
            elif event.canary and event.success and row.said == 1 and row.last != event.item:
                row.said = 2
                row.log_m = rare_event(row.log_m, HALF, P_AGAIN, HALF / P_HIT)
        out[i] = max(row.log_m, np.float32(0))


class Detector(DetectorBase):
    """Looks at canaries, masked ones included: no honest work leads there."""

    family = "canary"
    needs = ("canaries",)
    row: ClassVar[np.dtype[Any]] = ROW
    kept = ("day", "last", "said")
    text_en = "looked at a planted customer that does not exist"
    text_zh = "查询了并不存在的诱饵客户"

    def observe(self, events: NDArray[np.void], around: Surroundings) -> NDArray[np.float32]:
        """See the base class."""
        self.grow(around.accounts)
        out = np.zeros(events.shape[0], np.float32)
        if not self.silent(around):
            _observe(events, self.rows, out)
        return out

    @classmethod
    def examples(cls) -> list[Example]:
        """One hit, and none."""
        hit = example_looks(5)
        hit["canary"][3] = 1
        return [
            Example("one planted customer among five", hit, found=True),
            Example("no planted customer", example_looks(50), found=False),
        ]

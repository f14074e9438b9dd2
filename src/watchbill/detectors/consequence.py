"""Consequence. Catches: days on which looks that usually lead to the account's own work lead to none, explained or not.

Own work is a scan, a call or a ticket within 24 hours. Misses: roles whose looks lead to no logged work (service without
tickets: silent by the role's habit), days on which the outlet's scans stopped, a harvest of parcels that the account then handles all the same, and everything until the
day is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from watchbill.context.events import LOOK, WORK
from watchbill.detectors.base import Example
from watchbill.detectors.kernels import example_looks
from watchbill.detectors.share_kernels import (
    DAILY_ROW,
    PAID,
    PASS,
    VOID,
    ShareDetector,
    Shares,
    first_looks,
    followed,
    shares_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

CORRELATION: Final = 0.1
"""Two clerks share one scanner's login for hours, so that whole days of one of them have half the work in the other's name; so a day says no
more than how rare such days are in the role."""


class Detector(ShareDetector):
    """The share of a day's first looks that no own work followed."""

    family = "trace"
    row: ClassVar[np.dtype[Any]] = DAILY_ROW
    shares: ClassVar[Shares] = shares_of(0.01, 0.6, CORRELATION)
    daily = True
    honest_max = 0.55
    honest_at = 0.9
    text_en = "looked at parcels all day without any work on them afterwards"
    text_zh = "全天查询的包裹之后均无任何业务操作"

    def marks(self, events: NDArray[np.void]) -> NDArray[np.int8]:
        """A first look counts as without consequence until own work on the item comes; days without scans are void."""
        silent = (events["kind"] == LOOK) & ((events["gated"] & 1) > 0)
        out = np.where(first_looks(events), 1, np.where(followed(events), PAID, PASS))
        return np.where(silent, VOID, out).astype(np.int8)

    @classmethod
    def examples(cls) -> list[Example]:
        """A day of looks without work, and days of work."""
        days = []
        for d in range(4):
            looks = example_looks(80, start_day=20_000 + d)
            work = looks.copy()
            work["kind"], work["follows"], work["first"], work["reveal"] = WORK, 1, 0, 0
            days.append(np.stack([looks, work], axis=1).ravel())
        idle = example_looks(80, start_day=20_002)
        return [
            Example(
                "two days of work, then a day of looks alone", np.concatenate([*days[:2], idle, days[3]]), found=True
            ),
            Example("four days of work", np.concatenate(days), found=False),
        ]

"""Breadth without depth. Catches: days of parcel after parcel, unmasked and once each, where honest work comes back to them.

Honest work looks at masked lists first and looks again after no answer. Misses: roles whose honest work is broad too
(stations), a harvest that repeats its looks, and everything until the day is over: honest clearing of problem parcels looks the
same for an hour, so only whole days are judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from watchbill.context.events import LOOK
from watchbill.detectors.base import Example
from watchbill.detectors.kernels import example_looks
from watchbill.detectors.share_kernels import DAILY_ROW, PASS, ShareDetector, Shares, shares_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

CORRELATION: Final = 0.02


class Detector(ShareDetector):
    """The share of a day's looks that are first and unmasked."""

    family = "harvest"
    row: ClassVar[np.dtype[Any]] = DAILY_ROW
    shares: ClassVar[Shares] = shares_of(0.05, 0.9, CORRELATION)
    daily = True
    honest_max = 0.8
    text_en = "opened parcel after parcel once each, where its work comes back to them"
    text_zh = "逐件查看从不回看，与其平日工作方式不同"

    def marks(self, events: NDArray[np.void]) -> NDArray[np.int8]:
        """All successful looks; a hit is the first unmasked one at its item."""
        looks = (events["kind"] == LOOK) & (events["success"] == 1)
        return np.where(looks, (events["first"] == 1) & (events["reveal"] == 1), PASS).astype(np.int8)

    @classmethod
    def examples(cls) -> list[Example]:
        """Two days of four hundred parcels once each, and honest days."""
        days = np.concatenate([example_looks(200, gap_ms=30_000, start_day=20_000 + d) for d in range(6)])
        days["first"][::2] = 0
        broad = days.copy()
        broad["first"][600:1000] = 1
        return [
            Example("three honest days, then two on which nothing is looked at twice", broad, found=True),
            Example("every second look a repeat", days, found=False),
        ]

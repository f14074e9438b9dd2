"""Fresh parcels. Catches: accounts whose looks turn to parcels picked up within two hours, in their own hands or not.

The price of a record falls within hours of the order. Misses: whoever photographs the slip instead of looking it up (only
attribution and canaries see that), who always worked on fresh parcels (the null is the account's own habit), and a few
fresh looks a day among many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from watchbill.detectors.base import Example
from watchbill.detectors.kernels import example_looks
from watchbill.detectors.share_kernels import PASS, ShareDetector, Shares, first_looks, shares_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

CORRELATION: Final = 0.05


class Detector(ShareDetector):
    """The share of first looks at parcels within two hours of their pickup."""

    family = "trace"
    shares: ClassVar[Shares] = shares_of(0.01, 0.4, CORRELATION)
    honest_max = 0.35
    text_en = "looked at parcels within two hours of their pickup far more than it used to"
    text_zh = "揽收两小时内的新包裹查询占比远超以往"

    def marks(self, events: NDArray[np.void]) -> NDArray[np.int8]:
        """A first look is a hit where the parcel is fresh; that the account handles it later is no excuse."""
        return np.where(first_looks(events), events["fresh"], PASS).astype(np.int8)

    @classmethod
    def examples(cls) -> list[Example]:
        """Fresh parcels from the third day on, and a few of them as always."""
        days = np.concatenate([example_looks(80, start_day=20_000 + d) for d in range(3)])
        days["fresh"][::20] = 1
        turned = days.copy()
        turned["fresh"][-40:] = 1
        return [
            Example("two usual days, then forty fresh parcels", turned, found=True),
            Example("one look in twenty at a fresh parcel", days, found=False),
        ]

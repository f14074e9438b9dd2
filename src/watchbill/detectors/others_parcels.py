"""Others' parcels. Catches: looks at parcels that are neither this account's to deliver nor were in its hands, even if explained.

So a courier's number that walks through the outlet's list, or mixes explained with unexplained records. Misses: roles that
never have parcels of their own (service, hotline: silent there by their role's habit), who stays within what is assigned to
him, and carriers that do not log to whom parcels are given. An informal swap of rounds costs nothing for long: the evidence
of a look goes back when the account scans the parcel after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from watchbill.context.events import WORK
from watchbill.detectors.base import Example
from watchbill.detectors.kernels import NATS_MAX, example_looks
from watchbill.detectors.share_kernels import PAID, PASS, ShareDetector, Shares, first_looks, followed, shares_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

CORRELATION: Final = 0.05
OWN: Final = 1


class Detector(ShareDetector):
    """The share of first looks at parcels that somebody else has to deliver, or nobody yet."""

    family = "trace"
    shares: ClassVar[Shares] = shares_of(0.01, 0.3, CORRELATION)
    honest_max = 0.2
    cause_nats_max = float(NATS_MAX)  # what a sitting of honest work at others' parcels adds, its scans take back
    text_en = "looked at parcels that others had to deliver and that it never scanned"
    text_zh = "查看了由他人派送且本人从未经手的包裹"

    def marks(self, events: NDArray[np.void]) -> NDArray[np.int8]:
        """A first look is a hit unless the parcel is the account's own or was in its hands; nobody assigns parcels to a device."""
        hit = (events["assigned"] != OWN) & (events["own_scan"] == 0)
        return np.where(
            first_looks(events) & (events["lone"] == 0), hit, np.where(followed(events), PAID, PASS)
        ).astype(np.int8)

    @classmethod
    def examples(cls) -> list[Example]:
        """A list walked on the third day, and an informal swap of rounds."""
        days = np.concatenate([example_looks(80, start_day=20_000 + d) for d in range(3)])
        days["reason"], days["assigned"], days["item"] = 1, 1, np.arange(1, 241)
        walked = days.copy()
        walked["assigned"][-40:] = 2
        swap = walked[-40:].copy()
        scans = swap.copy()
        scans["kind"], scans["follows"], scans["first"], scans["reveal"] = WORK, 1, 0, 0
        swapped = np.concatenate([days[:-40], np.stack([swap, scans], axis=1).ravel()])
        return [
            Example("two days of own parcels, then forty of colleagues'", walked, found=True, nats_min=10.0),
            Example("the same, each scanned by the account afterwards", swapped, found=False, nats_min=10.0),
        ]

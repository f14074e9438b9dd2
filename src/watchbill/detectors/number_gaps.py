"""Number gaps. Catches: looks that walk ranges of waybill numbers: each near one of the last sixteen, at others' parcels.

Misses: lists in no sequence, ranges walked in large steps or within one hour, and roles whose honest work runs in ranges (label printing: silent
there by the role's habit). Own parcels do not count: a shop's hundred parcels have numbers in a row, and so have their looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from watchbill.core.kernel import Row, kernel
from watchbill.detectors.base import Example
from watchbill.detectors.kernels import example_looks
from watchbill.detectors.share_kernels import PASS, ShareDetector, Shares, first_looks, shares_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.core.settings import Settings

LAST: Final = 16
BUCKET: Final = 8
"""Numbers are remembered in steps of eight, as 16-bit hashes: a look is near when its step or a neighbour of it is there."""
CORRELATION: Final = 0.1
"""Honest nearness comes in days; and in sittings (the problem parcels of one shop), so no hour counts for more than 8 nats."""
NUMBERS: Final = np.dtype([("last", np.uint16, (LAST,)), ("at", np.uint16)], align=True)
"""The last numbers of one account."""


@kernel
def _hash(bucket: int) -> np.uint16:
    mixed = np.uint64(bucket) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(48)
    return np.uint16(max(mixed, np.uint64(1)))


@kernel
def _is_near(row: Row, bucket: int) -> bool:
    one, two, three = _hash(bucket - 1), _hash(bucket), _hash(bucket + 1)
    found = False
    for k in range(LAST):
        found = found or row.last[k] == one or row.last[k] == two or row.last[k] == three
    return found


@kernel
def _mark(events: NDArray[np.void], wanted: NDArray[np.bool_], rows: NDArray[np.void], out: NDArray[np.int8]) -> None:
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0 or not wanted[i]:
            continue
        row, bucket = rows[event.account], event.number // BUCKET
        if event.assigned != 1 and event.own_scan == 0:
            out[i] = 1 if _is_near(row, bucket) else 0
        row.last[row.at] = _hash(bucket)
        row.at = (row.at + 1) % LAST


class Detector(ShareDetector):
    """The share of first looks at others' parcels whose number is near one of the last."""

    family = "harvest"
    tables: ClassVar[tuple[str, ...]] = (*ShareDetector.tables, "numbers")
    beside = ("numbers",)
    shares: ClassVar[Shares] = shares_of(0.02, 0.5, CORRELATION)
    honest_max = 0.6
    text_en = "walked through ranges of waybill numbers"
    text_zh = "按运单号段连续查询"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.numbers: NDArray[np.void] = np.zeros(0, NUMBERS)

    def grow(self, accounts: int) -> None:
        """See the base class; each row has its last numbers beside it."""
        super().grow(accounts)
        more = self.rows.shape[0] - self.numbers.shape[0]
        if more > 0:
            self.numbers = np.concatenate([self.numbers, np.zeros(more, NUMBERS)])

    def marks(self, events: NDArray[np.void]) -> NDArray[np.int8]:
        """A first look at a numbered parcel that is not the account's own; a hit when it is near one of the last."""
        out = np.full(events.shape[0], PASS, np.int8)
        _mark(events, first_looks(events) & (events["number"] > 0), self.numbers, out)
        return out

    @classmethod
    def examples(cls) -> list[Example]:
        """A range walked on the third day, and numbers from everywhere."""
        days = np.concatenate([example_looks(80, start_day=20_000 + d) for d in range(3)])
        days["number"] = np.arange(1, 241) * 7_919 % 100_003 * 1_009
        walked = days.copy()
        walked["number"][-60:] = 50_000_000 + np.arange(60)
        walked["hour"][-30:] += 1
        return [
            Example("two usual days, then sixty numbers in a row", walked, found=True),
            Example("numbers from everywhere", days, found=False),
        ]

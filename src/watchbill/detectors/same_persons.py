"""Same persons. Catches: who follows a few particular people, looking without a reason at their parcels, parcel after parcel.

Few looks a day, far under any volume: an abusive partner, a private detective's clerk. Misses: persons whose parcels are the
account's own work, one look a person, and customers so busy that everybody meets them (shops): those count for nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from watchbill.context.events import RETRACT
from watchbill.core.kernel import Row, kernel
from watchbill.core.tables import power_of_two
from watchbill.detectors.base import Example, Surroundings
from watchbill.detectors.kernels import example_looks
from watchbill.detectors.share_kernels import PAID, PASS, UNKNOWN, ShareDetector, Shares, first_looks, shares_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.core.settings import Settings

HELD: Final = 48
"""Customers remembered of an account: those of its last two dozen looks without a reason."""
CORRELATION: Final = 0.05
BUSY_MIN: Final = 30.0
"""Looks (decayed, half a day's worth lost each day) from which a customer is busy, over four times the mean cell's."""
_CELLS_MIN, _CELLS_MAX = 1 << 14, 1 << 22
_CELLS_AN_ACCOUNT: Final = 16
_HOURS: Final = 24
_HOUR_MS: Final = 3_600_000
PERSONS: Final = np.dtype(
    [("who", np.uint32, (HELD,)), ("day", np.uint16, (HELD,)), ("at", np.uint16)], align=True
)  # fmt: skip
"""Customers that one account saw without a reason, and on which local day."""


@kernel
def _cell(subject: np.uint64, cells: int) -> int:
    return int((subject * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(42)) & np.uint64(cells - 1))


@kernel
def _met_before(row: Row, who: np.uint32, day: np.uint16) -> bool:
    """Whether the account saw this customer without a reason on another day."""
    for k in range(HELD):  # noqa: SIM110 - numba compiles a plain loop
        if row.who[k] == who and row.day[k] != day:
            return True
    return False


@kernel
def _one(row: Row, subject: np.uint64, day: np.uint16, busy: NDArray[np.uint16], over: float) -> bool:
    """Remember a customer; whether it is one of those who are followed."""
    if subject == np.uint64(0) or busy[_cell(subject, busy.shape[0])] >= over:
        return False
    who = np.uint32(max(subject >> np.uint64(32), np.uint64(1)))
    met = _met_before(row, who, day)
    row.who[row.at], row.day[row.at] = who, day
    row.at = (row.at + 1) % HELD
    return met


@kernel
def _mark(
    events: NDArray[np.void], wanted: NDArray[np.bool_], rows: NDArray[np.void], counts: NDArray[np.uint16],
    busy: NDArray[np.uint16], over: float, out: NDArray[np.int8],
) -> None:  # fmt: skip
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0 or not wanted[i]:
            continue
        first, last = event.subject, event.subject_last
        for subject in (first, last if last != first else np.uint64(0)):
            if subject != np.uint64(0):
                cell = _cell(subject, counts.shape[0])
                counts[cell] = min(counts[cell] + 1, 65_535)
        if event.reason == 0 and first != np.uint64(0):
            row, day = rows[event.account], np.uint16(event.day & 0xFFFF)
            met = _one(row, first, day, busy, over)
            if last != first:
                met = _one(row, last, day, busy, over) or met
            out[i] = 1 if met else 0


class Detector(ShareDetector):
    """The share of first looks without a reason that go to customers whom the account so saw on another day."""

    family = "slow"
    tables: ClassVar[tuple[str, ...]] = (*ShareDetector.tables, "persons", "counts", "busy", "over")
    beside = ("persons",)
    shares: ClassVar[Shares] = shares_of(0.05, 0.5, CORRELATION)
    honest_max = 1.0  # a day has a look or two of this kind: its share says little about the role
    day_looks_min = 1.0
    text_en = "kept looking, without a reason, at the parcels of the same few people"
    text_zh = "无事由反复查询同几位客户的包裹"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.persons: NDArray[np.void] = np.zeros(0, PERSONS)
        self.counts, self.busy = np.zeros(_CELLS_MIN, np.uint16), np.zeros(_CELLS_MIN, np.uint16)
        self.over = np.array([BUSY_MIN])

    def grow(self, accounts: int) -> None:
        """See the base class; each row has its customers beside it."""
        super().grow(accounts)
        more = self.rows.shape[0] - self.persons.shape[0]
        if more > 0:
            self.persons = np.concatenate([self.persons, np.zeros(more, PERSONS)])

    def marks(self, events: NDArray[np.void]) -> NDArray[np.int8]:
        """First looks without a reason; a hit is at a customer so seen on another day. A late reason takes it back."""
        out = np.where(events["kind"] == RETRACT, PAID, PASS).astype(np.int8)
        looks = first_looks(events) & (events["lone"] == 0)
        _mark(events, looks, self.persons, self.counts, self.busy, float(self.over[0]), out)
        return out

    def publish(self, arrival: int, around: Surroundings) -> None:
        """Tell who is busy, and forget half of it at the first tick of a day (UTC)."""
        super().publish(arrival, around)
        self.honest[self.honest == UNKNOWN] = 0.0  # the lowest share of the tables
        cells = min(max(power_of_two(_CELLS_AN_ACCOUNT * around.accounts), _CELLS_MIN), _CELLS_MAX)
        if cells > self.counts.shape[0]:
            self.counts = np.zeros(cells, np.uint16)
        self.busy = self.counts.copy()
        self.over = np.array([BUSY_MIN + 4.0 * float(self.busy.mean())])
        if arrival // _HOUR_MS % _HOURS == 0:
            self.counts = self.counts // 2

    @classmethod
    def examples(cls) -> list[Example]:
        """Five looks a day at the same five people among honest ones; and five a day at others each time."""
        days = np.concatenate([example_looks(80, start_day=20_000 + d) for d in range(10)])
        days["reason"], days["subject"] = 1, np.arange(1, 801) * 1_000_003 << 24
        days["subject_last"], days["item"] = days["subject"], np.arange(1, 801)
        other = days[400:].copy()
        other["reason"][::16] = 0
        same = other.copy()
        same["subject"][::16] = same["subject_last"][::16] = (np.arange(25) % 5 + 1) << 40
        before = days[:400]
        return [
            Example("five looks a day without a reason, at the same five people", same, found=True, before=before),
            Example("five looks a day without a reason, at others each time", other, found=False, before=before),
        ]

"""Decisions that Watchbill gave: a look that names one of them is the look that was asked about, and counts nothing twice.

A `decision` that was not given by us, or was given to another account or for another item, makes a look neither better nor
worse: it is an ordinary look. So is a look that shows in plain what its decision withheld. Bounded: two generations of
`limits.decisions_max` / 2 entries each; when the young one is full the old one is forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from watchbill.context.spans import SpanTable, holds, open_span
from watchbill.core.hashing import combine, work_key
from watchbill.core.kernel import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.records.columns import Columns

_TAG: Final = 15
_WITHHELD: Final = 16
_FOREVER: Final = np.iinfo(np.int64).max
_HOUR_MS: Final = 3_600_000


class _Batch(NamedTuple):
    """The columns of a batch that make keys."""

    decisions: NDArray[np.uint64]
    accounts: NDArray[np.uint64]
    waybills: NDArray[np.uint64]
    ends: NDArray[np.int32]
    subjects: NDArray[np.uint64]
    arrivals: NDArray[np.int64]
    asked: NDArray[np.bool_]
    plain: NDArray[np.bool_]


@kernel
def given_key(decision: np.uint64, account: np.uint64, item: np.uint64, tag: int) -> np.uint64:
    """The key of a decision given to an account for an item (hashes; item as in EVENT: the waybill, else the first subject)."""
    return work_key(combine(decision, account, tag), item, tag)


@kernel
def _key_of(b: _Batch, at: int, tag: int) -> np.uint64:
    item, first = b.waybills[at], b.ends[at - 1] if at else np.int32(0)
    if item == np.uint64(0) and b.ends[at] > first:
        item = b.subjects[first]
    return np.uint64(given_key(b.decisions[at], b.accounts[at], item, tag))


@kernel
def _known(b: _Batch, at: int, tag: int, young: NDArray[np.void], old: NDArray[np.void]) -> bool:
    key = _key_of(b, at, tag)
    return holds(young, key, b.arrivals[at], 0, _FOREVER) or holds(old, key, b.arrivals[at], 0, _FOREVER)


@kernel
def _settle(
    rows: NDArray[np.int64], b: _Batch, keep_ms: int, room: int, young: NDArray[np.void], old: NDArray[np.void],
    out: NDArray[np.bool_],
) -> tuple[int, int]:  # fmt: skip
    """(rows done, entries added); ends early when the young table is full."""
    count = 0
    for number in range(rows.shape[0]):
        at = rows[number]
        if b.asked[at]:
            if count >= room:
                return number, count
            count += open_span(young, _key_of(b, at, _TAG), b.arrivals[at], b.arrivals[at] + keep_ms)
        elif _known(b, at, _TAG, young, old):
            out[at] = not b.plain[at] or not _known(b, at, _WITHHELD, young, old)
    return rows.shape[0], count


@kernel
def _withhold(rows: NDArray[np.int64], b: _Batch, keep_ms: int, young: NDArray[np.void]) -> int:
    count = 0
    for at in rows:
        count += open_span(young, _key_of(b, at, _WITHHELD), b.arrivals[at], b.arrivals[at] + keep_ms)
    return count


class Given:
    """The given decisions. `settle` goes over a batch; `withhold` notes which of them showed nothing in plain.

    Args:
        most: entries that are kept at once. keep_hours: how long a decision confirms the look that it was given for.
    """

    def __init__(self, most: int, keep_hours: float = 24.0) -> None:
        self.half = most // 2
        self.keep_ms = int(keep_hours * _HOUR_MS)
        self.young, self.old = SpanTable(), SpanTable()

    def settle(self, c: Columns, accounts: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """bool[n]: which records stand under a decision that was given for them; asked ones are noted, row by row.

        Args:
            accounts: uint64[n], the acting accounts' keys.
        """
        out = np.zeros(len(c), np.bool_)
        held = self.young.count + self.old.count
        rows = np.flatnonzero(c.decision) if held or c.asked.any() else np.zeros(0, np.int64)
        batch = _batch_of(c, accounts) if rows.shape[0] else None
        while batch is not None and rows.shape[0]:
            room = self._room(int(np.count_nonzero(c.asked[rows])))
            done, count = _settle(rows, batch, self.keep_ms, room, self.young.cells, self.old.cells, out)
            self.young.count += int(count)
            rows = rows[done:]
            if not self.half:  # nothing is kept at all
                rows = rows[~c.asked[rows]]
        return out

    def _room(self, wanted: int) -> int:
        if wanted and self.young.count >= self.half > 0:
            self.old, self.young = self.young, SpanTable()
        room = min(wanted, self.half - self.young.count)
        self.young.reserve(room)
        return room

    def withhold(self, c: Columns, accounts: NDArray[np.uint64], rows: NDArray[np.int64]) -> None:
        """Note that the decisions of these asked rows showed nothing in plain."""
        if self.half and rows.shape[0]:
            self.young.reserve(rows.shape[0])
            self.young.count += int(_withhold(rows, _batch_of(c, accounts), self.keep_ms, self.young.cells))

    def expire(self, arrival: int) -> None:
        """Forget what is over at `arrival` (epoch ms)."""
        self.young.expire(arrival)
        self.old.expire(arrival)

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Named arrays."""
        young = {f"young_{name}": value for name, value in self.young.snapshot().items()}
        return young | {f"old_{name}": value for name, value in self.old.snapshot().items()}

    def restore(self, saved: dict[str, NDArray[Any]]) -> None:
        """The inverse of `snapshot`; a state from before decisions were given holds none."""
        for name, at in (("young", "young_"), ("old", "old_")):
            own = {key.removeprefix(at): value for key, value in saved.items() if key.startswith(at)}
            setattr(self, name, SpanTable.restore(own) if own else SpanTable())


def _batch_of(c: Columns, accounts: NDArray[np.uint64]) -> _Batch:
    plain = (c.masked == 0) & (c.outcome <= 1)
    return _Batch(c.decision, accounts, c.waybill, c.subject_ends, c.subjects, c.arrival, c.asked, plain)

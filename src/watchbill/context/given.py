"""Decisions that Watchbill gave: a look that names one of them is the look that was asked about, and counts nothing twice.

A `decision` that was not given by us, or was given to another account or for another item, makes a look neither better nor
worse: it is an ordinary look. Bounded: past `limits.decisions_max` further decisions are not kept (and counted in `left_out`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from watchbill.context.spans import SpanTable, holds, open_span
from watchbill.core.hashing import combine, work_key
from watchbill.core.kernel import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.records.columns import Columns

_TAG: Final = 15
_FOREVER: Final = np.iinfo(np.int64).max


@kernel
def given_key(decision: np.uint64, account: np.uint64, item: np.uint64) -> np.uint64:
    """The key of a decision given to an account for an item (hashes; item as in EVENT: the waybill, else the first subject)."""
    return work_key(combine(decision, account, _TAG), item, _TAG)


@kernel
def _confirm(
    rows: NDArray[np.int64], decisions: NDArray[np.uint64], accounts: NDArray[np.uint64], waybills: NDArray[np.uint64],
    ends: NDArray[np.int32], subjects: NDArray[np.uint64], arrivals: NDArray[np.int64], cells: NDArray[np.void],
    out: NDArray[np.bool_],
) -> None:  # fmt: skip
    for at in rows:
        item, first = waybills[at], ends[at - 1] if at else np.int32(0)
        if item == np.uint64(0) and ends[at] > first:
            item = subjects[first]
        out[at] = holds(cells, given_key(decisions[at], accounts[at], item), arrivals[at], 0, _FOREVER)


class Given:
    """The table of given decisions. `give` fills it; `confirmed` reads it for a batch."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.left_out = 0
        self.spans = SpanTable()

    def give(self, decision: np.uint64, account: np.uint64, item: np.uint64, arrival: int, until: int) -> None:
        """Note a decision (hashes) given at `arrival` and good until `until` (epoch ms)."""
        if self.spans.count >= self.most:
            self.spans.expire(arrival)
        if self.spans.count >= self.most:
            self.left_out += 1
            return
        self.spans.reserve(1)
        key = np.uint64(given_key(decision, account, item))
        self.spans.count += int(open_span(self.spans.cells, key, arrival, until))

    def confirmed(self, c: Columns, accounts: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """bool[n]: which records stand under a decision that was given for them; `accounts` are the acting accounts' keys."""
        out = np.zeros(len(c), np.bool_)
        rows = np.flatnonzero(c.decision) if self.spans.count else np.zeros(0, np.int64)
        if rows.shape[0]:
            _confirm(
                rows, c.decision, accounts, c.waybill, c.subject_ends, c.subjects, c.arrival, self.spans.cells, out
            )
        return out

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Named arrays."""
        return self.spans.snapshot()

    def restore(self, saved: dict[str, NDArray[Any]]) -> None:
        """The inverse of `snapshot`."""
        self.spans = SpanTable.restore(saved)

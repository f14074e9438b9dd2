"""Keys that hold for a span of time: open tickets, signed parcels, the parcels table, canaries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from watchbill.core.kernel import kernel
from watchbill.core.tables import MAX_LOAD, power_of_two

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPAN: Final = np.dtype(
    [("key", np.uint64), ("since", np.int64), ("last", np.int64), ("until", np.int64), ("open", np.int64)], align=True
)
"""One cell of an open-addressing table; key 0 = empty. since: first moment of the running spell, last: its latest
renewal, until: its end, all in epoch ms; open: how many tickets hold it open."""

_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)


@kernel
def span_slot(spans: NDArray[np.void], key: np.uint64) -> int:
    """The cell of `key`, or the empty cell where it would stand."""
    mask = np.uint64(spans.shape[0] - 1)
    slot = (key * _SPREAD) >> np.uint64(20) & mask
    while spans[slot].key != key and spans[slot].key != np.uint64(0):
        slot = (slot + np.uint64(1)) & mask
    return int(np.int64(slot))


@kernel
def open_span(spans: NDArray[np.void], key: np.uint64, since: int, until: int) -> int:
    """Set the span of `key`; an earlier `since` stays. 1 when the key is new."""
    cell = spans[span_slot(spans, key)]
    new = 1 if cell.key == np.uint64(0) else 0
    if new or since < cell.since:
        cell.since = since
    cell.last = since if new else max(cell.last, since)
    cell.key = key
    cell.until = until
    return new


@kernel
def open_ticket(spans: NDArray[np.void], key: np.uint64, time: int, until: int, fresh: bool) -> int:
    """One more ticket (if `fresh`) holds `key` from `time`; a spell that is over begins anew. 1 when the key is new."""
    cell = spans[span_slot(spans, key)]
    new = 1 if cell.key == np.uint64(0) else 0
    if new or time >= cell.until:
        cell.since, cell.last, cell.until, cell.open = time, time, until, 0
    cell.key = key
    cell.since = min(cell.since, time)
    cell.last = max(cell.last, time)
    cell.until = max(cell.until, until) if cell.open > 0 else until
    cell.open += 1 if fresh else 0
    return new


@kernel
def close_ticket(spans: NDArray[np.void], key: np.uint64, time: int, until: int, was_open: bool) -> int:
    """A ticket that held `key` is closed: with the last one the span ends at `until`. 1 when the key is new."""
    cell = spans[span_slot(spans, key)]
    new = 1 if cell.key == np.uint64(0) else 0
    if new:
        cell.key, cell.since, cell.last, cell.open = key, time, time, 0
    elif was_open:
        cell.open = max(0, cell.open - 1)
    if cell.open == 0:
        cell.until = until
    return new


@kernel
def holds(spans: NDArray[np.void], key: np.uint64, time: int, early_ms: int, window_ms: int) -> bool:
    """Whether `key` holds at `time`.

    That is: not before `since - early_ms`, before `until`, at most `window_ms` after the latest renewal.
    """
    cell = spans[span_slot(spans, key)]
    if cell.key == np.uint64(0):
        return False
    return bool(cell.since - early_ms <= time < cell.until and time - cell.last <= window_ms)


@kernel
def _copy(old: NDArray[np.void], new: NDArray[np.void], not_before: int) -> int:
    kept = 0
    for i in range(old.shape[0]):
        if old[i].key != np.uint64(0) and old[i].until >= not_before:
            cell = new[span_slot(new, old[i].key)]
            cell.key = old[i].key
            cell.since, cell.last = old[i].since, old[i].last
            cell.until, cell.open = old[i].until, old[i].open
            kept += 1
    return kept


class SpanTable:
    """A growing, expiring table of spans; `cells` is what kernels get."""

    def __init__(self, expected: int = 0) -> None:
        self.cells = _blank(expected)
        self.count = 0

    @classmethod
    def none(cls) -> SpanTable:
        """A table of one empty cell: kernels take it as "there is no such table"."""
        table = cls()
        table.cells = np.zeros(1, SPAN)
        return table

    def reserve(self, more: int) -> None:
        """Room for `more` new keys."""
        if self.count + more > MAX_LOAD * self.cells.shape[0]:
            self._rebuild(self.count + more, np.iinfo(np.int64).min)

    def expire(self, before: int) -> None:
        """Drop the spans that ended before `before` (epoch ms)."""
        self._rebuild(self.count, before)

    def _rebuild(self, expected: int, not_before: int) -> None:
        fresh = _blank(expected)
        self.count = int(_copy(self.cells, fresh, not_before))
        self.cells = fresh

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Held spans sorted by key."""
        held = self.cells[self.cells["key"] != 0]
        return {"cells": held[np.argsort(held["key"], kind="stable")]}

    @classmethod
    def restore(cls, saved: dict[str, NDArray[Any]]) -> SpanTable:
        """The inverse of `snapshot`."""
        table = cls(int(saved["cells"].shape[0]))
        table.count = int(_copy(saved["cells"], table.cells, np.iinfo(np.int64).min))
        return table


def _blank(expected: int) -> NDArray[np.void]:
    return np.zeros(power_of_two(int(expected / MAX_LOAD) + 1), SPAN)

"""Who had work on which parcel, in bounded memory: one exact table for recent days, Bloom filters by day for older ones.

A key is a hash of (outlet or account, waybill, tag). At each new UTC day of arrival the keys whose latest work is older
than `exact_days` move into a filter of that day; dropping a filter is how work expires. A false positive of a filter
explains, so it never accuses; over all filters and templates together false explanations stay under 0.5 %
(tests/context/test_store.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from watchbill.core.kernel import kernel
from watchbill.core.tables import MAX_LOAD, bloom_has, bloom_of, power_of_two

if TYPE_CHECKING:
    from numpy.typing import NDArray

DAY_MS: Final = 86_400_000
CELL: Final = np.dtype([("key", np.uint64), ("mark", np.int64)], align=True)
"""mark = latest time * 2 + (1 if the work explains, 0 for an unexplained look); key 0 = empty."""

FAR: Final = np.iinfo(np.int64).max // 4
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)


@kernel
def work_slot(cells: NDArray[np.void], key: np.uint64) -> int:
    """The cell of `key`, or the empty cell where it would stand."""
    mask = np.uint64(cells.shape[0] - 1)
    slot = (key * _SPREAD) >> np.uint64(20) & mask
    while cells[slot].key != key and cells[slot].key != np.uint64(0):
        slot = (slot + np.uint64(1)) & mask
    return int(np.int64(slot))


@kernel
def remember(cells: NDArray[np.void], key: np.uint64, time: int, explaining: int) -> int:
    """Note `key` at `time`: the latest time of what explains, else of what does not. 1 when it is new."""
    cell = cells[work_slot(cells, key)]
    if cell.key == np.uint64(0):
        cell.key = key
        cell.mark = time * 2 + explaining
        return 1
    if cell.mark & 1 and not explaining:
        return 0  # an unexplained look may not renew a reason
    if explaining and not cell.mark & 1:
        cell.mark = time * 2 + 1
    else:
        cell.mark = max(cell.mark >> 1, time) * 2 + explaining
    return 0


@kernel
def seen_lately(cells: NDArray[np.void], key: np.uint64) -> bool:
    """Whether `key` stands in the exact table."""
    return bool(cells[work_slot(cells, key)].key != np.uint64(0))


@kernel
def latest_of(cells: NDArray[np.void], key: np.uint64) -> int:
    """The latest time under `key` in the exact table; FAR when it does not stand there."""
    cell = cells[work_slot(cells, key)]
    return int(np.int64(cell.mark >> 1)) if cell.key != np.uint64(0) else FAR


@kernel
def explains(
    cells: NDArray[np.void], words: NDArray[np.uint32], filters: NDArray[np.int64], key: np.uint64, look_time: int,
    window_ms: int, latest: int,
) -> bool:  # fmt: skip
    """Whether work under `key` lies in [look_time - window_ms, latest]; old filters answer by their day.

    Args:
        words: all filters, one after the other. filters: int64[n, 2]: end in `words`, UTC day.
    """
    cell = cells[work_slot(cells, key)]
    if cell.key != np.uint64(0):
        time = cell.mark >> 1
        if cell.mark & 1 and look_time - window_ms <= time <= latest:
            return True
    start = np.int64(0)
    for b in range(filters.shape[0]):
        end = filters[b, 0]
        if (filters[b, 1] + 1) * DAY_MS > look_time - window_ms and bloom_has(words[start:end], key):
            return True
        start = end
    return False


@kernel
def _copy(
    old: NDArray[np.void], new: NDArray[np.void], not_before: int, dropped: NDArray[np.uint64]
) -> tuple[int, int]:
    kept = gone = 0
    for i in range(old.shape[0]):
        if old[i].key == np.uint64(0):
            continue
        if old[i].mark >> 1 >= not_before:
            cell = new[work_slot(new, old[i].key)]
            cell.key = old[i].key
            cell.mark = old[i].mark
            kept += 1
        elif old[i].mark & 1:
            dropped[gone] = old[i].key
            gone += 1
    return kept, gone


class WorkStore:
    """The exact table and the filters. `reserve` before each kernel call, `settle` after it."""

    def __init__(self, exact_days: int, window_days: int) -> None:
        self.exact_days = exact_days
        self.window_days = window_days
        self.day = -1
        self.cells = _blank(0)
        self.count = 0
        self._blooms: list[tuple[int, NDArray[np.uint32]]] = []
        self.words, self.filters = self._pack()

    def reserve(self, more: int) -> None:
        """Room for `more` new keys."""
        if self.count + more > MAX_LOAD * self.cells.shape[0]:
            self._rebuild(self.count + more, np.iinfo(np.int64).min)

    def settle(self, added: int) -> None:
        """Tell how many keys a kernel added."""
        self.count += added

    def roll(self, day: int) -> None:
        """Begin UTC day `day`: what is older than the exact days becomes a filter, what is past the window goes."""
        if day <= self.day:
            return
        self.day = day
        oldest = day - self.exact_days + 1
        dropped = self._rebuild(self.count, oldest * DAY_MS)
        if dropped.shape[0]:
            self._blooms.append((oldest - 1, bloom_of(dropped)))
        self._blooms = [(d, words) for d, words in self._blooms if d >= day - self.window_days]
        self.words, self.filters = self._pack()

    def _rebuild(self, expected: int, not_before: int) -> NDArray[np.uint64]:
        fresh = _blank(expected)
        dropped = np.zeros(self.count, np.uint64)
        kept, gone = _copy(self.cells, fresh, not_before, dropped)
        self.cells, self.count = fresh, int(kept)
        return dropped[: int(gone)]

    def _pack(self) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """All filters behind each other, and where each ends; what is kept by day are views of that."""
        if not self._blooms:
            return np.zeros(8, np.uint32), np.zeros((0, 2), np.int64)
        ends = np.cumsum([words.shape[0] for _, words in self._blooms], dtype=np.int64)
        days = np.array([day for day, _ in self._blooms], np.int64)
        packed = np.concatenate([words for _, words in self._blooms])
        starts = [0, *ends.tolist()[:-1]]
        spans = zip(days.tolist(), starts, ends.tolist(), strict=True)
        self._blooms = [(day, packed[start:end]) for day, start, end in spans]
        return packed, np.stack([ends, days], axis=1)

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Everything, as named arrays, sorted by key."""
        held = self.cells[self.cells["key"] != 0]
        return {
            "day": np.array([self.day]), "cells": held[np.argsort(held["key"])],
            "words": self.words, "filters": self.filters,
        }  # fmt: skip

    def restore(self, saved: dict[str, NDArray[Any]]) -> None:
        """The inverse of `snapshot`."""
        self.day = int(saved["day"][0])
        cells = saved["cells"]
        self.cells = _blank(cells.shape[0])
        kept, _ = _copy(cells, self.cells, np.iinfo(np.int64).min, np.zeros(0, np.uint64))
        self.count = int(kept)
        self._blooms, start = [], 0
        for end, day in saved["filters"].tolist():
            self._blooms.append((day, saved["words"][start:end].copy()))
            start = end
        self.words, self.filters = self._pack()


def _blank(expected: int) -> NDArray[np.void]:
    return np.zeros(power_of_two(int(expected / MAX_LOAD) + 1), CELL)

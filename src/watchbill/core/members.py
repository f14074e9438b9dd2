"""Cells of a hash table that live by age: who belongs to a group (a device, an address), and what was counted of them.

A limit that is stated, and an age after which a cell goes, bound what strangers can make grow. Past the limit new cells
are refused, in order of the events, so that no cut of the batches changes which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from watchbill.core.kernel import kernel
from watchbill.core.tables import MAX_LOAD, power_of_two

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SPREAD = np.uint64(0x9E3779B97F4A7C15)


@kernel
def cell_of(cells: NDArray[np.void], key: np.uint64) -> int:
    """The cell of `key`, or the empty one where it would stand; a key of 0 is nobody's. There is always an empty cell."""
    mask = np.uint64(cells.shape[0] - 1)
    slot = (key * _SPREAD) >> np.uint64(20) & mask
    while cells[slot].key != key and cells[slot].key != np.uint64(0):
        slot = (slot + np.uint64(1)) & mask
    return int(np.int64(slot))


@kernel
def _keep(old: NDArray[np.void], new: NDArray[np.void], not_before: int) -> int:
    kept = 0
    for i in range(old.shape[0]):
        if old[i].key != np.uint64(0) and old[i].last >= not_before:
            new[cell_of(new, old[i].key)] = old[i]
            kept += 1
    return kept


class Cells:
    """A table of cells of a structured dtype that has `key` (uint64, 0 = empty) and `last` (int64, epoch ms).

    Attributes:
        cells: the open-addressed table. held: keys in it; a kernel that adds some tells it. limit: most keys.
    """

    def __init__(self, dtype: np.dtype[Any], limit: int) -> None:
        self.limit = limit
        self.cells: NDArray[np.void] = np.zeros(64, dtype)
        self.held = 0

    def reserve(self, more: int) -> None:
        """Room for `more` new keys, up to the limit."""
        wanted = min(self.held + more, self.limit)
        if wanted > MAX_LOAD * self.cells.shape[0]:
            self._rebuild(self.cells, wanted, np.iinfo(np.int64).min)

    def forget(self, before: int) -> None:
        """Drop what was last touched before `before` (epoch ms); the room stays, it will be wanted again."""
        if np.any((self.cells["key"] != 0) & (self.cells["last"] < before)):
            self._rebuild(self.cells, int(MAX_LOAD * self.cells.shape[0]) - 1, before)

    def living(self) -> NDArray[np.void]:
        """The cells in use, sorted by key, as a copy."""
        held = self.cells[self.cells["key"] != 0]
        ordered: NDArray[np.void] = held[np.argsort(held["key"])]
        return ordered

    def restore(self, saved: NDArray[np.void]) -> None:
        """The inverse of `living`."""
        self._rebuild(saved, saved.shape[0], np.iinfo(np.int64).min)

    def _rebuild(self, source: NDArray[np.void], room: int, not_before: int) -> None:
        fresh = np.zeros(power_of_two(max(64, int(room / MAX_LOAD) + 1)), self.cells.dtype)
        self.held = int(_keep(source.astype(self.cells.dtype, copy=False), fresh, not_before))
        self.cells = fresh

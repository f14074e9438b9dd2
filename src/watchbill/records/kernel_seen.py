"""Kernels of the duplicate filter: content hashes over columns, and one table that tells new, same and other content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from watchbill.core.hashing import mix64
from watchbill.core.kernel import kernel
from watchbill.core.tables import bloom_has

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEW, SAME, CONFLICT, ASK = 0, 1, 2, 3
"""Verdicts: not seen, seen with this content, seen with other content, perhaps seen long ago (ask the sealed index)."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_DAYS = 256
CELL: Final = np.dtype([("key", np.uint64), ("held", np.uint32), ("day", np.uint8)], align=True)
"""One (source, id): its key (0 = empty), the hash of its content, the day it came, modulo 256; one cache line's quarter."""


@kernel
def fold(total: NDArray[np.uint64], column: NDArray[np.uint64], tag: np.uint64) -> None:
    """Mix a column's hashes into the rows' totals; 0 (absent) changes nothing. `tag` tells columns apart."""
    for i in range(total.shape[0]):
        if column[i] != np.uint64(0):
            total[i] = mix64((total[i] * _GOLDEN) ^ (column[i] + tag))


@kernel
def fold_numbers(
    total: NDArray[np.uint64], values: NDArray[np.int64], valid: NDArray[np.bool_], tag: np.uint64
) -> None:
    """Mix whole numbers into the rows' totals where they are present."""
    for i in range(total.shape[0]):
        if valid[i]:
            total[i] = mix64((total[i] * _GOLDEN) ^ (mix64(np.uint64(values[i])) + tag))


@kernel
def fold_lists(offsets: NDArray[np.int32], items: NDArray[np.uint64], out: NDArray[np.uint64]) -> None:
    """One hash for each list of hashes, in order; an empty list is 0."""
    for i in range(out.shape[0]):
        h = np.uint64(0)
        for j in range(offsets[i], offsets[i + 1]):
            h = mix64((h * _GOLDEN) ^ (items[j] + np.uint64(1)))
        out[i] = h


@kernel
def keys_of(ids: NDArray[np.uint64], source: np.uint64, skip: NDArray[np.bool_], out: NDArray[np.uint64]) -> None:
    """Key of (source, id) for each row, 0 for rows to pass over."""
    for i in range(out.shape[0]):
        out[i] = np.uint64(0) if skip[i] else mix64((ids[i] * _GOLDEN) ^ source)


@kernel
def _place(cells: NDArray[np.void], key: np.uint64) -> int:
    """The cell of `key`, or the empty cell where it would stand."""
    mask = np.uint64(cells.shape[0] - 1)
    slot = (key * _GOLDEN) >> np.uint64(20) & mask
    while cells[slot].key != key and cells[slot].key != np.uint64(0):
        slot = (slot + np.uint64(1)) & mask
    return int(np.int64(slot))


@kernel
def look_up(
    wanted: NDArray[np.uint64], content: NDArray[np.uint32], cells: NDArray[np.void], verdict: NDArray[np.int8]
) -> None:
    """Judge every key (0 = passed over) by the table."""
    for i in range(wanted.shape[0]):
        if wanted[i] != np.uint64(0):
            cell = cells[_place(cells, wanted[i])]
            if cell.key != np.uint64(0):
                verdict[i] = SAME if cell.held == content[i] else CONFLICT


@kernel
def ask_bloom(wanted: NDArray[np.uint64], words: NDArray[np.uint32], verdict: NDArray[np.int8]) -> None:
    """Mark the keys that are NEW so far and stand (perhaps) in a filter of old keys."""
    for i in range(wanted.shape[0]):
        if wanted[i] != np.uint64(0) and verdict[i] == NEW and bloom_has(words, wanted[i]):
            verdict[i] = ASK


@kernel
def enter(
    wanted: NDArray[np.uint64],
    content: NDArray[np.uint32],
    day: int,
    cells: NDArray[np.void],
    verdict: NDArray[np.int8],
) -> int:
    """Enter NEW keys in order; one that stands in the table is judged by it. Gives the keys added (room was made)."""
    added = 0
    for i in range(wanted.shape[0]):
        if wanted[i] == np.uint64(0) or verdict[i] != NEW:
            continue
        cell = cells[_place(cells, wanted[i])]
        if cell.key != np.uint64(0):
            verdict[i] = SAME if cell.held == content[i] else CONFLICT
            continue
        cell.key, cell.held, cell.day = wanted[i], content[i], np.uint8(day % _DAYS)
        added += 1
    return added


@kernel
def move(
    cells: NDArray[np.void], today: int, days_kept: int, fresh: NDArray[np.void], old: NDArray[np.uint64]
) -> tuple[int, int]:
    """Move what is at most `days_kept` old into the new table, and the other keys into `old`; gives both counts."""
    kept, aged = 0, 0
    for i in range(cells.shape[0]):
        cell = cells[i]
        if cell.key == np.uint64(0):
            continue
        if (today - np.int64(cell.day)) % _DAYS <= days_kept:
            other = fresh[_place(fresh, cell.key)]
            other.key, other.held, other.day = cell.key, cell.held, cell.day
            kept += 1
        else:
            old[aged] = cell.key
            aged += 1
    return kept, aged

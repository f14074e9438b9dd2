"""Kernels of the duplicate filter: content hashes over columns, and one table that tells new, same and other content."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from watchbill.core.hashing import mix64
from watchbill.core.kernel import kernel
from watchbill.core.tables import bloom_has, claim, find

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEW, SAME, CONFLICT, ASK = 0, 1, 2, 3
"""Verdicts: not seen, seen with this content, seen with other content, perhaps seen long ago (ask the sealed index)."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_DAYS = 256


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
def look_up(
    wanted: NDArray[np.uint64], content: NDArray[np.uint32], keys: NDArray[np.uint64], held: NDArray[np.uint32],
    verdict: NDArray[np.int8],
) -> None:  # fmt: skip
    """Judge every key (0 = passed over) by the table."""
    for i in range(wanted.shape[0]):
        if wanted[i] != np.uint64(0):
            slot = find(keys, wanted[i])
            if slot >= 0:
                verdict[i] = SAME if held[slot] == content[i] else CONFLICT


@kernel
def ask_bloom(wanted: NDArray[np.uint64], words: NDArray[np.uint32], verdict: NDArray[np.int8]) -> None:
    """Mark the keys that are NEW so far and stand (perhaps) in a filter of old keys."""
    for i in range(wanted.shape[0]):
        if wanted[i] != np.uint64(0) and verdict[i] == NEW and bloom_has(words, wanted[i]):
            verdict[i] = ASK


@kernel
def enter(
    wanted: NDArray[np.uint64], content: NDArray[np.uint32], day: int, keys: NDArray[np.uint64],
    held: NDArray[np.uint32], days: NDArray[np.uint8], verdict: NDArray[np.int8],
) -> int:  # fmt: skip
    """Enter NEW keys in order; a repeat among them is judged by the first. Gives the keys added (room was made)."""
    added = 0
    for i in range(wanted.shape[0]):
        if wanted[i] == np.uint64(0) or verdict[i] != NEW:
            continue
        slot = find(keys, wanted[i])
        if slot >= 0:
            verdict[i] = SAME if held[slot] == content[i] else CONFLICT
            continue
        slot = claim(keys, wanted[i])
        held[slot] = content[i]
        days[slot] = np.uint8(day % _DAYS)
        added += 1
    return added


@kernel
def move(
    keys: NDArray[np.uint64], held: NDArray[np.uint32], days: NDArray[np.uint8], today: int, days_kept: int,
    new_keys: NDArray[np.uint64], new_held: NDArray[np.uint32], new_days: NDArray[np.uint8], old: NDArray[np.uint64],
) -> tuple[int, int]:  # fmt: skip
    """Move what is at most `days_kept` old into the new table, and the other keys into `old`; gives both counts."""
    kept, aged = 0, 0
    for i in range(keys.shape[0]):
        if keys[i] == np.uint64(0):
            continue
        age = (today - np.int64(days[i])) % _DAYS
        if age <= days_kept:
            slot = claim(new_keys, keys[i])
            new_held[slot] = held[i]
            new_days[slot] = days[i]
            kept += 1
        else:
            old[aged] = keys[i]
            aged += 1
    return kept, aged

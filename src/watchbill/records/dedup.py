"""Duplicates by (source, id): exact in memory for 7 days of arrival, then a filter that sends doubts to the sealed index.

The same content again is dropped and counted; other content under the same id is a conflict: the first stands. Rows
whose id was made from their position cannot be sent twice and cost nothing here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from watchbill.core.hashing import hash_column, hash_text
from watchbill.core.tables import BLOOM_BITS_A_KEY, MAX_LOAD, bloom_add, power_of_two
from watchbill.records.kernel_seen import (
    ASK,
    CELL,
    CONFLICT,
    NEW,
    SAME,
    ask_bloom,
    enter,
    fold,
    fold_lists,
    fold_numbers,
    keys_of,
    look_up,
    move,
)
from watchbill.records.limits import DAY_MS
from watchbill.records.schema import DECIDE_SOURCE, SCHEMA

DAYS_KEPT = 7
"""Full days before the current one that are kept exactly (so always at least 7 times 24 hours)."""
_FILTER_KEYS_MIN = 1 << 16
_FILTER_KEYS_MAX = 1 << 24
CONFLICT_REASON = "a record with this id but other content was here before; the first one stands"
Lookup = Callable[[str, list[str], int], list[int | None]]
"""The ledger: (source, ids, before) -> content hash of each (as `content_hashes` gives it), None when it is not there.
Only records that arrived before `before` (epoch ms) are asked for: later ones stand in the exact table."""


def content_hashes(table: pa.Table) -> NDArray[np.uint32]:
    """A 32-bit hash of everything that was sent in each record (all columns but source, id, and the two times of its transport: received, arrival).

    Args:
        table: n records in the columns of `SCHEMA`.

    Returns:
        uint32[n]; equal for equal records, whatever the other rows of the table are.
    """
    n = table.num_rows
    total = np.full(n, 1, dtype=np.uint64)
    for number, wanted in enumerate(SCHEMA):
        if wanted.name in ("source", "id", "arrival", "received"):
            continue
        column = table.column(wanted.name)
        if column.null_count == n:
            continue
        array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        tag = np.uint64((number + 1) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
        if pa.types.is_integer(array.type) or pa.types.is_boolean(array.type):
            values = np.asarray(array.cast(pa.int64()).fill_null(0))
            fold_numbers(total, values, np.asarray(array.is_valid()), tag)
        else:
            fold(total, _hashes(array), tag)
    return (total >> np.uint64(32)).astype(np.uint32)


def _hashes(array: pa.Array) -> NDArray[np.uint64]:
    if pa.types.is_string(array.type):
        return hash_column(array)
    if pa.types.is_struct(array.type):
        both = np.full(len(array), 1, dtype=np.uint64)
        fold(both, hash_column(array.field("subject")), np.uint64(1))
        fold(both, _hashes(array.field("fields")), np.uint64(2))
        return both
    items = array.flatten()  # leaves out what stands under a null, so the offsets are counted anew
    lengths = np.asarray(array.value_lengths().fill_null(0))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    out = np.empty(len(array), dtype=np.uint64)
    fold_lists(offsets, _hashes(items), out)
    return out


@dataclass(frozen=True)
class Verdicts:
    """bool[n] each: to keep; seen before with the same content; seen before with other content. One is true per row."""

    keep: NDArray[np.bool_]
    same: NDArray[np.bool_]
    conflict: NDArray[np.bool_]


class _Filter:
    """A Bloom filter of old keys with a fixed capacity."""

    def __init__(self, capacity: int, words: NDArray[np.uint32] | None = None, count: int = 0) -> None:
        self.capacity, self.count = capacity, count
        self.words = np.zeros(capacity * BLOOM_BITS_A_KEY // 32, dtype=np.uint32) if words is None else words

    def add(self, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Take as many keys as fit; gives the rest."""
        room = self.capacity - self.count
        bloom_add(self.words, keys[:room])
        self.count += min(room, keys.shape[0])
        return keys[room:]


class Seen:
    """Which (source, id) were here, with the content of each. Results do not depend on how batches were cut.

    Args:
        lookup: asks the sealed index about ids that may be over 7 days old; without it they count as new.
        old_keys_max: keys kept in filters (4 bytes each); the oldest filter goes when there are more.
    """

    def __init__(self, lookup: Lookup | None = None, *, old_keys_max: int = 64_000_000) -> None:
        self._lookup, self._old_max = lookup, old_keys_max
        self._day = 0
        self._count = 0
        self._filters: list[_Filter] = []
        self._oldest = 0
        self._cells = np.zeros(16, dtype=CELL)

    def filter(
        self,
        source: str,
        table: pa.Table,
        arrival: NDArray[np.int64],
        *,
        derived: NDArray[np.bool_] | None = None,
    ) -> Verdicts:
        """Judge records in order and remember the new ones.

        Args:
            source: the source of all of them.
            table: n records in `SCHEMA`.
            arrival: int64[n], epoch milliseconds, never falling (also from call to call).
            derived: bool[n]: rows whose id was made from their position.
        """
        n = table.num_rows
        verdict = np.zeros(n, dtype=np.int8)
        skip = np.zeros(n, dtype=np.bool_) if derived is None else derived
        if n and not skip.all():
            keys = np.empty(n, dtype=np.uint64)
            keys_of(hash_column(table.column("id")), np.uint64(hash_text(source)), skip, keys)
            # the id of an ask is made from its content
            content = np.zeros(n, np.uint32) if source == DECIDE_SOURCE else content_hashes(table)
            days = arrival // DAY_MS
            cuts = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), n]
            for start, end in pairwise(cuts):
                part = slice(start, end)
                if int(days[start]) > self._day:
                    self._age(int(days[start]))
                if self._filters:
                    look_up(keys[part], content[part], self._cells, verdict[part])
                    for old in self._filters:
                        ask_bloom(keys[part], old.words, verdict[part])
                    self._ask(source, table, start, keys, content, verdict[:end])
                self._reserve(end - start)
                self._count += int(enter(keys[part], content[part], self._day, self._cells, verdict[part]))
        return Verdicts(verdict == NEW, verdict == SAME, verdict == CONFLICT)

    def _ask(
        self, source: str, table: pa.Table, start: int, keys: NDArray[np.uint64], content: NDArray[np.uint32],
        verdict: NDArray[np.int8],
    ) -> None:  # fmt: skip
        """Decide about keys (from row `start` on) that a filter of old ones knows.

        First by the rows before `start`, which are in no index yet (a batch may span weeks), then by the sealed index.
        """
        rows = np.flatnonzero(verdict[start:] == ASK) + start
        if not rows.shape[0]:
            return
        verdict[rows] = NEW
        kept = np.flatnonzero((verdict[:start] == NEW) & (keys[:start] != 0))
        here = dict(zip(keys[kept].tolist(), content[kept].tolist(), strict=True))
        answers: dict[int, int | None] = {row: here[int(keys[row])] for row in rows.tolist() if int(keys[row]) in here}
        others = [row for row in rows.tolist() if row not in answers]
        if self._lookup is not None and others:
            ids = table.column("id").take(pa.array(others)).to_pylist()
            before = (self._day - DAYS_KEPT) * DAY_MS
            answers.update(zip(others, self._lookup(source, ids, before), strict=True))
        for row, answer in answers.items():
            if answer is not None:
                verdict[row] = SAME if answer == int(content[row]) else CONFLICT

    def _reserve(self, more: int) -> None:
        if self._count + more > MAX_LOAD * self._cells.shape[0]:
            self._move(self._count + more)

    def _move(self, expected: int) -> NDArray[np.uint64]:
        """Build the table anew for `expected` keys without what has aged; gives the aged keys."""
        fresh = np.zeros(power_of_two(int(expected / MAX_LOAD) + 1), dtype=CELL)
        old = np.empty(self._count, dtype=np.uint64)
        kept, aged = move(self._cells, self._day, DAYS_KEPT, fresh, old)
        self._cells, self._count = fresh, int(kept)
        return old[: int(aged)]

    def _age(self, day: int) -> None:
        """Begin a day: what is too old goes from the table into the filters."""
        self._oldest = self._oldest if self._count else day
        far = self._day and day - self._day > DAYS_KEPT + 1
        if far:  # days are kept modulo 256: after a long gap everything has aged
            rest = np.sort(self._cells["key"][self._cells["key"] != 0])
            self._cells, self._count = np.zeros(16, dtype=CELL), 0
        elif day - self._oldest <= DAYS_KEPT:
            self._day = day
            return
        self._oldest = day if far else max(self._oldest, day - DAYS_KEPT)
        self._day = day
        rest = rest if far else np.sort(self._move(self._count))
        while rest.shape[0]:
            if not self._filters or self._filters[-1].count == self._filters[-1].capacity:
                last = self._filters[-1].capacity if self._filters else _FILTER_KEYS_MIN // 2
                self._filters.append(_Filter(min(last * 2, _FILTER_KEYS_MAX)))
            rest = self._filters[-1].add(rest)
        while len(self._filters) > 1 and sum(f.count for f in self._filters) > self._old_max:
            del self._filters[0]

    def snapshot(self) -> dict[str, NDArray[np.generic]]:
        """All of it as arrays; equal states give equal snapshots."""
        cells = self._cells[self._cells["key"] != 0]
        cells = cells[np.argsort(cells["key"])]  # keys are distinct: any sort gives one order
        saved: dict[str, NDArray[np.generic]] = {
            "version": np.array([1], dtype=np.int64),
            "day": np.array([self._day], dtype=np.int64),
            "keys": cells["key"].copy(),
            "held": cells["held"].copy(),
            "days": cells["day"].copy(),
            "filters": np.array([[f.capacity, f.count] for f in self._filters], dtype=np.int64).reshape(-1, 2),
        }
        return saved | {f"filter{i}": f.words.copy() for i, f in enumerate(self._filters)}

    @classmethod
    def restore(
        cls, saved: dict[str, NDArray[np.generic]], lookup: Lookup | None = None, *, old_keys_max: int = 64_000_000
    ) -> Seen:
        """The inverse of `snapshot`."""
        seen = cls(lookup, old_keys_max=old_keys_max)
        seen._day = int(saved["day"][0])
        seen._count = int(saved["keys"].shape[0])
        seen._cells = np.zeros(seen._count, dtype=CELL)
        for name, column in (("key", "keys"), ("held", "held"), ("day", "days")):
            seen._cells[name] = saved[column]
        seen._oldest = seen._day - DAYS_KEPT
        seen._move(seen._count)
        for i, (capacity, count) in enumerate(saved["filters"].tolist()):
            seen._filters.append(_Filter(capacity, saved[f"filter{i}"].astype(np.uint32), count))
        return seen

"""Reading the ledger from any process: sealed segments and the acknowledged journal tail, up to a named height.

Nothing is sampled and nothing hidden: the index and the Parquet statistics only leave out what cannot match; full
values decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from watchbill.core.errors import LedgerError
from watchbill.core.hashing import hash_text
from watchbill.ledger import files
from watchbill.ledger import manifest as manifests
from watchbill.ledger.canonical import SEQ
from watchbill.ledger.frames import unpack
from watchbill.ledger.journal import read_frames
from watchbill.ledger.manifest import Manifest, Segment
from watchbill.ledger.segments import open_segment, rows_of

_TRIES_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Span:
    """What to read: one account, or several (None: all), and times in [from_ms, to_ms), epoch milliseconds."""

    account: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    accounts: tuple[str, ...] | None = None

    def rows(self, table: pa.Table) -> pa.Table:
        """The rows of a table that fit."""
        masks = []
        if self.account is not None:
            masks.append(pc.equal(table.column("account"), self.account))
        if self.accounts is not None:
            masks.append(pc.is_in(table.column("account"), pa.array(self.accounts, pa.string())))
        if self.from_ms is not None:
            masks.append(pc.greater_equal(table.column("time"), self.from_ms))
        if self.to_ms is not None:
            masks.append(pc.less(table.column("time"), self.to_ms))
        for mask in masks:
            table = table.filter(mask) if len(masks) == 1 else table
        if len(masks) > 1:
            whole = masks[0]
            for mask in masks[1:]:
                whole = pc.and_(whole, mask)
            table = table.filter(whole)
        return table

    def may_hold(self, limits: dict[str, tuple[Any, Any]]) -> bool:
        """Tell from lowest and highest values of columns whether any row can fit."""
        account, time = limits.get("account"), limits.get("time")
        if self.account is not None and account and not account[0] <= self.account <= account[1]:
            return False
        if self.accounts is not None and account and not any(account[0] <= one <= account[1] for one in self.accounts):
            return False
        if self.from_ms is not None and time and time[1] < self.from_ms:
            return False
        return not (self.to_ms is not None and time and time[0] >= self.to_ms)


EVERYTHING: Final = Span()


class Ledger:
    """A home, read-only. Cheap to make; make a new one to see what was acknowledged since.

    Attributes:
        home: the home.
        height: next seq as acknowledged when this was made: every answer covers exactly the seqs below it.
    """

    def __init__(self, home: Path) -> None:
        """Take note of what is sealed and acknowledged now.

        Raises:
            LedgerError: the manifest or an acknowledged frame is damaged.
        """
        self.home = home
        self._manifest: Manifest = manifests.load(home)
        mark = files.read_mark(home)
        if mark is None:
            ends = [seq + frame.count for seq, frame in read_frames(home, self._manifest.sealed)]
            self.height = max([self._manifest.sealed, *ends])
        else:
            self.height = max(mark.height, self._manifest.sealed)

    @property
    def sealed(self) -> int:
        """Next seq that is not sealed, as of the opening."""
        return self._manifest.sealed

    def records(
        self, columns: Sequence[str] | None = None, where: Span = EVERYTHING, upto: int | None = None
    ) -> Iterator[pa.Table]:
        """Give the records below `upto` (default: height) that fit, each table with its `seq` column.

        Segments come in order of seq, inside one the rows come by account and time; the tail comes in order of seq.
        """
        limit = self._limit(upto)
        wanted = None if columns is None else list(dict.fromkeys([*columns, SEQ]))
        for segment in self._manifest.segments:
            if segment.first < limit:
                yield from self._segment_records(segment, wanted, where, limit)
        for table in self._tail(limit):
            yield _select(where.rows(table), wanted)

    def in_order(self) -> Iterator[pa.Table]:
        """Every record below the height in order of seq, a segment or a frame at a time (half a million rows at most)."""
        for segment in self._manifest.segments:
            if segment.first < self.height:
                parts = list(self._segment_records(segment, None, EVERYTHING, self.height))
                if parts:
                    yield pa.concat_tables(parts).sort_by(SEQ)
        yield from self._tail(self.height)

    def find(self, column: str, value: str, upto: int | None = None) -> pa.Table:
        """All records whose column is this value, or whose list holds it, in order of seq.

        Uses the index where the column has one, else scans.

        Raises:
            LedgerError: a segment is damaged.
        """
        limit = self._limit(upto)
        hashed = hash_text(value)
        parts = []
        for segment in self._manifest.segments:
            if segment.first < limit:
                found = self._find_in(segment, column, value, hashed)
                if found is not None and found.num_rows:
                    parts.append(found)
        parts.extend(_matching(table, column, value) for table in self._tail(limit))
        return self._gather(parts, limit)

    def find_all(self, column: str, values: Sequence[str], before: int | None = None) -> pa.Table:
        """As `find` for several values of a text column in one pass; with `before` only what arrived before that moment.

        Args:
            column: an indexed text column.
            values: what to find.
            before: epoch milliseconds; whole segments and frames of later arrival are left out.
        """
        parts = []
        for segment in self._manifest.segments:
            if before is None or segment.arrival[0] < before:
                parts += self._find_all_in(segment, column, values)
        last = self._manifest.segments[-1].arrival[1] if self._manifest.segments else 0
        if before is None or last < before:
            wanted = pa.array(values, pa.string())
            for table in self._tail(self.height):
                parts.append(table.filter(pc.is_in(table.column(column), wanted)))
                if before is not None and table.num_rows and table.column("arrival")[-1].as_py() >= before:
                    break
        return self._gather(parts, self.height)

    def _find_all_in(self, segment: Segment, column: str, values: Sequence[str]) -> list[pa.Table]:
        """Rows of one segment with any of the values; the segment is opened only when its index knows one."""
        path = segment.path(self.home, f"{column}.idx")
        known = f"{column}.idx" in segment.digests
        held = [value for value in values if not known or rows_of(path, hash_text(value)).shape[0]]
        found = (self._find_in(segment, column, value, hash_text(value)) for value in held)
        return [table for table in found if table is not None]

    def of_account(
        self, account: str, from_ms: int | None = None, to_ms: int | None = None, upto: int | None = None
    ) -> pa.Table:
        """All records of an account with time in [from_ms, to_ms), in order of seq."""
        limit = self._limit(upto)
        return self._gather(list(self.records(where=Span(account, from_ms, to_ms), upto=limit)), limit)

    def of_accounts(
        self, accounts: Sequence[str], columns: Sequence[str], from_ms: int | None = None, to_ms: int | None = None
    ) -> pa.Table:
        """These columns (and seq) of all records of several accounts, in order of seq, in one pass over the ledger."""
        where = Span(None, from_ms, to_ms, tuple(accounts))
        return self._gather(list(self.records(columns, where)), self.height)

    def _limit(self, upto: int | None) -> int:
        if upto is None:
            return self.height
        if not 0 <= upto <= self.height:
            raise LedgerError(f"height {upto} is not reached; the ledger is at {self.height}", where=str(self.home))
        return upto

    def _gather(self, parts: list[pa.Table], limit: int) -> pa.Table:
        """One table in order of seq."""
        kept = [part for part in parts if part.num_rows]
        if not kept:
            return parts[0].slice(0, 0) if parts else self._empty()
        table = pa.concat_tables(kept, promote_options="default")
        table = table.filter(pc.less(table.column(SEQ), limit))
        return table.sort_by(SEQ)

    def _empty(self) -> pa.Table:
        """No rows, with the columns of the newest records; no columns but seq in an empty home."""
        if self._manifest.segments:
            return pq.read_schema(self._manifest.segments[-1].path(self.home)).empty_table()
        for table in self._tail(self.height):
            return table.slice(0, 0)
        return pa.table({SEQ: pa.array([], type=pa.int64())})

    def _segment_records(
        self, segment: Segment, wanted: list[str] | None, where: Span, limit: int
    ) -> Iterator[pa.Table]:
        """Rows of one segment that fit, row group by row group."""
        with open_segment(segment.path(self.home)) as file:
            names = file.schema_arrow.names
            columns = None if wanted is None else [name for name in names if name in {*wanted, "account", "time"}]
            for group in range(file.num_row_groups):
                if not where.may_hold(_limits(file, group)):
                    continue
                if where != EVERYTHING:
                    # most row groups that may hold an account do not: two columns tell that cheaply
                    keys = file.read_row_group(group, columns=["account", "time"], use_threads=False)
                    if not where.rows(keys).num_rows:
                        continue
                table = where.rows(file.read_row_group(group, columns=columns, use_threads=False))
                if segment.last >= limit:
                    table = table.filter(pc.less(table.column(SEQ), limit))
                yield _select(table, wanted)

    def _find_in(self, segment: Segment, column: str, value: str, hashed: int) -> pa.Table | None:
        """Rows of one segment with the value, by its index if it has one."""
        with open_segment(segment.path(self.home)) as file:
            if column not in file.schema_arrow.names:
                return None
            if f"{column}.idx" not in segment.digests:
                return _matching(file.read(use_threads=False), column, value)
            rows = rows_of(segment.path(self.home, f"{column}.idx"), hashed)
            parts, begin = [], 0
            for group in range(file.num_row_groups):
                end = begin + file.metadata.row_group(group).num_rows
                mine = rows[(rows >= begin) & (rows < end)] - begin
                if len(mine):
                    keys = file.read_row_group(group, columns=[column], use_threads=False).take(pa.array(mine))
                    sure = mine[np.asarray(_mask(keys, column, value))]
                    if len(sure):
                        parts.append(file.read_row_group(group, use_threads=False).take(pa.array(sure)))
                begin = end
            return pa.concat_tables(parts) if parts else None

    def _tail(self, limit: int) -> Iterator[pa.Table]:
        """Records below `limit` that were not sealed when this was made, frame by frame, with seq."""
        after = self._manifest.sealed
        if after >= limit:
            return
        try:
            yield from self._tail_frames(after, limit)
        except FileNotFoundError as error:
            raise LedgerError("the journal moved on while it was read", todo="Open the ledger again") from error

    def _tail_frames(self, after: int, limit: int) -> Iterator[pa.Table]:
        for seq, frame in read_frames(self.home, after):
            if seq >= limit:
                return
            if not frame.count:
                continue
            first, end = max(seq, after), min(seq + frame.count, limit)
            table = unpack(frame.payload).slice(first - seq, end - first)
            yield table.append_column(SEQ, pa.array(np.arange(first, end)))


def _limits(file: pq.ParquetFile, group: int) -> dict[str, tuple[Any, Any]]:
    """Lowest and highest account and time of a row group, where the file says them."""
    found: dict[str, tuple[Any, Any]] = {}
    described = file.metadata.row_group(group)
    for index in range(described.num_columns):
        column = described.column(index)
        if column.path_in_schema in {"account", "time"}:
            statistics = column.statistics
            if statistics is not None and statistics.has_min_max:
                found[column.path_in_schema] = (statistics.min, statistics.max)
    return found


def _select(table: pa.Table, wanted: list[str] | None) -> pa.Table:
    return table if wanted is None else table.select([name for name in wanted if name in table.schema.names])


def _mask(table: pa.Table, column: str, value: str) -> pa.Array:
    """Which rows hold the value; a list counts when one of its elements is it."""
    values = table.column(column)
    if not pa.types.is_list(values.type):
        return pc.fill_null(pc.equal(values, value), False)
    flags = np.zeros(len(values), dtype=bool)
    parents = pc.list_parent_indices(values.combine_chunks())
    hits = pc.fill_null(pc.equal(pc.list_flatten(values), value), False)
    flags[np.asarray(parents.filter(hits.combine_chunks() if isinstance(hits, pa.ChunkedArray) else hits))] = True
    return pa.array(flags)


def _matching(table: pa.Table, column: str, value: str) -> pa.Table:
    return table.filter(_mask(table, column, value)) if column in table.schema.names else table.slice(0, 0)

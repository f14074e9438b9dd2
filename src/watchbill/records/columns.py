"""Records as NumPy columns: what the step reads, one array a field, texts as 64-bit hashes.

Hashes *find*; the full strings stay in the Arrow table and in the ledger, and decide. A one-row `Columns` is as good as
one of a million rows.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchbill.core.hashing import combine, hash_column
from watchbill.core.kernel import kernel
from watchbill.records.schema import DECIDE_SOURCE, KINDS, OUTCOMES, STATES, STATUSES, TICKET_TYPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

KIND: Final = {name: code for code, name in enumerate(KINDS, start=1)}
"""Codes of kinds; 0 is a control record (`wb.*`)."""
STATUS: Final = {name: code for code, name in enumerate(STATUSES, start=1)}
OUTCOME: Final = {name: code for code, name in enumerate(OUTCOMES, start=1)}
STATE: Final = {name: code for code, name in enumerate(STATES, start=1)}
DIGITS_MAX: Final = 18
_DECIDE: Final = pa.scalar(DECIDE_SOURCE, pa.string())
_ZERO, _NINE = np.uint8(ord("0")), np.uint8(ord("9"))
TYPE: Final = {name: code for code, name in enumerate(TICKET_TYPES, start=1)}


@dataclass(slots=True)
class Columns:
    """n records as arrays of length n, except `subjects` (flat, cut by `subject_ends`).

    Codes (`kind`, `status`, `outcome`, `state`, `type`) are those of this module, 0 = absent. Hashes are 0 when absent.
    Times are epoch milliseconds; `until` is 0 when absent. `field_set` is a hash of the list of fields (0 = none named),
    `field_count` how many they are (at most 255), `number` the waybill's trailing digits as an integer (0 = none);
    `asked` = the look was asked about, and its `decision` is the one that it got.
    """

    seq: NDArray[np.int64]
    time: NDArray[np.int64]
    arrival: NDArray[np.int64]
    kind: NDArray[np.uint8]
    account: NDArray[np.uint64]
    assignee: NDArray[np.uint64]
    device: NDArray[np.uint64]
    ip: NDArray[np.uint64]
    session: NDArray[np.uint64]
    app: NDArray[np.uint64]
    waybill: NDArray[np.uint64]
    subject_ends: NDArray[np.int32]
    subjects: NDArray[np.uint64]
    field_set: NDArray[np.uint64]
    field_count: NDArray[np.uint8]
    number: NDArray[np.int64]
    results: NDArray[np.int64]
    page: NDArray[np.int64]
    masked: NDArray[np.uint8]
    outcome: NDArray[np.uint8]
    ticket: NDArray[np.uint64]
    decision: NDArray[np.uint64]
    outlet: NDArray[np.uint64]
    next_outlet: NDArray[np.uint64]
    status: NDArray[np.uint8]
    state: NDArray[np.uint8]
    type: NDArray[np.uint8]
    until: NDArray[np.int64]
    asked: NDArray[np.bool_]
    table: pa.Table

    def __len__(self) -> int:
        """Records held."""
        return int(self.seq.shape[0])

    def text(self, column: str, row: int) -> str:
        """The full string behind a hash (column of the contract, row in this batch)."""
        value = self.table.column(column)[row].as_py()
        return "" if value is None else str(value)

    def cut(self, start: int, stop: int) -> Columns:
        """Rows start..stop as a batch of their own (arrays are views)."""
        first = int(self.subject_ends[start - 1]) if start else 0
        last = int(self.subject_ends[stop - 1]) if stop else 0
        parts = {
            f.name: getattr(self, f.name)[start:stop]
            for f in fields(self)
            if f.name not in {"subjects", "subject_ends", "table"}
        }
        return Columns(
            **parts,
            subjects=self.subjects[first:last],
            subject_ends=self.subject_ends[start:stop] - np.int32(first),
            table=self.table.slice(start, stop - start),
        )


def _codes(column: pa.ChunkedArray, names: tuple[str, ...]) -> NDArray[np.uint8]:
    if column.null_count == len(column):
        return np.zeros(len(column), dtype=np.uint8)
    index = pc.index_in(column, value_set=pa.array(names, type=pa.string()))
    return (np.asarray(pc.fill_null(index, -1)) + 1).astype(np.uint8)


def _asked(table: pa.Table) -> NDArray[np.bool_]:
    if table.column("decision").null_count == table.num_rows:
        return np.zeros(table.num_rows, np.bool_)
    return np.asarray(pc.equal(table.column("source"), _DECIDE))


def _numbers(column: pa.ChunkedArray) -> NDArray[np.int64]:
    filled = pc.fill_null(column, 0) if column.null_count else column
    return np.asarray(filled, dtype=np.int64)


@kernel
def _digits(data: NDArray[np.uint8], offsets: NDArray[np.int32], out: NDArray[np.int64]) -> None:
    for i in range(out.shape[0]):
        value, scale = np.int64(0), np.int64(1)
        for at in range(offsets[i + 1] - 1, max(offsets[i], offsets[i + 1] - DIGITS_MAX) - 1, -1):
            if data[at] < _ZERO or data[at] > _NINE:
                break
            value += np.int64(data[at] - _ZERO) * scale
            scale *= 10
        out[i] = value


def trailing_numbers(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """int64[n]: the number that the last digits (at most DIGITS_MAX) of each text form; 0 where there are none."""
    out = np.zeros(len(column), np.int64)
    if column.null_count == len(column):
        return out
    array = column.combine_chunks()
    _, offset_buffer, data_buffer = array.buffers()
    if data_buffer is not None:
        offsets = np.frombuffer(offset_buffer, np.int32)[array.offset : array.offset + len(array) + 1]
        _digits(np.frombuffer(data_buffer, np.uint8), offsets, out)
    return out


@kernel
def _fold(ends: NDArray[np.int32], values: NDArray[np.uint64], out: NDArray[np.uint64]) -> None:
    start = np.int64(0)
    for i in range(out.shape[0]):
        h = np.uint64(0)
        for j in range(start, ends[i]):
            h = combine(h, values[j], 7)
        out[i] = h
        start = np.int64(ends[i])


def _lists(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], NDArray[np.uint64]]:
    n = len(column)
    if column.null_count == n:
        return np.zeros(n, dtype=np.int32), np.zeros(0, dtype=np.uint64)
    array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    counts = np.asarray(pc.fill_null(pc.list_value_length(array), 0), dtype=np.int32)
    return np.cumsum(counts, dtype=np.int32), hash_column(array.flatten())


def columns_of(table: pa.Table, first_seq: int) -> Columns:
    """The NumPy view of a canonical table (`records.schema.SCHEMA`) whose first row has seq `first_seq`."""
    n = table.num_rows
    ends, subjects = _lists(table.column("subjects"))
    field_ends, field_hashes = _lists(table.column("fields"))
    field_set = np.zeros(n, dtype=np.uint64)
    if field_hashes.shape[0]:
        _fold(field_ends, field_hashes, field_set)
    masked = table.column("masked")
    hashed = {
        name: hash_column(table.column(name))
        for name in (
            "account", "assignee", "device", "ip", "session", "app", "waybill", "ticket", "decision", "outlet",
            "next_outlet",
        )
    }  # fmt: skip
    return Columns(
        seq=np.arange(first_seq, first_seq + n, dtype=np.int64),
        time=_numbers(table.column("time")),
        arrival=_numbers(table.column("arrival")),
        kind=_codes(table.column("kind"), KINDS),
        subject_ends=ends,
        subjects=subjects,
        field_set=field_set,
        field_count=np.minimum(np.diff(field_ends, prepend=np.int32(0)), 255).astype(np.uint8),
        number=trailing_numbers(table.column("waybill")),
        results=_numbers(table.column("results")),
        page=_numbers(table.column("page")),
        masked=np.asarray(pc.fill_null(masked, False)).astype(np.uint8)
        if masked.null_count < n
        else np.zeros(n, np.uint8),
        outcome=_codes(table.column("outcome"), OUTCOMES),
        status=_codes(table.column("status"), STATUSES),
        state=_codes(table.column("state"), STATES),
        type=_codes(table.column("type"), TICKET_TYPES),
        until=_numbers(table.column("until")),
        asked=_asked(table),
        table=table,
        **hashed,
    )

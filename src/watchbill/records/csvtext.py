"""CSV text to records: header, quoted fields with newlines, records with the wrong number of fields refused one by one."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv

from watchbill.core.errors import ContractError
from watchbill.records.batch import TODO, Quarantined, cut_raw
from watchbill.records.kernel_csv import cut_records
from watchbill.records.limits import DEFAULT_LIMITS, RecordLimits
from watchbill.records.parse import LineOrigin, not_utf8

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS_MAX = 1000


def read_header(line: bytes) -> list[str]:
    """Column names of a CSV file from its first line.

    Raises:
        ContractError: no UTF-8, a name twice or empty, or too many.
    """
    where = "CSV header"
    try:
        text = line.decode("utf-8-sig").strip("\r\n")
        names = [name.strip() for name in next(csv.reader([text], strict=True), [])]
    except (UnicodeDecodeError, csv.Error):
        raise ContractError("it is not readable", where=where, todo="Save the file as UTF-8 with commas") from None
    if not names or not all(names) or len(set(names)) != len(names) or len(names) > COLUMNS_MAX:
        todo = "Give each column one name of its own"
        raise ContractError("a column name is empty, stands twice, or there are too many", where=where, todo=todo)
    return names


def parse_csv(
    text: bytes,
    names: list[str],
    *,
    source: str,
    identity: str,
    first_line: int,
    final: bool,
    limits: RecordLimits = DEFAULT_LIMITS,
) -> tuple[pa.Table, LineOrigin, list[Quarantined], int]:
    """All fields of whole CSV records as text columns.

    Args:
        text: whole lines that begin at a record (the header is not among them).
        names: column names.
        source: the source's name.
        identity: identity of the file.
        first_line: number of the first line in it.
        final: nothing follows `text`.
        limits: `line_bytes_max` bounds a record.

    Returns:
        Rows as text, where each stood, refused records, and how many bytes were taken (the rest is an unfinished
        quoted field: give it again with what follows).
    """
    if text and not text.endswith(b"\n"):
        text += b"\n"
    buf = np.frombuffer(text, dtype=np.uint8)
    found = np.empty((text.count(b"\n"), 4), dtype=np.int64)
    count, taken, _ = cut_records(buf, limits.line_bytes_max, first_line, final, found)
    found = found[:count]
    damaged = not_utf8(text, found)
    wrong = (found[:, 3] != len(names)) | damaged
    origin = LineOrigin(identity, found[:, 2], found[:, :2], text)
    quarantined = [
        Quarantined(
            source,
            origin.position(row),
            _why(found[row], len(names), limits, damaged=bool(damaged[row])),
            TODO,
            cut_raw(origin.raw(row)),
        )
        for row in np.flatnonzero(wrong).tolist()
    ]
    kept = origin.take(np.flatnonzero(~wrong))
    good = text[:taken] if not quarantined else b"".join(text[a : b + 1] for a, b in kept.ranges.tolist())
    return _read(good, names, kept), kept, quarantined, taken


def _why(record: NDArray[np.int64], want: int, limits: RecordLimits, *, damaged: bool) -> str:
    if damaged:
        return "invalid UTF-8"
    if record[3] == 0:
        return f"a quoted field is not closed within line_bytes_max = {limits.line_bytes_max}"
    return f"{record[3]} fields where the header has {want}"


def _read(text: bytes, names: list[str], origin: LineOrigin) -> pa.Table:
    """By Arrow's reader; by Python's, record by record, where the two cut differently (quotes amid a field)."""
    n = origin.numbers.shape[0]
    if n == 0:
        return pa.table({name: pa.array([], pa.string()) for name in names})
    try:
        table = pcsv.read_csv(
            pa.BufferReader(text),
            pcsv.ReadOptions(column_names=names, use_threads=False, block_size=len(text) + 1),
            pcsv.ParseOptions(newlines_in_values=True),
            pcsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid:
        table = None
    if table is not None and table.num_rows == n:
        return table
    columns: list[list[str]] = [[] for _ in names]
    for row in range(n):
        record = origin.raw(row).decode()
        fields = next(csv.reader(io.StringIO(record, newline="")), [])
        for at, column in enumerate(columns):
            column.append(fields[at] if at < len(fields) else "")
    return pa.table(dict(zip(names, (pa.array(c, pa.string()) for c in columns), strict=True)))

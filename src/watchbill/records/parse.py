"""NDJSON text to canonical columns: kernels for all plain lines, the exact path for each odd one, reasons for the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from watchbill.core.errors import LimitError
from watchbill.records import kernel_jsonscan as scan
from watchbill.records.batch import TODO, Batch, Origin, Quarantined, cut_raw
from watchbill.records.jsonrow import Refused, read_line
from watchbill.records.kernel_jsontext import NO_TIME
from watchbill.records.limits import DEFAULT_LIMITS, RecordLimits
from watchbill.records.schema import SCHEMA
from watchbill.records.validate import check

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK_BYTES_MAX = 1 << 28
"""Bytes of text that one call takes at most (offsets inside are 32-bit)."""
_TOKENS_A_LINE = 16
_SHOWN_TYPE = SCHEMA.field("shown").type
_FAST_NAMES = (*scan.TEXTS, "shown", "extra", *scan.LISTS)


@dataclass(frozen=True)
class LineOrigin:
    """Where the rows of a parsed text stood: file identity, line numbers int64[n], byte ranges int64[n, 2] in `text`."""

    identity: str
    numbers: NDArray[np.int64]
    ranges: NDArray[np.int64]
    text: bytes = field(repr=False)

    def position(self, row: int) -> str:
        """`<identity>:<line>`."""
        return f"{self.identity}:{self.numbers[row]}"

    def raw(self, row: int) -> bytes:
        """The line without its newline."""
        return self.text[self.ranges[row, 0] : self.ranges[row, 1]]

    def take(self, rows: NDArray[np.int64]) -> LineOrigin:
        """The origin of these rows."""
        return LineOrigin(self.identity, self.numbers[rows], self.ranges[rows], self.text)


@dataclass
class Parsed:
    """Records of a text in order, what was refused, where each row stood, which ids were made, and lines read."""

    table: pa.Table
    quarantined: list[Quarantined]
    origin: Origin
    derived: NDArray[np.bool_]
    lines: int

    def batch(self, source: str, position: dict[str, object]) -> Batch:
        """These records as the batch after which reading resumes at `position`."""
        return Batch(self.table, source, position, self.quarantined, self.derived, self.origin)


def parse_ndjson(
    chunk: bytes,
    *,
    source: str,
    identity: str,
    first_line: int = 1,
    limits: RecordLimits = DEFAULT_LIMITS,
) -> Parsed:
    """Parse and validate whole lines of NDJSON.

    Args:
        chunk: whole lines (the last may lack its newline), at most 256 MiB.
        source: the source's name, which becomes the column `source`.
        identity: identity of the file (or request) that the lines stand in.
        first_line: number of the chunk's first line in it; blank lines count.
        limits: limits on lines, texts, lists and times.

    Returns:
        Records in `SCHEMA` (arrival 0) and the refused lines, each with `<identity>:<line>` as its position.

    Raises:
        LimitError: the chunk is too large.
    """
    if len(chunk) > CHUNK_BYTES_MAX:
        raise LimitError(f"a text of {len(chunk)} bytes", where=source, todo="Give it in smaller chunks")
    if not chunk.endswith(b"\n"):
        chunk += b"\n"
    buf = np.frombuffer(chunk, dtype=np.uint8)
    found = _scan(buf, chunk, first_line, limits)
    columns = _columns(buf, found)
    odd = found.odd | not_utf8(chunk, found.lines)
    columns["shown"], shown_odd = _read_shown(columns["shown"], odd)
    odd |= shown_odd
    origin = LineOrigin(identity, found.lines[:, 2], found.lines[:, :2], chunk)
    table = pa.table(columns)
    quarantined: list[Quarantined] = []
    if odd.any():
        table, kept = _with_odd(table, origin, odd, source, limits, quarantined)
        origin = origin.take(kept)
    full, derived = complete(table, source, identity, origin.numbers)
    parsed = Parsed(full, quarantined, origin, derived, found.count)
    return validated(parsed, source, limits)


def complete(
    table: pa.Table, source: str, identity: str, numbers: NDArray[np.int64]
) -> tuple[pa.Table, NDArray[np.bool_]]:
    """A table in `SCHEMA` from one that has (some of) its columns: ids made where absent, source and arrival added.

    Returns:
        The table, one chunk a column, and bool[n]: rows whose id was made from `identity` and their number.
    """
    n = table.num_rows
    columns = {name: _one_chunk(table.column(name)) for name in table.column_names}
    ids = columns.get("id", pa.nulls(n, pa.string()))
    derived = np.asarray(ids.is_null())
    if derived.any():
        made = pc.binary_join_element_wise(f"{identity}", pa.array(numbers).cast(pa.string()), ":")
        columns["id"] = pc.coalesce(ids, made)
    columns["source"] = pa.repeat(pa.scalar(source), n)
    columns["arrival"] = pa.array(np.zeros(n, dtype=np.int64))
    arrays = [columns.get(f.name, pa.nulls(n, f.type)) for f in SCHEMA]
    bare = pa.schema([pa.field(f.name, f.type) for f in SCHEMA])
    return pa.Table.from_arrays(arrays, schema=bare), derived


def validated(parsed: Parsed, source: str, limits: RecordLimits, already: dict[int, str] | None = None) -> Parsed:
    """Refuse what breaks the contract's rules, and give the rest the schema whose required columns are not null.

    Args:
        parsed: records in the columns of `SCHEMA`; changed.
        source: the source's name.
        limits: limits on times, texts and lists.
        already: rows that are refused anyhow, with the reason.
    """
    reasons = {**check(parsed.table, limits), **(already or {})}
    if reasons:
        batch = parsed.batch(source, {}).refuse(reasons)
        parsed.table, parsed.quarantined = batch.table, batch.quarantined
        parsed.origin, parsed.derived = (
            batch.origin or parsed.origin,
            batch.derived if batch.derived is not None else parsed.derived,
        )
    parsed.table = pa.Table.from_arrays([_one_chunk(c) for c in parsed.table.columns], schema=SCHEMA)
    return parsed


@dataclass
class _Found:
    """What `scan` left, cut to the rows that exist."""

    lines: NDArray[np.int64]
    firsts: NDArray[np.int64]
    odd: NDArray[np.bool_]
    ints: NDArray[np.int64]
    masked: NDArray[np.int8]
    toks: NDArray[np.int32]
    totals: NDArray[np.int64]
    count: int


def _scan(buf: NDArray[np.uint8], chunk: bytes, first_line: int, limits: RecordLimits) -> _Found:
    most = chunk.count(b"\n")
    lines = np.empty((most, 3), dtype=np.int64)
    firsts = np.zeros(most + 1, dtype=np.int64)
    odd = np.zeros(most, dtype=np.bool_)
    ints = np.full((most, len(scan.INTS)), NO_TIME, dtype=np.int64)
    masked = np.full(most, -1, dtype=np.int8)
    toks = np.empty((most * _TOKENS_A_LINE + 1024, 3), dtype=np.int32)
    totals = np.zeros(scan.MASKED + len(scan.LISTS), dtype=np.int64)
    cursor = np.array([0, 0, first_line, 0], dtype=np.int64)
    arrays = (lines, firsts, odd, ints, masked)
    while not scan.scan(buf, limits.line_bytes_max, cursor, *arrays, toks, totals):
        toks = np.concatenate([toks, np.empty_like(toks)])
    n = int(cursor[1])
    count = int(cursor[2]) - first_line
    return _Found(lines[:n], firsts[: n + 1], odd[:n], ints[:n], masked[:n], toks, totals, count)


def _columns(buf: NDArray[np.uint8], found: _Found) -> dict[str, pa.Array]:
    """Arrow columns of all rows; odd rows are null in every column."""
    n = found.odd.shape[0]
    codes = scan.INT_0
    used = np.flatnonzero(found.totals[:codes]).astype(np.int64)
    bases = np.concatenate([[0], np.cumsum(found.totals[:codes])]).astype(np.int64)
    item_sizes = found.totals[scan.MASKED :] + 1
    item_bases = np.concatenate([[0], np.cumsum(item_sizes)]).astype(np.int64)
    out = np.empty(int(bases[-1]) + 1, dtype=np.uint8)
    offsets = np.empty((codes, n + 1), dtype=np.int32)
    offsets[:, 0] = 0
    item_offsets = np.zeros(int(item_bases[-1]), dtype=np.int32)
    scan.fill(buf, found.firsts, found.toks, out, bases, offsets, item_offsets, item_bases, used)
    present = set(used.tolist())
    columns: dict[str, pa.Array] = {}
    for code, name in enumerate(_FAST_NAMES):
        if code not in present:
            kind = pa.list_(pa.string()) if code >= scan.LIST_0 else pa.string()
            columns[name] = pa.nulls(n, kind)
            continue
        data = out[bases[code] : bases[code + 1]]
        if code < scan.LIST_0:
            columns[name] = _text_array(offsets[code], data)
            continue
        which = code - scan.LIST_0
        items = int(offsets[code, n])
        own = item_offsets[item_bases[which] : item_bases[which] + items + 1]
        columns[name] = _list_array(offsets[code], _text_array(own, data, may_be_null=False))
    for at, name in enumerate(scan.INTS):
        values = np.ascontiguousarray(found.ints[:, at])
        columns[name] = pa.array(values, mask=values == NO_TIME)
    columns["masked"] = pa.array(found.masked == 1, mask=found.masked < 0)
    return columns


def _validity(offsets: NDArray[np.int32]) -> tuple[pa.Buffer | None, int]:
    """Bitmap and null count: an empty text or list is absent."""
    full = offsets[1:] > offsets[:-1]
    nulls = full.shape[0] - int(np.count_nonzero(full))
    return (pa.py_buffer(np.packbits(full, bitorder="little")), nulls) if nulls else (None, 0)


def _text_array(offsets: NDArray[np.int32], data: NDArray[np.uint8], *, may_be_null: bool = True) -> pa.Array:
    validity, nulls = _validity(offsets) if may_be_null else (None, 0)
    buffers = [validity, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.string(), offsets.shape[0] - 1, buffers, nulls)


def _list_array(offsets: NDArray[np.int32], items: pa.Array) -> pa.Array:
    validity, nulls = _validity(offsets)
    kind = pa.list_(pa.string())
    return pa.Array.from_buffers(kind, offsets.shape[0] - 1, [validity, pa.py_buffer(offsets)], nulls, children=[items])


def _read_shown(raw: pa.Array, odd: NDArray[np.bool_]) -> tuple[pa.Array, NDArray[np.bool_]]:
    """`shown` from its JSON texts by pyarrow; rows where that fails or anything is empty are odd."""
    n = len(raw)
    if raw.null_count == n:
        return pa.nulls(n, _SHOWN_TYPE), np.zeros(n, dtype=np.bool_)
    rows = np.flatnonzero(np.asarray(raw.is_valid()) & ~odd)
    is_odd = np.zeros(n, dtype=np.bool_)
    parts = pc.binary_join_element_wise('{"shown":', raw.take(rows), "}\n", "").to_pylist()
    options = pj.ParseOptions(explicit_schema=pa.schema([("shown", _SHOWN_TYPE)]), unexpected_field_behavior="error")
    text = "".join(parts).encode("utf-8", "surrogateescape")
    read = pj.ReadOptions(use_threads=False, block_size=len(text) + 1)
    try:
        column = pj.read_json(pa.BufferReader(text), read, options).column("shown").combine_chunks()
        column.validate(full=True)
    except pa.ArrowException:
        column = None
    if column is None or len(column) != len(rows) or column.type != _SHOWN_TYPE or _has_empty(column):
        is_odd[rows] = True
        return pa.nulls(n, _SHOWN_TYPE), is_odd
    back = np.full(n, -1, dtype=np.int64)
    back[rows] = np.arange(len(rows))
    return column.take(pa.array(back, mask=back < 0)), is_odd


def _has_empty(shown: pa.Array) -> bool:
    """Whether a list of `shown` is empty, or an item, subject or field in it null or empty."""
    items = shown.flatten()
    subjects, fields = items.field("subject"), items.field("fields").flatten()
    if shown.null_count or items.null_count or subjects.null_count or fields.null_count:
        return True
    lengths = (pc.list_value_length(shown), pc.binary_length(subjects), pc.binary_length(fields))
    return any(len(part) and pc.min(part).as_py() == 0 for part in lengths)


def not_utf8(chunk: bytes, lines: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Lines whose bytes are no UTF-8: one look at the whole, then halves of what fails."""
    bad = np.zeros(lines.shape[0], dtype=np.bool_)
    view = memoryview(chunk)
    open_ranges = [(0, lines.shape[0])]
    while open_ranges:
        low, high = open_ranges.pop()
        if low == high or _is_utf8(view[lines[low, 0] : lines[high - 1, 1]]):
            continue
        if high - low == 1:
            bad[low] = True
            continue
        middle = (low + high) // 2
        open_ranges += [(low, middle), (middle, high)]
    return bad


def _is_utf8(text: memoryview) -> bool:
    offsets = np.array([0, len(text)], dtype=np.int32)
    array = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(offsets), pa.py_buffer(text)])
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _with_odd(
    table: pa.Table, origin: LineOrigin, odd: NDArray[np.bool_], source: str, limits: RecordLimits,
    quarantined: list[Quarantined],
) -> tuple[pa.Table, NDArray[np.int64]]:  # fmt: skip
    """The table with odd rows read exactly (or quarantined), in the old order, and which rows are left."""
    rows: list[int] = []
    records: list[dict[str, object]] = []
    for row in np.flatnonzero(odd).tolist():
        raw = origin.raw(row)
        try:
            record = read_line(raw, limits.line_bytes_max)
        except Refused as refused:
            position = origin.position(row)
            quarantined.append(Quarantined(source, position, str(refused), TODO, cut_raw(raw)))
            continue
        if record is not None:
            rows.append(row)
            records.append(record)
    plain = np.flatnonzero(~odd)
    where = np.concatenate([plain, np.array(rows, dtype=np.int64)])
    order = np.argsort(where, kind="stable")
    exact = pa.Table.from_arrays(
        [pa.array([r.get(f.name) for r in records], f.type) for f in table.schema], schema=table.schema
    )
    return pa.concat_tables([table.take(plain), exact]).take(order), where[order]


def _one_chunk(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()

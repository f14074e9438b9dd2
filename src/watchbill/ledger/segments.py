"""Writing one segment: rows sorted into a Parquet file, and beside it one small sorted index for each indexed column.

An index is a sorted array of uint64: the 32 high bits of the value's hash, then the row in the segment. It finds; the
full text in the segment decides. Its size does not depend on how well identifiers compress.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from watchbill.core.errors import LedgerError
from watchbill.core.hashing import hash_column
from watchbill.ledger import files
from watchbill.ledger.canonical import SEQ

ROW_GROUP_ROWS: Final = 65_536
HIGH: Final = np.uint64(0xFFFFFFFF_00000000)
LOW: Final = np.uint64(0xFFFFFFFF)
INDEX_MAGIC: Final = b"WBIX\x01\x00\x00\x00"
_SAMPLE_ROWS: Final = 4_096
_DICTIONARY_SHARE: Final = 0.5
_KEY_BITS: Final = 63


def sort_order(table: pa.Table, sort_by: Sequence[str]) -> NDArray[np.int64]:
    """Row order by these columns, ties in the table's order, absent values last; int64[n]."""
    keys = [_sort_key(table.column(name)) for name in sort_by if name in table.schema.names]
    bits = [max(int(key.max()).bit_length(), 1) if len(key) else 1 for key in keys]
    if sum(bits) > _KEY_BITS:
        return np.lexsort(keys[::-1])
    packed = np.zeros(table.num_rows, dtype=np.int64)
    for key, width in zip(keys, bits, strict=True):
        packed = (packed << width) | key
    return np.argsort(packed, kind="stable")


def _sort_key(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Numbers >= 0 that order a column's values as they do themselves; null is the highest."""
    if pa.types.is_integer(column.type):
        low = pc.min(column).as_py() or 0
        values = np.asarray(column.fill_null(pc.max(column).as_py() or 0)).astype(np.int64) - low
        missing = int(values.max()) + 1 if len(values) else 0
    else:
        encoded = column.dictionary_encode().unify_dictionaries().combine_chunks()
        encoded = encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded
        ranks = np.empty(len(encoded.dictionary) + 1, dtype=np.int64)
        ranks[np.asarray(pc.array_sort_indices(encoded.dictionary))] = np.arange(len(encoded.dictionary))
        missing = len(encoded.dictionary)
        values = ranks[np.asarray(encoded.indices.fill_null(0))] if missing else np.zeros(len(column), np.int64)
    if column.null_count:
        values[np.asarray(column.is_null())] = missing
    return values


def write_parquet(path: Path, table: pa.Table, order: NDArray[np.int64], sort_by: Sequence[str]) -> None:
    """Write the rows in `order`, row group by row group, and make the bytes durable; the name is the caller's to give."""
    # half the columns of a typical run hold nothing: they are not worth reordering
    size = min(ROW_GROUP_ROWS, table.num_rows)
    fields = {field.name: field.type for field in table.schema if table.column(field.name).null_count == table.num_rows}
    empty = {name: pa.nulls(size, kind) for name, kind in fields.items()}
    held = table.select([name for name in table.schema.names if name not in empty])
    with path.open("wb") as sink, pq.ParquetWriter(sink, table.schema, **_options(table, sort_by)) as writer:
        for at in range(0, len(order), ROW_GROUP_ROWS):
            rows = held.take(pa.array(order[at : at + ROW_GROUP_ROWS]))
            columns = [
                empty[name].slice(0, rows.num_rows) if name in empty else rows.column(name)
                for name in table.schema.names
            ]
            writer.write_table(pa.table(columns, schema=table.schema), row_group_size=ROW_GROUP_ROWS)
    with path.open("rb") as written:
        os.fsync(written.fileno())


def _options(table: pa.Table, sort_by: Sequence[str]) -> dict[str, Any]:
    """Parquet options: dictionaries where values repeat, statistics where readers prune by them."""
    repeated = [name for name in table.schema.names if _repeats(table.column(name))]
    plain = [name for name in table.schema.names if pa.types.is_integer(table.schema.field(name).type)]
    return {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": [name for name in repeated if name not in plain] or False,
        "column_encoding": dict.fromkeys(plain, "DELTA_BINARY_PACKED") or None,
        "write_statistics": list(dict.fromkeys([*sort_by, *plain])),
        "version": "2.6",
        "store_schema": True,
    }


def _repeats(column: pa.ChunkedArray) -> bool:
    """Tell from a sample whether a dictionary pays; identifiers that never repeat only cost time in one."""
    kind = column.type
    if not pa.types.is_string(kind):
        return bool(pa.types.is_list(kind))
    step = max(len(column) // _SAMPLE_ROWS, 1)
    sample = column.slice(0, _SAMPLE_ROWS * min(step, 4)).drop_null()
    return len(sample) == 0 or pc.count_distinct(sample).as_py() < _DICTIONARY_SHARE * len(sample)


def index_of(column: pa.ChunkedArray, place: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The sorted index of a column.

    Args:
        column: n strings or lists of strings, in the order of the table.
        place: int64[n], the row in the segment of each.

    Returns:
        uint64[m], sorted: high 32 bits of the hash, then the row; absent values have no entry.
    """
    if pa.types.is_list(column.type):
        parents = [np.asarray(pc.list_parent_indices(chunk)) for chunk in column.chunks]
        starts = np.cumsum([0, *(len(chunk) for chunk in column.chunks)])
        rows = np.concatenate([np.zeros(0, np.int64), *(p + s for p, s in zip(parents, starts, strict=False))])
        hashes = hash_column(pc.list_flatten(column))
    else:
        rows, hashes = np.arange(len(column)), hash_column(column)
    present = hashes != 0
    entries = (hashes[present] & HIGH) | place[rows[present]].astype(np.uint64)
    entries.sort()
    return np.asarray(entries)


def write_index(path: Path, entries: NDArray[np.uint64]) -> None:
    """Write an index and make its bytes durable."""
    with path.open("wb") as sink:
        sink.write(INDEX_MAGIC + len(entries).to_bytes(8, "little"))
        sink.write(entries.astype("<u8").tobytes())
        sink.flush()
        os.fsync(sink.fileno())


@contextmanager
def open_segment(path: Path, read_dictionary: list[str] | None = None) -> Iterator[pq.ParquetFile]:
    """A segment's file (these columns as dictionaries), whose damage is told as such.

    Raises:
        LedgerError: it is missing or damaged.
    """
    try:
        with pq.ParquetFile(path, read_dictionary=read_dictionary) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        what = "a segment is missing" if isinstance(error, FileNotFoundError) else "a segment is damaged"
        raise LedgerError(what, where=path.name, todo="Run `watchbill verify`; put it back from a backup") from error


def rows_of(path: Path, hashed: int) -> NDArray[np.int64]:
    """Rows of the segment that may hold a value of this hash, ascending and distinct; int64[k].

    Raises:
        LedgerError: the index is missing or not whole; an answer without it would claim to be exact.
    """
    begin = len(INDEX_MAGIC) + 8
    try:
        with path.open("rb") as file:
            head, size = file.read(begin), file.seek(0, 2)
    except OSError as error:
        raise LedgerError("an index is missing", where=path.name, todo="Run `watchbill verify`") from error
    held = int.from_bytes(head[len(INDEX_MAGIC) :], "little")
    if len(head) < begin or not head.startswith(INDEX_MAGIC) or size != begin + 8 * held:
        raise LedgerError("an index is not whole", where=path.name, todo="Run `watchbill verify`")
    if not held:
        return np.zeros(0, dtype=np.int64)
    entries = np.memmap(path, dtype="<u8", mode="r", offset=begin)
    high = np.uint64(hashed) & HIGH
    low, end = np.searchsorted(entries, np.array([high, high | LOW], dtype=np.uint64), side="left")
    if end < len(entries) and entries[end] == high | LOW:
        end += 1
    return np.unique(np.asarray(entries[low:end]) & LOW).astype(np.int64)


def write_segment(
    stem: Path, table: pa.Table, *, sort_by: Sequence[str], index: Iterable[str]
) -> dict[str, str]:  # fmt: skip
    """Write a segment's files beside their names, then give them their names.

    Args:
        stem: folder and name without an ending.
        table: the run, in seq order, with its `seq` column.
        sort_by: columns to sort by.
        index: columns to index; those that the table lacks are left out.

    Returns:
        BLAKE2b-128 of each file by ending, as hex.
    """
    files.make_directory(stem.parent)
    order = sort_order(table, sort_by)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    endings = ["parquet"]
    write_parquet(_beside(stem, "parquet"), table, order, (*sort_by, SEQ))
    for name in index:
        if name in table.schema.names:
            endings.append(f"{name}.idx")
            write_index(_beside(stem, endings[-1]), index_of(table.column(name), place))
    digests = {ending: file_digest(_beside(stem, ending)) for ending in endings}
    for ending in endings:
        _beside(stem, ending).replace(stem.with_name(f"{stem.name}.{ending}"))
    files.sync_directory(stem.parent)
    return digests


def _beside(stem: Path, ending: str) -> Path:
    return stem.with_name(f"{stem.name}.{ending}.new")


def file_digest(path: Path) -> str:
    """BLAKE2b-128 of a file, as hex."""
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()

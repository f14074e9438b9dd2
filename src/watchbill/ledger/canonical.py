"""Canonical records: each row as the JSON text of RFC 8785 (JCS), the bytes that the Merkle tree commits to.

Keys are sorted, null columns are left out, strings are escaped as little as JSON allows, integers are decimal; `seq` is
one of the keys. Written down with test vectors in docs/ledger-format.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from watchbill.core.errors import LedgerError
from watchbill.ledger import kernels

Scalar = TypeVar("Scalar", bound=np.generic)
SEQ: Final = "seq"
_BATCH_ROWS: Final = 32_768
"""Rows laid out at once: the pools of one batch stay within a few megabytes."""
_SPARE: Final = 16
"""The kernel copies in steps of 16 bytes and may touch that many more."""
_STRINGS: Final = pa.list_(pa.string())


@dataclass(slots=True)
class _Pools:
    """Column buffers of one batch, laid end to end."""

    texts: list[NDArray[np.uint8]] = field(default_factory=list)
    offsets: list[NDArray[np.int32]] = field(default_factory=list)
    ints: list[NDArray[np.int64]] = field(default_factory=list)
    valid: list[NDArray[np.uint8]] = field(default_factory=list)
    text_bytes: int = 0
    offset_count: int = 0
    int_count: int = 0
    valid_count: int = 0
    out_bytes: int = 0

    def text(self, data: NDArray[np.uint8]) -> int:
        self.texts.append(data)
        self.text_bytes += len(data)
        return self.text_bytes - len(data)

    def offset(self, offsets: NDArray[np.int32]) -> int:
        self.offsets.append(offsets)
        self.offset_count += len(offsets)
        return self.offset_count - len(offsets)

    def integers(self, values: NDArray[np.int64]) -> int:
        self.ints.append(values)
        self.int_count += len(values)
        return self.int_count - len(values)

    def validity(self, array: pa.Array) -> int:
        """Pool which values are present; -1 when all are."""
        return -1 if array.null_count == 0 else self.flags(np.asarray(array.is_valid()).astype(np.uint8))

    def flags(self, flags: NDArray[np.uint8]) -> int:
        self.valid.append(flags)
        self.valid_count += len(flags)
        return self.valid_count - len(flags)


def canonical(
    table: pa.Table | pa.RecordBatch, first_seq: int | None, *, head: NDArray[np.uint8] | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Encode every row.

    Args:
        table: n rows of string, int64, bool, list<string> and list<struct of string and list<string>> columns.
        first_seq: seq of the first row, the others count up; None when the table has its own `seq` column.
        head: uint8[n, w] bytes put before each record (the leaf's 0x00 and nonce), or None.

    Returns:
        (data uint8[m], offsets int64[n + 1]): record i is `data[offsets[i]:offsets[i + 1]]`, its head included.

    Raises:
        LedgerError: a column of another type.
    """
    if first_seq is not None:
        seqs = np.arange(first_seq, first_seq + table.num_rows, dtype=np.int64)
        table = table.append_column(SEQ, pa.array(seqs))
    if head is None:
        head = np.zeros((table.num_rows, 0), dtype=np.uint8)
    offsets = np.zeros(table.num_rows + 1, dtype=np.int64)
    parts: list[NDArray[np.uint8]] = []
    row = 0
    batches = table.to_batches(max_chunksize=_BATCH_ROWS) if isinstance(table, pa.Table) else [table]
    for batch in batches:
        end = row + batch.num_rows
        data = _encode_batch(batch, head[row:end], offsets[row : end + 1])
        offsets[row + 1 : end + 1] += offsets[row]
        parts.append(data)
        row = end
    return (parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0, np.uint8), *parts])), offsets


def _encode_batch(batch: pa.RecordBatch, head: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Encode one batch; fills `offsets[1:]` counted from 0."""
    pools = _Pools(out_bytes=batch.num_rows * (head.shape[1] + 2))
    names = sorted(batch.schema.names, key=lambda name: name.encode("utf-16-be"))
    arrays = [(name, batch.column(name)) for name in names]
    arrays = [(name, array) for name, array in arrays if array.null_count < len(array)]
    plan = np.zeros((len(arrays) + 8, kernels.PLAN_WIDTH), dtype=np.int64)
    rows = [plan[index] for index in range(len(arrays))]
    children: list[NDArray[np.int64]] = []
    for row, (name, array) in zip(rows, arrays, strict=True):
        _lay(pools, row, children, len(arrays), name, array)
    if children:
        plan = np.vstack([plan[: len(arrays)], *children])
    pools.text(np.zeros(_SPARE, dtype=np.uint8))
    out = np.empty(pools.out_bytes + _SPARE, dtype=np.uint8)
    ends = np.zeros(batch.num_rows + 1, dtype=np.int64)
    kernels.encode_rows(
        plan.ravel(), len(arrays), np.ascontiguousarray(head), _join(pools.texts, np.uint8), _join(pools.offsets, np.int32),
        _join(pools.ints, np.int64), _join(pools.valid, np.uint8), out, ends,
    )  # fmt: skip
    offsets[1:] = ends[1:]
    return out[: ends[-1]]


def _join(parts: list[NDArray[Scalar]], dtype: type[Scalar]) -> NDArray[Scalar]:
    return np.concatenate([np.zeros(0, dtype), *parts])


def _lay(
    pools: _Pools, row: NDArray[np.int64], children: list[NDArray[np.int64]], top: int, name: str, array: pa.Array
) -> None:
    """Lay one column into the pools and describe it in its plan row."""
    key = np.frombuffer(pa.scalar(name).as_py().encode(), dtype=np.uint8)
    key = np.concatenate([np.frombuffer(b'"', np.uint8), key, np.frombuffer(b'":', np.uint8)])
    row[kernels.NAME], row[kernels.NAME_BYTES] = pools.text(key), len(key)
    pools.out_bytes += len(array) * (len(key) + 1)
    kind = array.type
    if pa.types.is_dictionary(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        array = array.cast(pa.string())
        kind = array.type
    row[kernels.VALID] = pools.validity(array)
    if kind == pa.string():
        _lay_string(pools, row, array)
    elif kind == pa.int64():
        row[kernels.KIND] = kernels.INT
        row[kernels.START] = pools.integers(array.fill_null(0).to_numpy())
        pools.out_bytes += 20 * len(array)
    elif kind == pa.bool_():
        row[kernels.KIND] = kernels.BOOL
        values = np.asarray(array.fill_null(False)).astype(np.uint8) + np.asarray(array.is_valid()).astype(np.uint8)
        row[kernels.VALID] = pools.flags(values)
        pools.out_bytes += 5 * len(array)
    elif kind == _STRINGS:
        _lay_strings(pools, row, children, top, array)
    elif pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
        _lay_structs(pools, row, children, top, array)
    else:
        raise LedgerError(f"a column of type {kind} has no canonical form", where=name, todo="Use a type of the schema")


def _lay_string(pools: _Pools, row: NDArray[np.int64], array: pa.Array) -> None:
    _, offset_buffer, data_buffer = array.buffers()
    if len(array) == 0 or offset_buffer is None:
        offsets = np.zeros(len(array) + 1, dtype=np.int32)
    else:
        offsets = np.frombuffer(offset_buffer, dtype=np.int32)[array.offset : array.offset + len(array) + 1]
    whole = np.frombuffer(data_buffer, dtype=np.uint8) if data_buffer is not None else np.zeros(0, np.uint8)
    data = whole[offsets[0] : offsets[-1]]
    escapes = kernels.must_escape(data)
    row[kernels.KIND] = kernels.STRING
    row[kernels.START] = pools.offset(offsets)
    row[kernels.BASE] = pools.text(data) - int(offsets[0])
    row[kernels.ESCAPES] = escapes
    pools.out_bytes += len(data) * (6 if escapes else 1) + 2 * len(array)


def _list_parts(pools: _Pools, row: NDArray[np.int64], array: pa.Array) -> pa.Array:
    """Pool a list column's offsets and give the values that they cover, from 0."""
    offsets = np.asarray(array.offsets).astype(np.int32)
    first, last = int(offsets[0]), int(offsets[-1])
    row[kernels.START] = pools.offset(offsets - offsets[0])
    pools.out_bytes += 2 * len(array) + 5 * (last - first)
    return array.values.slice(first, last - first)


def _child(children: list[NDArray[np.int64]], top: int, count: int) -> tuple[int, list[NDArray[np.int64]]]:
    """Reserve `count` plan rows behind the top ones."""
    begin = top + len(children)
    rows = [np.zeros((1, kernels.PLAN_WIDTH), dtype=np.int64) for _ in range(count)]
    children.extend(rows)
    return begin, [row[0] for row in rows]


def _lay_strings(
    pools: _Pools, row: NDArray[np.int64], children: list[NDArray[np.int64]], top: int, array: pa.Array
) -> None:
    row[kernels.KIND] = kernels.STRINGS
    values = _list_parts(pools, row, array)
    row[kernels.CHILD], (child,) = _child(children, top, 1)
    child[kernels.VALID] = pools.validity(values)
    _lay_string(pools, child, values)


def _lay_structs(
    pools: _Pools, row: NDArray[np.int64], children: list[NDArray[np.int64]], top: int, array: pa.Array
) -> None:
    row[kernels.KIND] = kernels.STRUCTS
    values = _list_parts(pools, row, array)
    row[kernels.BASE] = pools.validity(values)
    names = sorted(item.name for item in values.type)
    row[kernels.CHILD], rows = _child(children, top, len(names))
    row[kernels.CHILDREN] = len(names)
    for child, name in zip(rows, names, strict=True):
        part = values.field(name)
        if part.type not in (pa.string(), _STRINGS):
            raise LedgerError(f"a struct field of type {part.type} has no canonical form", where=name)
        _lay(pools, child, children, top, name, part)

"""64-bit hashes of text columns: the keys that every table *finds* by (the ledger's full strings *decide*).

The function is MurmurHash64A (Austin Appleby, public domain algorithm) with a fixed seed, so that two runs, two
processes and two machines agree. 0 is kept for "absent"; no present value hashes to 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from watchbill.core.intrinsics import load64, pointer
from watchbill.core.kernel import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

_M = np.uint64(0xC6A4A7935BD1E995)
_SEED = np.uint64(0x57617463_6842696C)
_TOP6 = np.uint64(0xFC00000000000000)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@kernel
def mix64(value: np.uint64) -> np.uint64:
    """Spread the bits of one 64-bit word (the finaliser of SplitMix64); never 0."""
    x = np.uint64(value)
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x if x != np.uint64(0) else np.uint64(1)


@kernel
def combine(a: np.uint64, b: np.uint64, tag: int) -> np.uint64:
    """One key of two hashes and a small tag; order matters; never 0."""
    return mix64((np.uint64(a) * _GOLDEN) ^ mix64(np.uint64(b) + np.uint64(tag) * _M))


@kernel
def work_key(owner: np.uint64, item: np.uint64, tag: int) -> np.uint64:
    """The key of an owner's work on an item: 58 mixed bits under the item's top 6; never 0.

    A table of such keys can be split into the item's logical buckets (`bucket_of_item`).
    """
    key = (combine(owner, item, tag) >> np.uint64(6)) | (np.uint64(item) & _TOP6)
    return key if key != np.uint64(0) else np.uint64(1)


@kernel
def bucket_of_item(key: np.uint64) -> int:
    """The logical bucket (0-63) of an item's hash, or of a `work_key` made with it."""
    return int(np.int64(key >> np.uint64(58)))


@kernel
def _hash_range(data: Any, start: int, end: int) -> np.uint64:  # noqa: ANN401 - a bare pointer
    """Hash the bytes [start, end) behind the pointer `data`."""
    h = _SEED ^ (np.uint64(end - start) * _M)
    at = start
    while at + 8 <= end:
        k = load64(data, at)
        k *= _M
        k ^= k >> np.uint64(47)
        k *= _M
        h ^= k
        h *= _M
        at += 8
    if at < end:
        tail = np.uint64(0)
        if end >= 8:
            # the last eight bytes, less those that were taken already (or belong to the text before)
            tail = load64(data, end - 8) >> np.uint64(64 - 8 * (end - at))
        else:
            for j in range(end - at):
                tail |= np.uint64(data[at + j]) << np.uint64(8 * j)
        h ^= tail
        h *= _M
    h ^= h >> np.uint64(47)
    h *= _M
    h ^= h >> np.uint64(47)
    return h if h != np.uint64(0) else np.uint64(1)


@kernel
def _hash_offsets(data: NDArray[np.uint8], offsets: NDArray[np.int32], out: NDArray[np.uint64]) -> None:
    where = pointer(data)
    for i in range(out.shape[0]):
        out[i] = _hash_range(where, int(offsets[i]), int(offsets[i + 1]))


_EMPTY = np.zeros(0, dtype=np.uint8)


def hash_column(column: pa.Array | pa.ChunkedArray) -> NDArray[np.uint64]:
    """Hash each text of a string column.

    Args:
        column: string (or null-typed) Arrow column of n values.

    Returns:
        uint64[n]; 0 where the value is null.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    n = len(array)
    out = np.zeros(n, dtype=np.uint64)
    if n == 0 or array.null_count == n:
        return out
    if array.type != pa.string():
        array = array.cast(pa.string())
    validity, offset_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offset_buffer, dtype=np.int32)[array.offset : array.offset + n + 1]
    data = np.frombuffer(data_buffer, dtype=np.uint8) if data_buffer is not None else _EMPTY
    _hash_offsets(data, offsets, out)
    if validity is not None and array.null_count:
        out[np.asarray(array.is_null())] = 0
    return out


def hash_text(text: str) -> int:
    """Hash one text; equal to `hash_column` of a column that holds it."""
    data = np.frombuffer(text.encode(), dtype=np.uint8) if text else _EMPTY
    out = np.zeros(1, dtype=np.uint64)
    _hash_offsets(data, np.array([0, data.shape[0]], dtype=np.int32), out)
    return int(out[0])

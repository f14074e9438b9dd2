"""64-bit hashes of text columns: the keys that every table *finds* by (the ledger's full strings *decide*).

The function is MurmurHash64A (Austin Appleby, public domain algorithm) with a fixed seed, so that two runs, two
processes and two machines agree. 0 is kept for "absent"; no present value hashes to 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from watchbill.core.kernel import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

_M = np.uint64(0xC6A4A7935BD1E995)
_SEED = np.uint64(0x57617463_6842696C)
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
def _hash_range(data: NDArray[np.uint8], start: int, end: int) -> np.uint64:
    length = np.uint64(end - start)
    h = _SEED ^ (length * _M)
    at = start
    while at + 8 <= end:
        k = np.uint64(0)
        for j in range(8):
            k |= np.uint64(data[at + j]) << np.uint64(8 * j)
        k *= _M
        k ^= k >> np.uint64(47)
        k *= _M
        h ^= k
        h *= _M
        at += 8
    if at < end:
        tail = np.uint64(0)
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
    for i in range(out.shape[0]):
        out[i] = _hash_range(data, offsets[i], offsets[i + 1])


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
    return int(_hash_range(data, 0, data.shape[0]))

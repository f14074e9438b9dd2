"""Many SHA-256 hashes at once: OpenSSL's own code called from a compiled loop, or hashlib where that cannot be had.

Python's call of hashlib costs more than hashing a short record. The library is the one that Python's hashlib is linked
to; it is used only after it has given the right answer for a known text.
"""

from __future__ import annotations

import ctypes
from functools import cache
from hashlib import sha256
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

HASH_BYTES: Final = 32
_MANY: Final = 2_048
"""Below this many hashes the compiled loop is not worth loading."""


@cache
def functions() -> NDArray[np.int64] | None:
    """Addresses of SHA256_Init, SHA256_Update and SHA256_Final; None where Python's OpenSSL does not show them."""
    try:
        import _hashlib

        library = ctypes.CDLL(_hashlib.__file__)
        calls = [getattr(library, f"SHA256_{name}") for name in ("Init", "Update", "Final")]
    except (ImportError, OSError, AttributeError):
        return None
    state, out = ctypes.create_string_buffer(256), ctypes.create_string_buffer(HASH_BYTES)
    begin, update, end = calls
    begin(state)
    update(state, b"abc", ctypes.c_size_t(3))
    end(out, state)
    if out.raw != sha256(b"abc").digest():
        return None
    return np.array([ctypes.cast(call, ctypes.c_void_p).value for call in calls], dtype=np.int64)


def hash_rows(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> bytes:
    """SHA-256 of each row `data[offsets[i]:offsets[i + 1]]`, 32 bytes each, end to end."""
    count, calls = len(offsets) - 1, functions() if len(offsets) > _MANY else None
    if calls is None:
        view = memoryview(data.data)
        return b"".join([sha256(view[start:end]).digest() for start, end in pairwise(offsets.tolist())])
    from watchbill.ledger import kernels

    out = np.empty(HASH_BYTES * count, dtype=np.uint8)
    kernels.hash_rows(calls, np.ascontiguousarray(data), np.ascontiguousarray(offsets), out)
    return out.tobytes()


def hash_pairs(row: bytes, pairs: int) -> bytes:
    """SHA-256 of 0x01 and each of `pairs` neighbours of a row of hashes: the row above in the Merkle tree."""
    width = 2 * HASH_BYTES
    calls = functions() if pairs > _MANY else None
    if calls is None:
        return b"".join([sha256(b"\x01" + row[at : at + width]).digest() for at in range(0, pairs * width, width)])
    from watchbill.ledger import kernels

    out = np.empty(HASH_BYTES * pairs, dtype=np.uint8)
    kernels.hash_pairs(calls, np.frombuffer(row, dtype=np.uint8), out)
    return out.tobytes()

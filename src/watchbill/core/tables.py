"""Hash tables of 64-bit keys for numba: exact maps that grow, and split-block Bloom filters for what is old.

A `Table64` is open addressing with linear probing over two NumPy arrays, so kernels take its arrays as arguments and a
snapshot is a copy of them. Key 0 means "empty": keys come from `core.hashing`, which never gives 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from watchbill.core.kernel import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_LOAD = 0.6
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@kernel
def find(keys: NDArray[np.uint64], key: np.uint64) -> int:
    """Slot of `key`, or -1. `keys` has a power-of-two length and at least one empty slot."""
    mask = np.uint64(keys.shape[0] - 1)
    slot = (key * _MULTIPLIER) >> np.uint64(20) & mask
    while True:
        held = keys[slot]
        if held == key:
            return int(np.int64(slot))
        if held == np.uint64(0):
            return -1
        slot = (slot + np.uint64(1)) & mask


@kernel
def claim(keys: NDArray[np.uint64], key: np.uint64) -> int:
    """Slot of `key`, taken if it was absent (see whether the count grew by looking before)."""
    mask = np.uint64(keys.shape[0] - 1)
    slot = (key * _MULTIPLIER) >> np.uint64(20) & mask
    while keys[slot] != key and keys[slot] != np.uint64(0):
        slot = (slot + np.uint64(1)) & mask
    keys[slot] = key
    return int(np.int64(slot))


@kernel
def _rehash(
    keys: NDArray[np.uint64], values: NDArray[np.int64], new_keys: NDArray[np.uint64], new_values: NDArray[np.int64]
) -> None:
    for i in range(keys.shape[0]):
        if keys[i] != np.uint64(0):
            slot = claim(new_keys, keys[i])
            new_values[slot] = values[i]


@kernel
def _put_all(
    keys: NDArray[np.uint64], values: NDArray[np.int64], new_keys: NDArray[np.uint64], new_values: NDArray[np.int64]
) -> int:
    added = 0
    for i in range(new_keys.shape[0]):
        if new_keys[i] == np.uint64(0):
            continue
        if find(keys, new_keys[i]) < 0:
            added += 1
        values[claim(keys, new_keys[i])] = new_values[i]
    return added


@kernel
def _get_all(
    keys: NDArray[np.uint64], values: NDArray[np.int64], wanted: NDArray[np.uint64], out: NDArray[np.int64]
) -> None:
    for i in range(wanted.shape[0]):
        if wanted[i] != np.uint64(0):
            slot = find(keys, wanted[i])
            if slot >= 0:
                out[i] = values[slot]


def power_of_two(n: int) -> int:
    """Smallest power of two that is at least `n` (and at least 16)."""
    return max(16, 1 << (max(1, n) - 1).bit_length())


class Table64:
    """Exact map from 64-bit keys to int64 values; grows; never forgets by itself.

    Attributes:
        keys: uint64[capacity], 0 = empty.
        values: int64[capacity].
        count: keys held. A kernel that claims slots itself must add to it.
    """

    __slots__ = ("count", "keys", "values")

    def __init__(self, expected: int = 0) -> None:
        capacity = power_of_two(int(expected / MAX_LOAD) + 1)
        self.keys = np.zeros(capacity, dtype=np.uint64)
        self.values = np.zeros(capacity, dtype=np.int64)
        self.count = 0

    def reserve(self, more: int) -> None:
        """Make room so that `more` new keys keep the load under MAX_LOAD."""
        if (self.count + more) <= MAX_LOAD * self.keys.shape[0]:
            return
        capacity = power_of_two(int((self.count + more) / MAX_LOAD) + 1)
        keys, values = np.zeros(capacity, dtype=np.uint64), np.zeros(capacity, dtype=np.int64)
        _rehash(self.keys, self.values, keys, values)
        self.keys, self.values = keys, values

    def put(self, keys: NDArray[np.uint64], values: NDArray[np.int64]) -> None:
        """Set `values[i]` under `keys[i]`, in order; keys of 0 are passed over."""
        self.reserve(keys.shape[0])
        self.count += int(_put_all(self.keys, self.values, keys, values))

    def get(self, keys: NDArray[np.uint64], default: int = -1) -> NDArray[np.int64]:
        """Values under `keys`; `default` where absent."""
        out = np.full(keys.shape[0], default, dtype=np.int64)
        _get_all(self.keys, self.values, keys, out)
        return out

    def snapshot(self) -> dict[str, NDArray[np.generic]]:
        """The held pairs, sorted by key, so that equal tables give equal snapshots."""
        held = np.flatnonzero(self.keys)
        order = held[np.argsort(self.keys[held])]
        return {"keys": self.keys[order], "values": self.values[order]}

    @classmethod
    def restore(cls, saved: dict[str, NDArray[np.generic]]) -> Table64:
        """The inverse of `snapshot`."""
        table = cls(int(saved["keys"].shape[0]))
        table.put(saved["keys"].astype(np.uint64), saved["values"].astype(np.int64))
        return table


BLOOM_BITS_A_KEY = 32
"""Split-block Bloom with 8 probes in one 256-bit block: about 5e-5 false hits a filter at 32 bits a key, so that the
union over all generations and templates stays under 0.5 % (shared/detection.md 1)."""

_SALT = np.array(
    [0x47B6137B, 0x44974D91, 0x8824AD5B, 0xA2B7289D, 0x705495C7, 0x2DF1424B, 0x9EFC4947, 0x5C6BFB31], dtype=np.uint32
)


@kernel
def bloom_has(words: NDArray[np.uint32], key: np.uint64) -> bool:
    """Whether `key` may have been added (never a false no)."""
    blocks = np.uint64(words.shape[0] // 8)
    start = np.int64(((key >> np.uint64(32)) * blocks) >> np.uint64(32)) * 8
    low = np.uint32(key & np.uint64(0xFFFFFFFF))
    for j in range(8):
        bit = np.uint32(low * _SALT[j]) >> np.uint32(27)
        if not (words[start + j] >> bit) & np.uint32(1):
            return False
    return True


@kernel
def bloom_add(words: NDArray[np.uint32], keys: NDArray[np.uint64]) -> None:
    """Add all non-zero keys."""
    blocks = np.uint64(words.shape[0] // 8)
    for i in range(keys.shape[0]):
        key = keys[i]
        if key == np.uint64(0):
            continue
        start = np.int64(((key >> np.uint64(32)) * blocks) >> np.uint64(32)) * 8
        low = np.uint32(key & np.uint64(0xFFFFFFFF))
        for j in range(8):
            bit = np.uint32(low * _SALT[j]) >> np.uint32(27)
            words[start + j] |= np.uint32(1) << bit


def bloom_of(keys: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """A split-block Bloom filter (uint32 words, 8 a block) that holds `keys` (0 passed over)."""
    count = int(np.count_nonzero(keys))
    words = np.zeros(8 * max(1, -(-count * BLOOM_BITS_A_KEY // 256)), dtype=np.uint32)
    bloom_add(words, keys)
    return words

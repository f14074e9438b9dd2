"""Random numbers that depend only on (seed, purpose), so that one part of the world never shifts another."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]


def rng_for(seed: int, purpose: str, *numbers: int) -> np.random.Generator:
    """A generator for one purpose; `numbers` (a day, an attack's place) may be negative."""
    words = [seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF, zlib.crc32(purpose.encode())]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([*words, *(n & 0xFFFFFFFF for n in numbers)])))


def mix(values: npt.NDArray[np.generic], salt: int) -> U64:
    """Splitmix64 of integers: a fixed scramble where a repeatable choice per key is wanted, not a draw."""
    with np.errstate(over="ignore"):
        z = values.astype(np.int64).astype(np.uint64) + np.uint64(
            (salt * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) % 2**64
        )
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def choose(values: npt.NDArray[np.generic], salt: int, n: int) -> I64:
    """A repeatable choice in [0, n) for each key."""
    return (mix(values, salt) % np.uint64(max(n, 1))).astype(np.int64)

"""Bare pointers and copies do what arrays do (the digest call is covered by test_sha)."""

from __future__ import annotations

import numpy as np
from numba import njit

from watchbill.ledger.intrinsics import copy16, pointer


def test_a_copy_at_any_alignment() -> None:
    @njit
    def copy(target: np.ndarray, at: int, source: np.ndarray, start: int) -> int:
        copy16(pointer(target), at, pointer(source), start)
        return int(pointer(target)[at])

    source = np.arange(64, dtype=np.uint8)
    for at in range(17):
        for start in range(17):
            target = np.zeros(40, dtype=np.uint8)
            assert copy(target, at, source, start) == start
            assert target.tolist() == [0] * at + list(range(start, start + 16)) + [0] * (24 - at)

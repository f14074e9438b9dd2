"""Hashes in bulk equal hashlib's, with the library's code and without."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise

import numpy as np
import pytest

from watchbill.ledger import sha


@pytest.fixture(params=["library", "hashlib"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "hashlib":
        monkeypatch.setattr(sha, "functions", lambda: None)
    return str(request.param)


@pytest.mark.parametrize("count", [0, 1, 5000])
def test_rows(way: str, count: int) -> None:
    rng = np.random.default_rng(count)
    data = rng.integers(0, 256, 100_000).astype(np.uint8)
    offsets = np.sort(rng.integers(0, 100_000, count + 1))
    whole = data.tobytes()
    assert sha.hash_rows(data, offsets) == b"".join(
        sha256(whole[start:end]).digest() for start, end in pairwise(offsets.tolist())
    )


@pytest.mark.parametrize("count", [0, 1, 3000])
def test_pairs(way: str, count: int) -> None:
    row = np.random.default_rng(count).integers(0, 256, 64 * count + 32).astype(np.uint8).tobytes()
    expected = [sha256(b"\x01" + row[at : at + 64]).digest() for at in range(0, 64 * count, 64)]
    assert sha.hash_pairs(row, count) == b"".join(expected)


def test_a_library_that_hides_its_functions_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> None:
        raise OSError

    monkeypatch.setattr(sha.ctypes, "CDLL", refuse)
    assert sha.functions.__wrapped__() is None

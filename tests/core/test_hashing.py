from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchbill.core.hashing import bucket_of_item, combine, hash_column, hash_text, mix64, work_key

MASK, M, SEED = 2**64 - 1, 0xC6A4A7935BD1E995, 0x576174636842696C


def murmur(data: bytes) -> int:
    """MurmurHash64A as published, in plain Python."""
    h = SEED ^ (len(data) * M & MASK)
    whole = len(data) // 8 * 8
    for at in range(0, whole, 8):
        k = int.from_bytes(data[at : at + 8], "little") * M & MASK
        k = (k ^ k >> 47) * M & MASK
        h = (h ^ k) * M & MASK
    if data[whole:]:
        h = (h ^ int.from_bytes(data[whole:], "little")) * M & MASK
    h = (h ^ h >> 47) * M & MASK
    return (h ^ h >> 47) or 1


@settings(deadline=None)
@given(st.lists(st.none() | st.text(max_size=40), max_size=30), st.integers(0, 5), st.integers(0, 30))
def test_a_column_hashes_as_its_texts_also_when_sliced(texts: list[str | None], start: int, length: int) -> None:
    column = pa.array(texts, type=pa.string()).slice(start, length)
    expected = [0 if text is None else murmur(text.encode()) for text in texts[start : start + length]]
    assert hash_column(column).tolist() == expected
    assert hash_column(pa.chunked_array([column, column])).tolist() == expected * 2
    assert [hash_text(text) for text in texts[start : start + length] if text is not None] == [h for h in expected if h]


@pytest.mark.parametrize("kind", [pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.string_view()])
def test_other_text_types_hash_the_same(kind: pa.DataType) -> None:
    texts = ["", "a", None, "张三", "x" * 33]
    assert hash_column(pa.array(texts).cast(kind)).tolist() == hash_column(pa.array(texts)).tolist()


def test_empty_and_null_columns() -> None:
    assert hash_column(pa.array([], type=pa.string())).shape == (0,)
    assert hash_column(pa.chunked_array([], type=pa.string())).shape == (0,)
    assert hash_column(pa.nulls(3)).tolist() == [0, 0, 0]
    assert hash_column(pa.array([None, None], type=pa.string())).tolist() == [0, 0]
    assert hash_text("") != 0


def test_keys_are_never_zero_and_spread() -> None:
    values = np.arange(1, 20_001, dtype=np.uint64)
    mixed = {int(mix64(value)) for value in values}
    assert len(mixed) == 20_000
    assert int(mix64(np.uint64(0))) != 0
    assert int(combine(np.uint64(1), np.uint64(2), 3)) != int(combine(np.uint64(2), np.uint64(1), 3))
    assert int(combine(np.uint64(1), np.uint64(2), 3)) != int(combine(np.uint64(1), np.uint64(2), 4))


@settings(deadline=None)
@given(st.integers(0, MASK), st.integers(1, MASK), st.integers(0, 300))
def test_a_work_key_carries_the_bucket_of_its_item(owner: int, item: int, tag: int) -> None:
    key = work_key(np.uint64(owner), np.uint64(item), tag)
    assert key != 0
    assert bucket_of_item(np.uint64(key)) == bucket_of_item(np.uint64(item)) == item >> 58

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from watchbill.core.tables import MAX_LOAD, Table64, bloom_has, bloom_of, find, power_of_two

KEYS = st.integers(0, 20) | st.integers(0, 2**64 - 1)


@settings(deadline=None)
@given(st.lists(st.lists(st.tuples(KEYS, st.integers(-5, 5)), max_size=20), max_size=6))
def test_a_table_is_a_dictionary(batches: list[list[tuple[int, int]]]) -> None:
    table, model = Table64(), dict[int, int]()
    for batch in batches:
        keys = np.array([key for key, _ in batch], np.uint64)
        table.put(keys, np.array([value for _, value in batch], np.int64))
        model |= {key: value for key, value in batch if key}
        assert table.count == len(model) == np.count_nonzero(table.keys)
        assert table.count <= MAX_LOAD * table.keys.shape[0]
    asked = np.array([*model, 0, 123_456_789_123], np.uint64)
    assert table.get(asked, default=-99).tolist() == [*model.values(), -99, model.get(123_456_789_123, -99)]
    saved = table.snapshot()
    assert saved["keys"].tolist() == sorted(model)
    again = Table64.restore(saved)
    assert again.get(asked, default=-99).tolist() == table.get(asked, default=-99).tolist()


def test_many_keys_are_all_found() -> None:
    keys = np.random.default_rng(1).integers(1, 2**64 - 1, 50_000, dtype=np.uint64)
    table = Table64(expected=10)
    table.put(keys, np.arange(50_000))
    assert (table.get(keys) == np.arange(50_000)).all()
    assert find(table.keys, np.uint64(keys[7])) >= 0


def test_bloom_filters_hold_all_and_little_else() -> None:
    rng = np.random.default_rng(2)
    keys = rng.integers(1, 2**64 - 1, 5_000, dtype=np.uint64)
    words = bloom_of(np.append(keys, np.uint64(0)))
    assert all(bloom_has(words, key) for key in keys)
    false = sum(bloom_has(words, key) for key in rng.integers(1, 2**64 - 1, 50_000, dtype=np.uint64))
    assert false / 50_000 < 4e-4
    assert bloom_of(np.zeros(0, np.uint64)).shape == (8,)


def test_sizes() -> None:
    assert [power_of_two(n) for n in (0, 1, 16, 17, 1024, 1025)] == [16, 16, 16, 32, 1024, 2048]

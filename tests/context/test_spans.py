from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from watchbill.context.spans import SpanTable, holds, open_span

NEVER = np.iinfo(np.int64).max
Op = tuple[int, int, int]


def put(table: SpanTable, key: int, since: int, until: int) -> None:
    table.reserve(1)
    table.count += open_span(table.cells, np.uint64(key), since, until)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 100), st.integers(0, 100)), max_size=60), st.integers(0, 100), st.integers(0, 20), st.integers(0, 60))  # fmt: skip
def test_a_span_table_is_a_dictionary_of_spans(ops: list[Op], time: int, early: int, window: int) -> None:
    table, model = SpanTable(), dict[int, tuple[int, int, int]]()
    for key, since, until in ops:
        put(table, key, since, until)
        first, last, _ = model.get(key, (since, since, 0))
        model[key] = (min(since, first), max(since, last), until)
    assert table.count == len(model)
    for key in range(1, 10):
        since, last, until = model.get(key, (0, 0, 0))
        expected = key in model and since - early <= time < until and time - last <= window
        assert holds(table.cells, np.uint64(key), time, early, window) == expected


@given(
    st.lists(st.tuples(st.integers(1, 2**64 - 1), st.integers(0, 10), st.integers(0, 100)), max_size=80),
    st.integers(0, 100),
)
def test_expiry_and_snapshots(ops: list[Op], before: int) -> None:
    table = SpanTable()
    for key, since, until in ops:
        put(table, key, since, until)
    other = SpanTable.restore(table.snapshot())
    assert (other.snapshot()["cells"] == table.snapshot()["cells"]).all()
    assert other.count == table.count
    table.expire(before)
    last = {key: until for key, _, until in ops}
    for key, until in last.items():
        assert (table.cells["key"] == np.uint64(key)).any() == (until >= before)
    assert table.count == sum(until >= before for until in last.values())


def test_it_grows_and_finds_all() -> None:
    rng = np.random.default_rng(1)
    keys = rng.integers(1, 2**64 - 1, 5_000, dtype=np.uint64)
    table = SpanTable()
    for key in keys:
        put(table, int(key), 5, 10)
    assert all(holds(table.cells, key, 7, 0, NEVER) for key in keys)
    assert table.count <= 0.6 * table.cells.shape[0]


def test_no_table_holds_nothing() -> None:
    assert SpanTable.none().cells.shape == (1,)
    assert not holds(SpanTable.none().cells, np.uint64(1), 0, 0, NEVER)

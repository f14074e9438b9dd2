from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from watchbill.core.members import Cells, cell_of

CELL = np.dtype([("key", np.uint64), ("last", np.int64), ("count", np.int32)], align=True)


def put(table: Cells, key: int, last: int) -> None:
    table.reserve(1)
    at = cell_of(table.cells, np.uint64(key))
    if table.cells["key"][at] == 0:
        if table.held >= table.limit:
            return
        table.held += 1
        table.cells["key"][at] = key
    table.cells["last"][at] = last
    table.cells["count"][at] += 1


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(0, 1000)), max_size=400), st.integers(0, 1000))
def test_it_counts_as_a_dictionary_does_and_forgets_by_age(asked: list[tuple[int, int]], before: int) -> None:
    table, wanted = Cells(CELL, 10_000), dict[int, tuple[int, int]]()
    for key, last in asked:
        put(table, key, last)
        wanted[key] = (last, wanted.get(key, (0, 0))[1] + 1)
    rows = [tuple(row) for row in table.living().tolist()]
    assert rows == [(key, last, count) for key, (last, count) in sorted(wanted.items())]
    again = Cells(CELL, 10_000)
    again.restore(table.living())
    np.testing.assert_array_equal(again.living(), table.living())
    table.forget(before)
    assert table.held == sum(last >= before for last, _ in wanted.values())
    assert set(table.living()["key"].tolist()) == {key for key, (last, _) in wanted.items() if last >= before}


def test_past_its_limit_it_takes_nobody_in_and_still_finds_who_is_there() -> None:
    table = Cells(CELL, 50)
    for key in range(1, 1_000):
        put(table, key, 1)
    assert table.held == 50
    assert table.living()["key"].tolist() == list(range(1, 51))
    put(table, 7, 9)
    assert table.living()["last"][6] == 9
    assert table.cells.shape[0] <= 128

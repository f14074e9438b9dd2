from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from watchbill.records.schema import SCHEMA
from watchbill.runners.controls import CONTROL_SOURCE, Timed, control_table, runs_of, with_controls


def records(arrivals: list[int]) -> pa.Table:
    rows = [{"source": "s", "id": f"r{n}", "time": at, "arrival": at, "kind": "view"} for n, at in enumerate(arrivals)]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=12).map(sorted),
    st.lists(st.integers(0, 9), max_size=6).map(sorted),
    st.integers(0, 2),
)
def test_each_stands_before_the_first_record_that_is_not_earlier(
    arrivals: list[int], times: list[int], now: int
) -> None:
    due = [Timed(at, "wb.verdict", {"id": f"t{n}"}) for n, at in enumerate(times) if at <= arrivals[-1]]
    table = with_controls(records(arrivals), [("wb.source", {"n": n}) for n in range(now)], due, 7)
    assert table.schema == SCHEMA
    assert [row["arrival"] for row in table.to_pylist()] == sorted(row["arrival"] for row in table.to_pylist())
    rows = table.to_pylist()
    assert [row["kind"] for row in rows[:now]] == ["wb.source"] * now
    assert [row["id"] for row in rows if row["source"] == "s"] == [f"r{n}" for n in range(len(arrivals))]
    assert len({row["id"] for row in rows}) == len(rows)
    timed = [at for at, row in enumerate(rows) if row["kind"] == "wb.verdict"]
    for place, one in zip(timed, due, strict=True):
        before = [row["arrival"] for row in rows[:place] if row["source"] == "s"]
        after = [row["arrival"] for row in rows[place:] if row["source"] == "s"]
        assert all(at < one.arrival for at in before)
        assert after[0] >= one.arrival


@given(st.lists(st.booleans(), max_size=20))
def test_runs_cover_every_row_once_in_order(marks: list[bool]) -> None:
    table = (
        pa.concat_tables(
            [control_table([("wb.x", {})], 1, n) if mark else records([1]) for n, mark in enumerate(marks)]
        )
        if marks
        else records([])
    )
    covered: list[int] = []
    for is_control, start, stop in runs_of(table):
        assert all(marks[at] == is_control for at in range(start, stop))
        assert not is_control or stop == start + 1
        covered += range(start, stop)
    assert covered == list(range(len(marks)))


def test_a_control_record_is_ours_and_says_its_content_in_order_of_names() -> None:
    (row,) = control_table([("wb.verdict", {"b": 1, "a": "甲"})], 5, 9, 3).to_pylist()
    assert (row["source"], row["id"], row["arrival"], row["extra"]) == (
        CONTROL_SOURCE,
        "wb.verdict:9:3",
        5,
        '{"a": "甲", "b": 1}',
    )

"""Records as NumPy columns: codes, hashes, lists, and that a cut is the same as columns of the cut table."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchbill.core.hashing import hash_text
from watchbill.records.columns import KIND, OUTCOME, STATE, STATUS, TYPE, Columns, columns_of
from watchbill.records.schema import KINDS, OUTCOMES, SCHEMA, STATES, STATUSES, TICKET_TYPES

HASHED = ("account", "assignee", "device", "ip", "waybill", "ticket", "decision", "outlet", "next_outlet")
TEXT = st.one_of(st.none(), st.sampled_from(["a", "b", "张三", "x" * 40]))
LIST = st.one_of(st.none(), st.lists(st.sampled_from(["p1", "p2", "recipient.phone"]), max_size=4))


def record(**more: Any) -> dict[str, Any]:
    """A canonical record."""
    return {"source": "desk", "id": "r", "time": 5, "arrival": 7, "kind": "view"} | more


def table_of(*rows: dict[str, Any]) -> pa.Table:
    """Rows in the canonical columns."""
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


def same(one: Columns, other: Columns) -> None:
    """Both hold the same arrays of the same types."""
    for field in fields(one):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if field.name == "table":
            assert mine.equals(theirs)
        else:
            assert mine.dtype == theirs.dtype, field.name
            np.testing.assert_array_equal(mine, theirs, err_msg=field.name)


def test_numbers_and_hashes_stand_for_what_was_sent() -> None:
    given_names = {name: f"{name}-1" for name in HASHED}
    columns = columns_of(table_of(record(until=9, masked=True, **given_names), record(time=6)), 40)
    assert len(columns) == 2
    assert columns.seq.tolist() == [40, 41]
    assert (columns.time.tolist(), columns.arrival.tolist(), columns.until.tolist()) == ([5, 6], [7, 7], [9, 0])
    assert columns.masked.tolist() == [1, 0]
    for name in HASHED:
        assert getattr(columns, name).tolist() == [hash_text(f"{name}-1"), 0]
        assert (columns.text(name, 0), columns.text(name, 1)) == (f"{name}-1", "")


@pytest.mark.parametrize(
    ("column", "codes", "names"),
    [
        ("kind", KIND, KINDS), ("outcome", OUTCOME, OUTCOMES), ("status", STATUS, STATUSES), ("state", STATE, STATES),
        ("type", TYPE, TICKET_TYPES),
    ],
)  # fmt: skip
def test_codes(column: str, codes: dict[str, int], names: tuple[str, ...]) -> None:
    assert list(codes) == list(names)
    columns = columns_of(table_of(*(record(**{column: name}) for name in names)), 0)
    assert getattr(columns, column).tolist() == list(codes.values()) == list(range(1, len(names) + 1))


def test_a_control_record_and_what_is_absent_have_code_zero() -> None:
    columns = columns_of(table_of(record(kind="wb.reload")), 0)
    for name in ("kind", "outcome", "status", "state", "type", "field_set", "masked"):
        assert getattr(columns, name).tolist() == [0], name


def test_subjects_are_flat_and_cut_by_their_ends() -> None:
    columns = columns_of(
        table_of(record(subjects=["p1", "p2"]), record(), record(subjects=[]), record(subjects=["p3"])), 0
    )
    assert columns.subject_ends.tolist() == [2, 2, 2, 3]
    assert columns.subjects.tolist() == [hash_text("p1"), hash_text("p2"), hash_text("p3")]
    last = columns.cut(3, 4)
    assert (last.subject_ends.tolist(), last.subjects.tolist()) == ([1], [hash_text("p3")])


def test_a_set_of_fields_is_told_from_another() -> None:
    lists = [["a"], ["a", "b"], ["ab"], None, ["a", "b"]]
    got = columns_of(table_of(*(record(fields=one) for one in lists)), 0).field_set.tolist()
    assert got[1] == got[4]
    assert got[3] == 0
    assert len(set(got)) == 4


def test_an_empty_table_gives_empty_columns() -> None:
    columns = columns_of(SCHEMA.empty_table(), 3)
    assert len(columns) == 0
    assert columns.subjects.shape == columns.subject_ends.shape == (0,)


@given(
    rows=st.lists(
        st.fixed_dictionaries({
            "account": TEXT, "waybill": TEXT, "subjects": LIST, "fields": LIST, "masked": st.sampled_from([None, True, False]),
            "kind": st.sampled_from(KINDS), "until": st.sampled_from([None, 0, 77]), "status": st.sampled_from([None, *STATUSES]),
        }),
        min_size=1, max_size=12,
    ),
    cut=st.tuples(st.integers(0, 12), st.integers(0, 12)),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_a_cut_is_what_the_cut_table_gives(rows: list[dict[str, Any]], cut: tuple[int, int]) -> None:
    start, stop = sorted(min(edge, len(rows)) for edge in cut)
    table = table_of(*(record(**row) for row in rows))
    whole = columns_of(table, 100)
    same(whole.cut(start, stop), columns_of(table.slice(start, stop - start), 100 + start))
    pieces = pa.concat_tables([table.slice(0, start), table.slice(start)])
    same(columns_of(pieces, 100), whole)

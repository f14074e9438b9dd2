"""Rows that come with types: refused by row with their number, the others in order."""

from __future__ import annotations

import json

import pyarrow as pa

from watchbill.records.columnar import parse_table
from watchbill.records.schema import SCHEMA

RAW = pa.table({
    "time": pa.array([1_760_000_000_000_000, None, 1_760_000_001_000_000, 1], pa.timestamp("us", "UTC")),
    "kind": ["view", "view", "login", "scan"],
    "account": [7, 8, None, 9],
    "zone": ["a", "b", "c", "d"],
})  # fmt: skip


def test_bad_rows_are_refused_one_by_one() -> None:
    parsed = parse_table(RAW, source="s", identity="f", first_row=11)
    assert parsed.table.schema == SCHEMA
    assert parsed.table.column("id").to_pylist() == ["f:11"]
    assert parsed.table.column("extra").to_pylist() == ['{"zone":"a"}']
    reasons = {q.position: q.reason for q in parsed.quarantined}
    assert reasons["f:12"] == "time is missing"
    assert reasons["f:13"] == "account is missing, which a login needs"
    assert "f:14" in reasons
    assert json.loads(parsed.quarantined[0].raw) == {"kind": "view", "account": 8, "zone": "b"}


def test_no_rows() -> None:
    parsed = parse_table(RAW.slice(0, 0), source="s", identity="f")
    assert parsed.table.num_rows == 0
    assert parsed.table.schema == SCHEMA


def test_a_table_without_any_known_column() -> None:
    parsed = parse_table(pa.table({"x": [1, 2]}), source="s", identity="f")
    assert [q.reason for q in parsed.quarantined] == ["kind is missing"] * 2

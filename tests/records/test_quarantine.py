"""Quarantine rows: written, read back, and retried."""

from __future__ import annotations

import io
import json

import pytest

from watchbill.core.errors import ContractError
from watchbill.records.batch import Quarantined
from watchbill.records.mapping import Mapped
from watchbill.records.parse import parse_ndjson
from watchbill.records.quarantine import read_rows, retry, to_ndjson, to_table

GOOD = '{"time":1760000000000,"kind":"view","account":"E1"}'


def entry(raw: str, position: str = "a.log@f:7", source: str = "s") -> Quarantined:
    return Quarantined(source, position, "old reason", "todo", raw)


def test_rows_come_back_as_they_went() -> None:
    rows = [entry('{"a"\n:"汉"}'), entry("x")]
    data = to_ndjson(rows)
    assert [list(json.loads(line)) for line in data.splitlines()] == [
        ["source", "position", "reason", "todo", "raw"]
    ] * 2
    assert list(read_rows(io.BytesIO(data))) == rows
    assert list(read_rows(io.BytesIO(data[:-3]))) == rows[:1]
    assert to_table(rows).column_names == ["source", "position", "reason", "todo", "raw"]
    assert to_table([]).num_rows == 0


def test_a_file_of_something_else_is_refused() -> None:
    with pytest.raises(ContractError, match="line 1: it is no quarantine row"):
        list(read_rows(io.BytesIO(b'{"a":1}\n')))


def test_retry_takes_what_is_good_now() -> None:
    rows = [
        entry(GOOD),
        entry("bad", "f:8"),
        entry(GOOD, source="other"),
        entry("x ... [cut, 9 bytes in all]"),
        entry(""),
    ]
    found = retry(rows, "s")
    assert found.batch is not None
    assert found.batch.table.column("id").to_pylist() == ["f:7"]
    assert [(q.position, q.source) for q in found.remaining] == [
        ("f:8", "s"), ("a.log@f:7", "other"), ("a.log@f:7", "s"), ("a.log@f:7", "s"),
    ]  # fmt: skip
    assert found.remaining[0].reason.startswith("the line is not a JSON object")
    assert retry(rows[1:2], "s").batch is None


def test_what_the_parser_refuses_can_be_retried() -> None:
    refused = parse_ndjson(b"\n" + GOOD.replace("view", "look").encode(), source="s", identity="f").quarantined
    fixed = [Quarantined(q.source, q.position, q.reason, q.todo, q.raw.replace("look", "view")) for q in refused]
    found = retry(fixed, "s")
    assert found.batch is not None
    assert found.batch.table.column("id").to_pylist() == ["f:2"]


def test_retry_through_a_mapping() -> None:
    mapped = Mapped("SELECT 'view' AS kind, 1760000000000 AS time, line AS account FROM input")
    found = retry([entry("E9")], "s", mapped=mapped)
    assert found.batch is not None
    assert found.batch.table.column("account").to_pylist() == ["E9"]

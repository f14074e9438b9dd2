"""NDJSON by kernels and by the exact path: the same table, the same refusals, whatever stands in the lines."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchbill.records import parse as parsing
from watchbill.records.limits import RecordLimits
from watchbill.records.parse import Parsed, parse_ndjson
from watchbill.records.schema import SCHEMA

VIEW = b'{"id":"%d","time":1760000000000,"kind":"view","account":"E1"}\n'


def parse(text: bytes, **kwargs: Any) -> Parsed:
    return parse_ndjson(text, source="s", identity="f", **kwargs)


def parse_exactly(text: bytes) -> Parsed:
    """All lines by the exact path: as if the kernel found every one of them odd."""
    plain = parsing._scan

    def all_odd(*args: Any) -> Any:
        found = plain(*args)
        found.odd[:] = True
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parsing, "_scan", all_odd)
        return parse(text)


def assert_same(text: bytes) -> None:
    fast, exact = parse(text), parse_exactly(text)
    assert fast.table.equals(exact.table)
    assert fast.quarantined == exact.quarantined
    assert fast.derived.tolist() == exact.derived.tolist()
    assert [fast.origin.position(i) for i in range(fast.table.num_rows)] == [
        exact.origin.position(i) for i in range(exact.table.num_rows)
    ]
    fast.table.validate(full=True)
    assert fast.table.schema == SCHEMA


texts = st.text(max_size=12) | st.sampled_from(["view", "scan", "ticket", "E1", "2025-10-10T10:00:00Z", "10.0.0.1", ""])
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | texts
values = st.recursive(scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(texts, v, max_size=3), max_leaves=6)
shown = st.lists(
    st.fixed_dictionaries({"subject": texts}, optional={"fields": st.lists(texts, max_size=3)}), max_size=3
)
names = st.sampled_from([f.name for f in SCHEMA] + ["wert", "z", "时间", "Id", "tim", "idd"])
good = st.fixed_dictionaries(
    {"kind": st.sampled_from(["view", "search", "login", "ticket"]), "account": st.just("E1")},
    optional={
        "time": st.integers(1_700_000_000_000, 1_800_000_000_000) | st.just("2025-10-10T10:00:00.5+08:00"),
        "id": texts,
        "subjects": st.lists(texts | st.none(), max_size=4),
        "fields": st.lists(texts, max_size=4),
        "shown": shown,
        "masked": st.booleans(),
        "page": st.integers(0, 9),
        "reason": st.text(max_size=30),
        "zone": values,
        "y": values,
    },
)
anything = st.dictionaries(names | texts, values, max_size=8)


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """One line: a good record, anything at all, or a good one with bytes changed."""
    record = draw(good | anything)
    spaced = draw(st.booleans())
    separators = (", ", " : ") if spaced else (",", ":")
    text = json.dumps(record, ensure_ascii=draw(st.booleans()), separators=separators).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 3)) == 0 and text:
        at = draw(st.integers(0, len(text) - 1))
        text = text[:at] + draw(st.binary(max_size=2)).replace(b"\n", b"") + text[at + draw(st.integers(0, 2)) :]
    return text + draw(st.sampled_from([b"", b"\r", b"  "]))


@settings(max_examples=400, deadline=None)
@given(st.lists(lines(), max_size=6))
def test_both_paths_say_the_same(parts: list[bytes]) -> None:
    assert_same(b"\n".join(parts))


NASTY = [
    b'{"id":"a","id":"b"}',
    b'{"u":1,"u":2,"kind":"view"}',
    b'{"u":null,"u":2}',
    b'{"\\u0069d":"x","time":1760000000000,"kind":"view","account":"E"}',
    b'{"time":1760000000000.0,"kind":"view","account":"E"}',
    b'{"time":NaN}',
    b'{"time":01}',
    b'{"time":-0,"kind":"view"}',
    b'{"time":1760000000000,"kind":"view","account":"E","x":1e999,"y":123456789012345678901234567890}',
    b'{"time":1760000000000,"kind":"view","account":"E","shown":[{"subject":"a","fields":["b"]}]}',
    b'{"time":1760000000000,"kind":"view","account":"E","shown":[{"subject":"a","subject":"b"}]}',
    b'{"time":1760000000000,"kind":"view","account":"E","shown":[null]}',
    b'{"time":1760000000000,"kind":"view","account":"E","shown":[{"subject":"\xff"}]}',
    b'{"time":1760000000000,"kind":"view","account":"E","extra":{"a":1},"source":"evil","arrival":5}',
    b'{"time":1760000000000,"kind":"view","account":"E","reason":"\\ud83d\\ude00\\u4e2d\\n\\/"}',
    b'{"time":1760000000000,"kind":"view","account":"E\\u0000"}',
    b'\xef\xbb\xbf{"time":1760000000000,"kind":"view","account":"E"}',
    b'{"time":1760000000000,"kind":"view","account":"E","x":' + b"[" * 63 + b"]" * 63 + b"}",
    b'{"time":1760000000000,"kind":"view","account":"E","x":' + b"[" * 64 + b"]" * 64 + b"}",
    b'{"time":1760000000000,"kind":"view","account":"E","x":' + b"[" * 65 + b"]" * 65 + b"}",
    b"{}",
    b"",
    b"   ",
    b"null",
    b'{"time":1760000000000,"kind":"view","account":"\xc3"}',
    b'{"time":1760000000000,"kind":"view","account":"E","masked":null,"subjects":[],"fields":[null,"","a"]}',
]


def test_nasty_lines_one_by_one_and_together() -> None:
    for line in NASTY:
        assert_same(line)
    assert_same(b"\n".join(NASTY * 3))


def test_one_bad_line_costs_one_line() -> None:
    text = b"".join(VIEW % i for i in range(5000)) + b"rubbish\n" + b"".join(VIEW % i for i in range(5000, 9000))
    parsed = parse(text, first_line=10)
    assert parsed.table.num_rows == 9000
    assert [q.position for q in parsed.quarantined] == ["f:5010"]
    assert parsed.quarantined[0].raw == "rubbish"
    assert parsed.table.column("id").to_pylist() == [str(i) for i in range(9000)]


def test_ids_are_made_from_the_position() -> None:
    line = b'{"time":1760000000000,"kind":"view","account":"E1"}\n'
    parsed = parse(line + b"\n" + VIEW % 7 + line, first_line=3)
    assert parsed.table.column("id").to_pylist() == ["f:3", "7", "f:6"]
    assert parsed.derived.tolist() == [True, False, True]
    assert parsed.lines == 4


def test_unknown_fields_are_kept_as_they_stood() -> None:
    line = b'{"b" : 1.10, "time":1760000000000,"kind":"view","account":"E1","n":null,"c":{"d": [1, "x"]}}'
    assert parse(line).table.column("extra").to_pylist() == ['{"b" : 1.10,"c":{"d": [1, "x"]}}']


def test_a_text_without_records() -> None:
    for text in (b"", b"\n", b"\n\n  \n"):
        parsed = parse(text)
        assert parsed.table.num_rows == 0
        assert parsed.table.schema == SCHEMA
        assert not parsed.quarantined


def test_many_fields_in_one_line_need_more_room_than_was_guessed() -> None:
    line = (
        b'{"time":1760000000000,"kind":"view","account":"E1",'
        + b",".join(b'"u%d":%d' % (i, i) for i in range(250))
        + b"}\n"
    )
    parsed = parse(line * 100)
    assert parsed.table.num_rows == 100
    assert len(json.loads(parsed.table.column("extra")[99].as_py())) == 250


def test_too_long_a_line_is_refused_and_cut() -> None:
    text = VIEW % 1 + b'{"reason":"' + b"x" * 70_000 + b'"}\n' + VIEW % 2
    parsed = parse(text, limits=RecordLimits(line_bytes_max=65_536))
    assert parsed.table.num_rows == 2
    assert "line_bytes_max" in parsed.quarantined[0].reason
    assert len(parsed.quarantined[0].raw) <= 4096
    assert "70013 bytes in all" in parsed.quarantined[0].raw


def test_every_column_has_one_chunk() -> None:
    parsed = parse(b"".join(VIEW % i for i in range(10)) + b"x\n")
    assert all(column.num_chunks == 1 for column in parsed.table.columns)
    assert isinstance(parsed.table, pa.Table)

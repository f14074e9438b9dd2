"""Typed and text columns to the contract's: what fits, what does not, and what is kept in `extra`."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from watchbill.records.convert import convert
from watchbill.records.schema import SCHEMA


def one(name: str, array: pa.Array) -> tuple[list[Any], dict[int, str]]:
    table, reasons = convert(pa.table({name: array}))
    return table.column(name).to_pylist(), reasons


@pytest.mark.parametrize(
    ("name", "array", "want"),
    [
        ("account", pa.array(["a", "", None]), ["a", None, None]),
        ("account", pa.array([7, None]), ["7", None]),
        ("account", pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        ("account", pa.array(["a"], pa.large_string()), ["a"]),
        ("account", pa.array(["a"], pa.string_view()), ["a"]),
        ("account", pa.array([b"a"]), ["a"]),
        ("account", pa.array([None, None]), [None, None]),
        ("page", pa.array([1.0, None]), [1, None]),
        ("page", pa.array(["3", ""]), [3, None]),
        ("page", pa.array([2], pa.uint8()), [2]),
        ("time", pa.array([1_500_000], pa.timestamp("us", "UTC")), [1500]),
        ("time", pa.array([-1], pa.timestamp("ns", "UTC")), [-1]),
        ("time", pa.array([1_760_000_000], pa.timestamp("s", "Asia/Shanghai")), [1_760_000_000_000]),
        ("time", pa.array(["1760000000000", "2025-10-09T08:53:20Z"]), [1_760_000_000_000, 1_760_000_000_000]),
        ("masked", pa.array([True, None]), [True, None]),
        ("masked", pa.array(["TRUE", "0", ""]), [True, False, None]),
        ("masked", pa.array([1, 0]), [True, False]),
        ("subjects", pa.array([["a"], [], None, ["b", "", None]]), [["a"], None, None, ["b"]]),
        ("subjects", pa.array(['["a;b"]', "c; d;", ""]), [["a;b"], ["c", "d"], None]),
        ("subjects", pa.array([[1, 2]]), [["1", "2"]]),
        ("shown", pa.array([[{"subject": "a", "fields": ["x"]}]]), [[{"subject": "a", "fields": ["x"]}]]),
        ("shown", pa.array(['[{"subject":"a"}]', None]), [[{"subject": "a", "fields": None}], None]),
    ],
)
def test_what_fits(name: str, array: pa.Array, want: list[Any]) -> None:
    values, reasons = one(name, array)
    assert values == want
    assert not reasons


@pytest.mark.parametrize(
    ("name", "array", "reason"),
    [
        ("account", pa.array([1.5]), "account must be text"),
        ("account", pa.array([b"\xff"]), "invalid UTF-8"),
        ("page", pa.array([1.5]), "page must be a whole number"),
        ("page", pa.array([float("nan")]), "page must be a whole number"),
        ("page", pa.array([2**64 - 1], pa.uint64()), "page must be a whole number"),
        ("page", pa.array(["x"]), "page must be a whole number"),
        ("page", pa.array([[1]]), "page must be a whole number"),
        ("time", pa.array([0], pa.timestamp("ms")), "a time with zone, not timestamp"),
        ("time", pa.array(["yesterday"]), "a time with zone"),
        ("masked", pa.array(["maybe"]), "true or false"),
        ("masked", pa.array([1.0]), "true or false"),
        ("subjects", pa.array(["[1]"]), "must be a string"),
        ("subjects", pa.array(["[oops"]), "not valid JSON"),
        ("subjects", pa.array([[1.5]]), "list of strings"),
        ("subjects", pa.array([5]), "list of strings"),
        ("shown", pa.array([5]), "list of {subject, fields}"),
        ("shown", pa.array([[{"who": "a"}]]), "must be {subject, fields}"),
        ("x", pa.array([b"\xff"]), "invalid UTF-8"),
    ],
)
def test_what_does_not(name: str, array: pa.Array, reason: str) -> None:
    _, reasons = convert(pa.table({name: array}))
    assert reason in reasons[0]


def test_unknown_columns_are_kept_as_json() -> None:
    table, reasons = convert(
        pa.table({
            "n": pa.array([1, None, 3]),
            "f": pa.array([1.5, float("nan"), None]),
            "t": pa.array(['say "hi"\n', None, "汉"]),
            "b": pa.array([True, None, None]),
            "d": pa.array([{"k": [1]}, None, None]),
            "w": pa.array([0, None, None], pa.timestamp("ms")),
        })
    )  # fmt: skip
    extra = table.column("extra").to_pylist()
    first = json.loads(extra[0])
    assert first == {"n": 1, "f": 1.5, "t": 'say "hi"\n', "b": True, "d": {"k": [1]}, "w": "1970-01-01 00:00:00"}
    assert extra[1] is None
    assert json.loads(extra[2]) == {"n": 3, "t": "汉"}
    assert not reasons


def test_shown_of_the_contracts_own_type_is_taken_whole_unless_something_in_it_is_empty() -> None:
    kind = SCHEMA.field("shown").type
    clean = [None, [{"subject": "c1", "fields": ["a"]}, {"subject": "c2", "fields": []}]]
    table, reasons = convert(pa.table({"shown": pa.array(clean, kind)}))
    assert table.column("shown").to_pylist() == clean
    assert not reasons
    for odd in ([{"subject": "", "fields": ["a"]}], [{"subject": None, "fields": ["a"]}], [None]):
        _, reasons = convert(pa.table({"shown": pa.array([*clean, odd], kind)}))
        assert list(reasons) == [2]
    table, reasons = convert(pa.table({"shown": pa.array([[], [{"subject": "c", "fields": None}]], kind)}))
    assert table.column("shown").to_pylist() == [None, [{"subject": "c", "fields": None}]]
    assert not reasons

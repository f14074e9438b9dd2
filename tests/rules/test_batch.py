"""The other compiler is held to this one in test_generated.py; here an independent hand says what rules mean: SQL."""

from __future__ import annotations

import sqlite3
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sigma.backends.sqlite import sqliteBackend
from sigma.collection import SigmaCollection

from rules.samples import T0, columns, parsed, table_of
from watchbill.rules.batch import BatchMatcher, probe
from watchbill.rules.ruleset import RuleSet
from watchbill.rules.settings import RuleSettings
from watchbill.rules.terms import RAW, Check, compiled
from watchbill.rules.values import Known, Values

FIELDS = ("account", "app", "reason")
ASCII = st.text(st.sampled_from("abAB1%_.*?'"), min_size=1, max_size=4)
PLAIN = st.text(st.sampled_from("abAB1"), min_size=1, max_size=3)


@st.composite
def items(draw: st.DrawFn) -> tuple[str, Any]:
    shape = draw(st.sampled_from(["text", "all", "number", "null", "exists", "re", "reference", "neq", "cased"]))
    field = draw(st.sampled_from(FIELDS))
    if shape == "number":
        return f"results|{draw(st.sampled_from(['lt', 'lte', 'gt', 'gte']))}", draw(st.integers(-2, 4))
    if shape == "null":
        return field, None
    if shape == "exists":
        return f"{field}|exists", draw(st.booleans())
    if shape == "re":
        return f"{field}|re", draw(st.sampled_from(["^a", "b.?1", "[AB]{2}", "(a|1)$"]))
    if shape == "reference":
        return f"{field}|fieldref", draw(st.sampled_from(FIELDS))
    if shape == "cased":
        return f"{field}|contains|cased", draw(PLAIN)
    if shape == "neq":
        return f"{field}|neq", draw(PLAIN)
    if shape == "all":
        return f"{field}|contains|all", draw(st.lists(PLAIN, min_size=2, max_size=2))
    modifier = draw(st.sampled_from(["", "|contains", "|startswith", "|endswith"]))
    return f"{field}{modifier}", draw(st.lists(ASCII, min_size=1, max_size=3))


conditions = st.sampled_from(
    ["a", "not a", "a and b", "a or b", "a and not b", "not (a or b)", "1 of them", "all of them"]
)
selections = st.lists(items(), min_size=1, max_size=3).map(dict)
cells = st.none() | st.text(st.sampled_from("abAB1%_."), max_size=4)
rows_of = st.lists(
    st.fixed_dictionaries({**dict.fromkeys(FIELDS, cells), "results": st.none() | st.integers(-2, 4)}),
    min_size=1, max_size=12,
)  # fmt: skip


def by_sql(text: str, rows: list[dict[str, Any]]) -> list[Any]:
    """What the SQLite backend makes of a rule over rows."""
    db = sqlite3.connect(":memory:")
    db.create_function(
        "REGEXP", 2, lambda pattern, value: value is not None and compiled(pattern).search(str(value)) is not None
    )
    columns_of_logs = ", ".join(f"{name} TEXT COLLATE NOCASE" for name in (*FIELDS, "waybill", "timestamp"))
    db.execute(f"CREATE TABLE logs (number INTEGER, {columns_of_logs}, results INTEGER)")
    for number, row in enumerate(rows):
        known = {"number": number, **row}
        db.execute(
            f"INSERT INTO logs ({', '.join(known)}) VALUES ({', '.join('?' * len(known))})", tuple(known.values())
        )
    queries = sqliteBackend().convert(SigmaCollection.from_yaml(text))
    db.row_factory = sqlite3.Row
    found: list[Any] = db.execute(queries[-1].replace("<TABLE_NAME>", "logs")).fetchall()
    db.close()
    return found


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(selections, selections, conditions, rows_of)
def test_rules_mean_what_the_sqlite_backend_says(a: Any, b: Any, condition: str, rows: list[dict[str, Any]]) -> None:
    rule = {
        "title": "t",
        "logsource": {"product": "watchbill", "service": "lookup"},
        "detection": {"a": a, "b": b, "condition": condition},
    }
    text = yaml.safe_dump(rule)
    found = parsed(text)
    assert not found.complaints, found.complaints
    values = Values(table_of(rows), Known())
    at, _ = BatchMatcher([found.rules[0].term or pytest.fail("no term")]).hits(values, np.arange(len(rows)))
    assert at.tolist() == [row["number"] for row in by_sql(text, rows)], text


COUNTED = """
title: base
name: base
logsource: {product: watchbill, service: lookup}
detection:
  a: {results|gte: 1}
  condition: a
---
title: often
correlation:
  type: TYPE
  rules: base
  group-by: [account]
  timespan: 10s
  condition: {OP: 3, FIELD}
"""


@pytest.mark.parametrize(("kind", "field"), [("event_count", ""), ("value_count", "field: waybill"), ("value_sum", "field: results"), ("value_avg", "field: results"), ("value_median", "field: results")])  # fmt: skip
@pytest.mark.parametrize("op", ["gte", "lt", "eq"])
def test_correlations_fire_where_the_sqlite_backend_says(kind: str, field: str, op: str) -> None:
    draw = np.random.default_rng(3)
    times = T0 + np.cumsum(draw.integers(1, 5_000, 200))
    rows = [
        {"account": draw.choice(["a", "b"]), "waybill": draw.choice(["x", "y", "z", "w"]), "results": int(draw.integers(0, 6)), "time": int(time)}
        for time in times
    ]  # fmt: skip
    text = COUNTED.replace("TYPE", kind).replace("OP", op).replace("FIELD", field)
    found = parsed(text)
    assert not found.complaints, found.complaints
    ruleset = RuleSet(found.rules, RuleSettings())
    for window in ruleset.windows.values():
        window.suppress_ms = 0
    mine = [
        (rows[finding.row]["account"], rows[finding.row]["time"], finding.fired.measure)
        for finding in ruleset.observe(columns(rows), Known())
        if finding.fired
    ]
    stamp = [{k: v for k, v in row.items() if k != "time"} | {"timestamp": iso(row["time"])} for row in rows]
    theirs = [
        (yaml.safe_load(row["group_keys"])["account"], round(row["occurrence_time"] * 1000), row["metric_value"])
        for row in by_sql(text, stamp)
    ]
    assert len(mine) > 5
    mine, theirs = sorted(mine), sorted(theirs)
    assert [one[:2] for one in mine] == [one[:2] for one in theirs]
    assert [one[2] for one in mine] == pytest.approx([one[2] for one in theirs])


def iso(time: int) -> str:
    return str(np.datetime64(time, "ms")).replace("T", " ")


def test_patterns_over_lists_hit_when_one_element_does() -> None:
    lists = pa.array([["a1", "b"], [], None, ["c", None, "a2"]], pa.list_(pa.string()))
    assert probe(Check("fields", RAW, "match", "^a"), lists).to_pylist() == [True, False, False, True]


def test_only_the_asked_rows_are_answered() -> None:
    rows = [{"account": name} for name in "abcabc"]
    matcher = BatchMatcher([Check("account", RAW, "eq", "c"), Check("account", RAW, "in", frozenset("ac"))])
    at, which = matcher.hits(Values(table_of(rows), Known()), np.array([2, 3, 4]))
    assert list(zip(at.tolist(), which.tolist(), strict=True)) == [(2, 0), (2, 1), (3, 1)]

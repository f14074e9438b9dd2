"""Records and terms that the tests of rules share: all fields, absent values, letters that fold oddly."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from watchbill.records.columns import Columns, columns_of
from watchbill.records.schema import KINDS, SCHEMA
from watchbill.rules.folder import RuleText
from watchbill.rules.parse import Parsed, parse_rules
from watchbill.rules.taxonomy import KNOWN
from watchbill.rules.values import Fact, Known

T0 = 1_780_000_000_000
WORDS = ["", "a", "A", "ab", "Desk-1", "desk-1", "DESK", "straße", "STRASSE", "Σίσυφος", "ς", "İ", "中文原因", "x\ny", "a.b*c?", "10.2.3.4", "::ffff:10.2.3.4", "12", "-3.5", "nan", "1e999", "%", "\\", "'", '"']  # fmt: skip
TEXTS = ("account", "device", "app", "reason", "ip")


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    """Canonical records of rows that name only what matters."""
    base = {"source": "s", "received": None}
    full = [
        {**base, "id": f"i{n}", "time": T0 + n, "arrival": T0 + n, "kind": "view", **row} for n, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(full, schema=SCHEMA)


def columns(rows: list[dict[str, Any]], first_seq: int = 0) -> Columns:
    return columns_of(table_of(rows), first_seq)


def known(rows: list[dict[str, Any]]) -> Known:
    """What the engine knows, taken from the rows themselves (`role`, `hour` ...)."""
    return Known(made={name: fact([row.get(name) for row in rows], kind) for name, kind in KNOWN.items()})


def fact(values: list[Any], kind: str) -> Fact:
    absent = np.array([value is None for value in values], np.bool_)
    if kind == "text":
        names = sorted({value for value in values if value is not None} | {""})
        return Fact(np.array([names.index(value or "") for value in values], np.int64), absent, names)
    return Fact(np.array([value or 0 for value in values], np.float64 if kind == "number" else np.bool_), absent)


def parsed(text: str) -> Parsed:
    return parse_rules([RuleText("r.yml", text)])


def rule(detection: str, service: str = "lookup", more: str = "") -> str:
    """A rule's text from its detection, each line as it stands under `detection:`."""
    body = "\n".join(f"  {line}" for line in detection.strip().splitlines())
    return f"title: t\nlogsource: {{product: watchbill, service: {service}}}\ndetection:\n{body}\n{more}\n"


words = st.one_of(st.sampled_from(WORDS), st.text(st.characters(exclude_categories=["Cs"]), max_size=4))


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    maybe = st.none() | words
    row: dict[str, Any] = {name: draw(maybe) for name in TEXTS}
    row["kind"] = draw(st.sampled_from(KINDS))
    row["results"] = draw(st.none() | st.integers(-5, 5))
    row["page"] = draw(st.none() | st.integers(-5, 5))
    row["masked"] = draw(st.none() | st.booleans())
    row["outcome"] = draw(st.none() | st.sampled_from(["success", "failure"]))
    row["fields"] = draw(st.none() | st.lists(words, max_size=3))
    extra = draw(st.none() | st.dictionaries(st.sampled_from(["n", "t"]), words | st.integers(-3, 3), max_size=2))
    row["extra"] = None if extra is None else json.dumps(extra)
    row["hour"] = draw(st.none() | st.integers(0, 23))
    row["role"] = draw(st.none() | st.sampled_from(["courier", "it"]))
    row["explained"] = draw(st.none() | st.booleans())
    return row


def only(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what only the engine knows."""
    return {name: value for name, value in row.items() if name not in KNOWN}

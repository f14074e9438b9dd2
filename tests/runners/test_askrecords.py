"""Asks and decisions as records: valid under the contract, the same as Arrow would make them, saying what was shown."""

from __future__ import annotations

import json

import pyarrow as pa

from watchbill.records.schema import SCHEMA
from watchbill.records.validate import check
from watchbill.responses.asks import Ask, Decided
from watchbill.runners.askrecords import decision_of, look_of, looks_of, table_of

NOW = 1_760_000_000_000
FULL = Ask(
    "q", "a1", "search", "d1", "10.0.0.1", "s1", "desk", "W1", ("p1", "p2"), ("recipient.phone",), "T1", "why", 3, 1
)


def test_rows_are_what_arrow_makes_of_them() -> None:
    rows = [look_of(FULL, "i1", "desk", NOW), look_of(Ask("r", "a2"), "i2", "desk", NOW)]
    assert table_of(rows).equals(pa.Table.from_pylist(rows, schema=SCHEMA))


def test_a_look_that_was_asked_about_keeps_the_contract() -> None:
    batch = looks_of([look_of(FULL, "i1", "desk", NOW), look_of(Ask("r", "", device="d9"), "i2", "desk", NOW)])
    assert check(batch.table) == {}
    first = batch.table.to_pylist()[0]
    assert (first["kind"], first["subjects"], first["results"], first["decision"]) == ("search", ["p1", "p2"], 3, "i1")
    assert json.loads(first["extra"]) == {"caller": "desk", "request": "q"}


def test_a_decision_says_what_was_shown_in_plain() -> None:
    look = look_of(FULL, "i1", "desk", NOW)
    shown = decision_of(look, Decided("i1", "allow", {"recipient.phone": "plain", "recipient.id_number": "hidden"}), {})
    assert (shown["fields"], shown["masked"], shown["outcome"]) == (["recipient.phone"], False, "success")
    hidden = decision_of(look, Decided("i1", "mask", {"recipient.phone": "masked"}, until=5, why="bound"), {"more": 1})
    assert (hidden["fields"], hidden["masked"], hidden["outcome"]) == (None, True, "success")
    assert json.loads(hidden["extra"]) == {
        "id": "i1", "decision": "mask", "step": "none", "levels": {"recipient.phone": "masked"}, "until": 5, "why": "bound",
        "more": 1,
    }  # fmt: skip
    denied = decision_of(look, Decided("i1", "deny", step="suspend"), {})
    assert (denied["fields"], denied["masked"], denied["outcome"], denied["subjects"]) == (
        None,
        True,
        "denied",
        ["p1", "p2"],
    )

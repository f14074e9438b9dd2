"""The shapes that kernels share: their sizes are memory an account, and their names are the columns' own."""

from __future__ import annotations

from dataclasses import fields

from watchbill.context.facts import COVERS, DESK, FACT, WAITING
from watchbill.records.columns import Columns


def test_a_desk_holds_its_covers_and_stays_small() -> None:
    assert {DESK[name].shape for name in ("cover_outlet", "cover_since", "cover_until")} == {(COVERS,)}
    assert DESK.itemsize <= 64
    assert WAITING.itemsize <= 64


def test_facts_are_columns_and_what_the_context_adds() -> None:
    columns = {field.name for field in fields(Columns)}
    added = {
        "account_id",
        "assignee_id",
        "outlet_id",
        "place",
        "day",
        "hour",
        "weight",
        "decided",
        "subject_end",
        "address",
        "what",
        "lone",
    }
    assert set(FACT.names or ()) - columns == added

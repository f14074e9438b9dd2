from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.samples import known, only, records, table_of
from watchbill.rules import values as module
from watchbill.rules.terms import FOLD, NUM, RAW
from watchbill.rules.values import Known, Values

SLOTS = [
    ("account", RAW), ("reason", FOLD), ("fields", FOLD), ("fields", RAW), ("results", NUM), ("masked", RAW), ("outcome", FOLD),
    ("extra.n", NUM), ("extra.t", FOLD), ("hour", NUM), ("role", FOLD), ("explained", RAW), ("place", RAW), ("time", NUM),
]  # fmt: skip


@given(st.lists(records(), min_size=1, max_size=8))
def test_columns_and_rows_hold_the_same(rows: list[dict[str, Any]]) -> None:
    table, facts = table_of([only(row) for row in rows]), known(rows)
    every = np.arange(len(rows))
    few = Values(table, facts).take(SLOTS, every)
    values = Values(table, facts)
    by_columns = list(zip(*(values.column(slot).to_pylist() for slot in SLOTS), strict=True))
    assert few == by_columns


def test_many_rows_are_taken_by_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of([{"account": f"A{i}"} for i in range(50)])
    wanted = [(f"a{i}",) for i in range(50)]
    assert Values(table, Known()).take([("account", FOLD)], np.arange(50)) == wanted
    monkeypatch.setattr(module, "_FEW", 100)
    assert Values(table, Known()).take([("account", FOLD)], np.arange(50)) == wanted


def test_the_contracts_defaults_hold_for_looks_only() -> None:
    table = table_of(
        [{"kind": "view"}, {"kind": "login"}, {"kind": "scan"}, {"kind": "view", "masked": True, "outcome": "denied"}]
    )
    assert Values(table, Known()).take([("masked", RAW), ("outcome", RAW)], np.arange(4)) == [
        (False, "success"), (None, "success"), (None, None), (True, "denied"),
    ]  # fmt: skip


def test_a_fact_that_nobody_knows_is_missing() -> None:
    assert Values(table_of([{}]), Known()).take([("role", RAW), ("hour", NUM)], np.arange(1)) == [(None, None)]
    assert Values(table_of([{}]), Known()).take([], np.arange(1)) == [()]

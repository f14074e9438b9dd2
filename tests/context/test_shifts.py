from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchbill.context.interning import Interner
from watchbill.context.shifts import OFF, ON, UNSAID, shift_at, shifts_of

Tables = Callable[[str, list[dict[str, Any]]], pa.Table]
WEEK = 7 * 86_400_000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    spans=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(1, 9)), max_size=9),
    time=st.integers(-2, 42),
)
def test_on_shift_is_inside_any_span(spans: list[tuple[str, int, int]], time: int, tables: Tables) -> None:
    accounts = Interner("accounts", 9)
    shifts = shifts_of(
        tables("shifts", [{"account": who, "from": at, "until": at + long} for who, at, long in spans]), accounts
    )
    for who in "ab":
        mine = [(at, at + long) for name, at, long in spans if name == who]
        wanted = UNSAID if not mine else ON if any(at <= time < end for at, end in mine) else OFF
        assert shift_at(shifts, accounts.find(who), time) == wanted


def test_a_table_that_ended_a_week_ago_says_nothing(tables: Tables) -> None:
    accounts = Interner("accounts", 9)
    shifts = shifts_of(tables("shifts", [{"account": "a", "from": 0, "until": 10}]), accounts)
    assert shift_at(shifts, 0, 9 + WEEK) == OFF
    assert shift_at(shifts, 0, 10 + WEEK) == UNSAID
    assert shift_at(shifts, 0, -WEEK) == UNSAID
    assert shift_at(shifts, 0, 1 - WEEK) == OFF
    assert shift_at(shifts, -1, 5) == UNSAID
    assert shift_at(shifts, 5, 5) == UNSAID


def test_no_table_says_nothing() -> None:
    assert shift_at(shifts_of(None, Interner("accounts", 9)), 0, 5) == UNSAID

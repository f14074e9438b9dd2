"""A decision confirms the look that it was given for, and no other: whoever makes one up looks like anybody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from watchbill.context.context import Context
from watchbill.context.events import CONFIRM, LOOK
from watchbill.context.given import Given
from watchbill.core.hashing import hash_text
from watchbill.core.settings import LimitSettings, Settings
from watchbill.records.columns import Columns
from watchbill.records.schema import DECIDE_SOURCE

START = 1_750_000_000_000
HOUR = 3_600_000
Events = Callable[..., NDArray[np.void]]


def look(account: str = "a", at: int = START, **more: Any) -> dict[str, Any]:
    return {"time": at, "kind": "view", "account": account, "waybill": "W1", "fields": ["recipient.phone"], **more}


def ask(decision: str, account: str = "a", at: int = START, **more: Any) -> dict[str, Any]:
    return look(account, at, decision=decision, source=DECIDE_SOURCE, **more)


ASKS = [ask("d1"), ask("d2", waybill=None, subjects=["p1"])]


def test_only_the_look_that_the_decision_was_given_for_is_confirmed(events_of: Events) -> None:
    looks = [
        look(decision="d1"),
        look(decision="d1", waybill="W2"),
        look("b", decision="d1"),
        look(decision="no-such"),
        look(waybill=None, subjects=["p1", "p2"], decision="d2"),
        look(waybill=None, subjects=["p2", "p1"], decision="d2"),
        look(at=START + 24 * HOUR, decision="d1"),
        look(waybill="W9"),
    ]
    events = events_of(Context(Settings()), [*ASKS, *looks])
    asked, events = events[:2], events[2:]
    assert (asked["kind"] == LOOK).all()
    assert asked["reveal"].all()
    confirmed = [1, 0, 0, 0, 1, 0, 0, 0]
    assert (events["kind"] == CONFIRM).tolist() == confirmed
    assert (events["reveal"] == 0).tolist() == confirmed
    assert events["weight"].tolist()[0] == events["weight"].tolist()[4] == 0
    assert not events["first"][events["kind"] == CONFIRM].any()


def test_before_any_decision_was_given_every_look_counts(events_of: Events) -> None:
    looks = [look(waybill=f"W{n}", decision=f"d{n}") for n in range(20)]
    assert events_of(Context(Settings()), looks)["reveal"].all()


def test_the_order_of_rows_decides_not_the_batch(events_of: Events) -> None:
    rows = [look(decision="d1"), ask("d1"), look(decision="d1")]
    together = events_of(Context(Settings()), rows)["kind"].tolist()
    context = Context(Settings())
    apart = [int(events_of(context, [row])["kind"][0]) for row in rows]
    assert together == apart == [LOOK, LOOK, CONFIRM]


@pytest.mark.parametrize(("more", "confirms"), [({"masked": True}, True), ({"outcome": "denied"}, True), ({}, False)])
def test_what_was_withheld_and_is_shown_all_the_same_is_an_ordinary_look(
    events_of: Events, columns_of_rows: Callable[..., Columns], more: dict[str, Any], confirms: bool
) -> None:
    context = Context(Settings())
    events_of(context, ASKS)
    asked = columns_of_rows(ASKS)
    context.given.withhold(asked, asked.account, np.array([0]))
    kinds = events_of(context, [look(decision="d1", **more), look(waybill=None, subjects=["p1"], decision="d2")])[
        "kind"
    ]
    assert kinds.tolist() == [CONFIRM if confirms else LOOK, CONFIRM]


def test_it_outlives_a_snapshot(events_of: Events) -> None:
    first, second = Context(Settings()), Context(Settings())
    events_of(first, ASKS)
    second.restore(first.snapshot())
    assert events_of(second, [look(decision="d1"), look(decision="d3", waybill="W3")])["reveal"].tolist() == [0, 1]


def test_it_is_bounded_and_the_oldest_go_first(columns_of_rows: Callable[..., Columns]) -> None:
    given = Given(6)
    for begin in range(0, 12, 2):  # in twos, so that one batch crosses the rim
        asked = columns_of_rows([ask(f"d{n}", waybill=f"W{n}") for n in (begin, begin + 1)])
        given.settle(asked, asked.account)
        assert given.young.count + given.old.count <= 6
    logs = columns_of_rows([look(decision=f"d{n}", waybill=f"W{n}") for n in range(12)])
    assert given.settle(logs, logs.account).tolist() == [n >= 6 for n in range(12)]


def test_none_are_kept_where_settings_say_so(events_of: Events) -> None:
    none = Context(Settings(limits=LimitSettings(decisions_max=0)))
    events_of(none, ASKS)
    assert events_of(none, [look(decision="d1")])["kind"].tolist() == [LOOK]
    assert hash_text("d1") != 0

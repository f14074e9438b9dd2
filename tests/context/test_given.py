"""A decision confirms the look that it was given for, and no other: whoever makes one up looks like anybody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchbill.context.context import Context
from watchbill.context.given import Given
from watchbill.core.hashing import hash_text
from watchbill.core.settings import LimitSettings, Settings

START = 1_750_000_000_000
HOUR = 3_600_000
Events = Callable[..., NDArray[np.void]]


def look(account: str = "a", at: int = START, **more: Any) -> dict[str, Any]:
    return {"time": at, "kind": "view", "account": account, "waybill": "W1", "fields": ["recipient.phone"], **more}


def hashed(text: str) -> np.uint64:
    return np.uint64(hash_text(text))


def context() -> Context:
    made = Context(Settings())
    made.given.give(hashed("d1"), hashed("a"), hashed("W1"), START, START + HOUR)
    made.given.give(hashed("d2"), hashed("a"), hashed("p1"), START, START + HOUR)
    return made


def test_only_the_look_that_the_decision_was_given_for_is_confirmed(events_of: Events) -> None:
    looks = [
        look(decision="d1"),
        look(decision="d1", waybill="W2"),
        look("b", decision="d1"),
        look(decision="no-such"),
        look(waybill=None, subjects=["p1", "p2"], decision="d2"),
        look(waybill=None, subjects=["p2", "p1"], decision="d2"),
        look(at=START + HOUR, decision="d1"),
        look(waybill="W9"),
    ]
    events = events_of(context(), looks)
    assert events["reveal"].tolist() == [0, 1, 1, 1, 0, 1, 1, 1]
    assert events["weight"].tolist() == [0, 1, 1, 1, 0, 2, 0, 1]  # shown before, by look four


def test_before_any_decision_was_given_every_look_counts(events_of: Events) -> None:
    looks = [look(waybill=f"W{n}", decision=f"d{n}") for n in range(20)]
    assert events_of(Context(Settings()), looks)["reveal"].all()


def test_it_outlives_a_snapshot(events_of: Events) -> None:
    second = Context(Settings())
    second.restore(context().snapshot())
    assert events_of(second, [look(decision="d1"), look(decision="d3", waybill="W3")])["reveal"].tolist() == [0, 1]


def test_the_table_is_bounded_and_what_is_over_goes_first() -> None:
    given = Given(2)
    for number in range(3):
        given.give(hashed(f"d{number}"), hashed("a"), hashed("W"), START, START + HOUR)
    assert (given.spans.count, given.left_out) == (2, 1)
    given.give(hashed("later"), hashed("a"), hashed("W"), START + 2 * HOUR, START + 3 * HOUR)
    assert (given.spans.count, given.left_out) == (1, 1)
    none = Context(Settings(limits=LimitSettings(decisions_max=0)))
    none.given.give(hashed("d"), hashed("a"), hashed("W"), START, START + HOUR)
    assert none.given.spans.count == 0

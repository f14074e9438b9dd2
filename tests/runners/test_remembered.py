"""Answers given lately: the same again, bounded, withdrawn, and the same after a restart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.responses.masks import DEFAULT_MATRIX
from watchbill.responses.policy import ALLOW, DENY, DO_ASK, DO_MASK, DO_STEP_UP, MASK, STEP_UP
from watchbill.runners.remembered import Remembered, why_of

ROLES = ["courier", "hub"]
FIELDS = ("recipient.phone", "recipient.id_number")


def identity(number: int) -> str:
    return f"{number:032x}"


def test_levels_follow_role_and_decision() -> None:
    held = Remembered(8)
    held.put(identity(1), ALLOW, 1, 0, 0)
    held.put(identity(2), DO_MASK, 0, MASK, 7)
    first, second = (held.answer(identity(n), FIELDS, ROLES, DEFAULT_MATRIX) for n in (1, 2))
    assert first is not None
    assert second is not None
    assert first.levels == {"recipient.phone": "masked", "recipient.id_number": "hidden"}
    assert (second.levels["recipient.phone"], second.until, second.why) == ("masked", 7, "bound")
    assert held.answer(identity(3), FIELDS, ROLES, DEFAULT_MATRIX) is None


def test_what_was_withdrawn_shows_nothing() -> None:
    held = Remembered(8)
    held.put(identity(1), ALLOW, 0, 0, 0)
    held.withdraw(identity(1))
    held.withdraw(identity(2))
    answer = held.answer(identity(1), FIELDS, ROLES, DEFAULT_MATRIX)
    assert answer is not None
    assert not answer.reveals
    assert answer.why == "late"


@pytest.mark.parametrize(
    ("decision", "step", "why"),
    [
        (ALLOW, 0, ""),
        (DO_MASK, 0, "bound"),
        (DO_ASK, 2, "no_reason"),
        (DO_STEP_UP, STEP_UP, "standing"),
        (DENY, 6, "standing"),
    ],
)
def test_why(decision: int, step: int, why: str) -> None:
    from watchbill.runners.remembered import WHYS

    assert WHYS[why_of(decision, step)] == why


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 12), st.integers(1, 12))
def test_the_newest_are_held_and_outlive_a_restart(numbers: list[int], most: int, again: int) -> None:
    held = Remembered(most)
    for number in numbers:
        if identity(number) not in held:
            held.put(identity(number), number % 5, 0, 0, number)
    assert len(held) <= most
    saved = held.snapshot()
    other = Remembered(again)
    other.restore(saved["rows"], saved["next"])
    newest = [n for n in range(31) if identity(n) in held]
    assert len(other) == min(len(held), again)
    for number in newest:
        if identity(number) in other:
            assert other.answer(identity(number), FIELDS, ROLES, DEFAULT_MATRIX) == held.answer(
                identity(number), FIELDS, ROLES, DEFAULT_MATRIX
            )
    if again >= most:
        assert all(identity(n) in other for n in newest)

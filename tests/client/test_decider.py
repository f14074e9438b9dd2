from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from watchbill.client.decider import AsyncDecider, Awaited, Decider, InProcess
from watchbill.responses.asks import Ask, Decided

ASKS = [Ask(f"r{n}", "a", waybill="W", fields=("recipient.phone",)) for n in range(3)]


def decide(asks: Sequence[Ask]) -> list[Decided]:
    return [Decided(f"d-{ask.request}", "allow") for ask in asks]


def test_a_function_of_this_process_decides_waited_for_or_not() -> None:
    decider: Decider = InProcess(decide)
    awaited: AsyncDecider = Awaited(decider)
    assert [one.id for one in decider.decide(ASKS)] == ["d-r0", "d-r1", "d-r2"]
    assert asyncio.run(awaited.decide(ASKS)) == decider.decide(ASKS)


def broken(_asks: Sequence[Ask]) -> list[Decided]:
    raise RuntimeError("down")


@pytest.mark.parametrize(
    "function", [broken, lambda _: [], lambda asks: decide(asks)[:1], lambda asks: [*decide(asks), *decide(asks)]]
)
def test_what_fails_or_answers_to_something_else_reveals_nothing(function: object) -> None:
    found = InProcess(function).decide(ASKS)  # type: ignore[arg-type]
    assert [one.decision for one in found] == ["mask"] * 3
    assert not any(one.reveals for one in found)

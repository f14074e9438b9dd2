"""What middleware asks: somebody who decides, over HTTP or in the same process, waited for or not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from watchbill.responses.asks import Ask, Decided, closed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Decider(Protocol):
    """Decides at once; never raises for an outage, and gives one answer for each question, in order."""

    def decide(self, asks: Sequence[Ask]) -> list[Decided]:
        """The decisions."""
        ...


class AsyncDecider(Protocol):
    """The same, awaited."""

    async def decide(self, asks: Sequence[Ask]) -> list[Decided]:
        """The decisions."""
        ...


class InProcess:
    """A `Decider` over a function of the same process (an engine, a test); whatever it raises reveals nothing."""

    def __init__(self, function: Callable[[Sequence[Ask]], Sequence[Decided]]) -> None:
        self._function = function

    def decide(self, asks: Sequence[Ask]) -> list[Decided]:
        """The function's decisions, or masked ones where it fails."""
        try:
            found = list(self._function(asks))
        except Exception:  # noqa: BLE001 - whatever went wrong inside, the caller goes on with masked values
            found = []
        return found if len(found) == len(asks) else [closed(ask, "", "unavailable") for ask in asks]


class Awaited:
    """An `AsyncDecider` over a blocking one, in a thread of its own."""

    def __init__(self, decider: Decider) -> None:
        self._decider = decider

    async def decide(self, asks: Sequence[Ask]) -> list[Decided]:
        """The same decisions, without holding up the event loop."""
        return await asyncio.to_thread(self._decider.decide, asks)

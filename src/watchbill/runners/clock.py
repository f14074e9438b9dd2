"""The only clock of the engine: passed in, so that a test can hold it and a replay never asks it."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What a runner asks about time."""

    def now_ms(self) -> int:
        """Epoch milliseconds."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Epoch milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class ManualClock:
    """A clock that a test moves; sleeping moves it too."""

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Epoch milliseconds."""
        return self._now_ms

    def monotonic(self) -> float:
        """Seconds since the epoch of this clock."""
        return self._now_ms / 1000

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self._now_ms += int(seconds * 1000)

"""A circuit breaker: after so many failures in a row nothing is asked for a while, then one question tries.

Closed: all may ask. Open: nobody, until its time is over. Half open: one may ask; it closes or opens the breaker again,
each time for twice as long, up to a limit. Beside it a hold: the time that Watchbill itself asked to be left alone (429).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

State = Literal["closed", "open", "half_open"]


class Breaker:
    """Used from any thread. Each `allow()` that said yes is followed by one of `worked`, `failed`, `abandoned`."""

    def __init__(
        self, failures_to_open: int, open_seconds: float, open_seconds_max: float, clock: Callable[[], float]
    ) -> None:
        self._limit, self._clock = failures_to_open, clock
        self._first, self._most = open_seconds, max(open_seconds, open_seconds_max)
        self._lock = threading.Lock()
        self._failures = 0
        self._seconds = open_seconds
        self._opened: float | None = None  # when it opened; None = closed
        self._probing = False
        self._held_until = float("-inf")

    @property
    def state(self) -> State:
        """As of now."""
        with self._lock:
            return self._state()

    def _state(self) -> State:
        if self._opened is None:
            return "closed"
        return "half_open" if self._clock() - self._opened >= self._seconds else "open"

    def allow(self) -> bool:
        """Whether a question may be sent now."""
        with self._lock:
            if self._clock() < self._held_until:
                return False
            state = self._state()
            if state == "closed":
                return True
            if state == "open" or self._probing:
                return False
            self._probing = True
            return True

    def worked(self) -> None:
        """An answer came."""
        with self._lock:
            self._failures, self._seconds = 0, self._first
            self._opened, self._probing = None, False

    def failed(self) -> None:
        """No answer came, or one that says that it cannot."""
        with self._lock:
            self._failures += 1
            if self._opened is not None:
                if self._probing:  # the try failed; a straggler from before it opened changes nothing
                    self._seconds = min(self._seconds * 2, self._most)
                    self._opened, self._probing = self._clock(), False
            elif self._failures >= self._limit:
                self._opened = self._clock()

    def abandoned(self) -> None:
        """The asker went away before anything was known."""
        with self._lock:
            self._probing = False

    def hold(self, seconds: float) -> None:
        """Ask nothing for so long, at most the longest opening."""
        with self._lock:
            self._held_until = max(self._held_until, self._clock() + min(max(0.0, seconds), self._most))

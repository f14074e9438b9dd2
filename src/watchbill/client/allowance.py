"""The emergency token bucket: how many plain looks each account may still have while no answer comes.

Bounded in accounts: when the table is full of accounts that used theirs, further accounts get nothing. An account is
forgotten only when its bucket is full again, so that nobody gains by crowding others out.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Allowance:
    """`most` tokens an account at once, one more each `refill_seconds`."""

    def __init__(self, most: int, refill_seconds: float, accounts_max: int, clock: Callable[[], float]) -> None:
        self._most, self._refill, self._accounts_max, self._clock = most, refill_seconds, accounts_max, clock
        self._used: dict[str, tuple[float, float]] = {}  # account -> (tokens used, when that was so)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._used)

    def take(self, account: str, tokens: int) -> bool:
        """Take so many tokens, or none at all."""
        if tokens < 1 or tokens > self._most:
            return False
        with self._lock:
            now = self._clock()
            used = self._now(account, now)
            if used + tokens > self._most:
                return False
            if account not in self._used and len(self._used) >= self._accounts_max:
                self._forget(now)
                if len(self._used) >= self._accounts_max:
                    return False
            self._used[account] = (used + tokens, now)
            return True

    def give_back(self, account: str, tokens: int) -> None:
        """The look was not given after all."""
        with self._lock:
            now = self._clock()
            self._used[account] = (max(0.0, self._now(account, now) - tokens), now)

    def _now(self, account: str, now: float) -> float:
        used, since = self._used.get(account, (0.0, now))
        return max(0.0, used - max(0.0, now - since) / self._refill)

    def _forget(self, now: float) -> None:
        self._used = {name: kept for name, kept in self._used.items() if self._now(name, now) > 0}

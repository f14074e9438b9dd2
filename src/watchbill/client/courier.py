"""Carries spooled looks to Watchbill in the background, as soon as somebody takes them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchbill.client.spool import Post, Spool

_JOIN_SECONDS = 2.0


class Courier:
    """One thread, alive only while something waits."""

    def __init__(self, spool: Spool, post: Callable[[bytes], Post], every_seconds: float) -> None:
        self._spool, self._post, self._every = spool, post, every_seconds
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Begin to deliver, when there is anything and nobody does so yet."""
        with self._lock:
            alive = self._thread is not None and self._thread.is_alive()
            if alive or self._stop.is_set() or not self._spool.waiting():
                return
            self._thread = threading.Thread(target=self._run, name="watchbill-courier", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop; what was not taken waits on disk."""
        self._stop.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            self._spool.deliver(self._post)
            with self._lock:
                if not self._spool.waiting():
                    self._thread = None
                    return

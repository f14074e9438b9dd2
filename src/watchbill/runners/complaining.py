"""The running attribution of complaints beside a live engine: a child process at low priority, once an interval, one at a time.

What it finds stands in the home's diary of complaints (`watchbill complaints`); it never writes the ledger, and its end, however it
comes, stops nothing.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

MODULE: Final = "watchbill.inquiry.complaints"
SAID_MAX: Final = 300


class Complaining:
    """Starts the child when it is due. `turn` is called often and never waits.

    Args:
        seconds: from one start to the next. now: the monotonic clock at the beginning; the first child comes one interval later.
    """

    def __init__(self, home: Path, seconds: float, now: float) -> None:
        self.home, self.seconds = home, seconds
        self._due = now + seconds
        self._child: subprocess.Popen[str] | None = None

    def turn(self, now: float, wall_ms: int) -> str:
        """Look after the child; what to tell the operator, "" when nothing."""
        said = self._ended()
        if self._child is None and now >= self._due:
            self._due = now + self.seconds
            command = [sys.executable, "-m", MODULE, str(self.home), str(wall_ms)]
            try:
                self._child = subprocess.Popen(  # noqa: S603  our own interpreter and module
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
                )  # fmt: skip
            except OSError as error:
                return f"complaints could not be looked at ({error.strerror})"
        return said

    def end(self) -> None:
        """End the child, which leaves nothing half done: what it was asked for it is asked for again."""
        if self._child is not None:
            self._child.terminate()
            self._child.communicate()
            self._child = None

    def _ended(self) -> str:
        if self._child is None or self._child.poll() is None:
            return ""
        child, self._child = self._child, None
        _, said = child.communicate()
        if child.returncode == 0:
            return ""
        return f"complaints could not be looked at: {' '.join(said.split())[:SAID_MAX]}"

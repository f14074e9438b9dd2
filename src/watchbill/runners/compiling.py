"""Tells when kernels are being compiled, which happens once after an installation and would else look like a hang."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from numba.core import event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_COMPILE: Final = "numba:compile"
_numba: Any = event  # numba's functions have no types


class _Ear(event.Listener):
    """Counts compilations; those from the cache on disk make no event."""

    def __init__(self, tell: Callable[[int, int], None]) -> None:
        self.tell = tell
        self.done = 0

    def on_start(self, event: Any) -> None:  # noqa: ANN401 - numba's own event
        """A kernel is about to be compiled."""
        del event
        self.tell(self.done, max(kernels_loaded(), self.done + 1))

    def on_end(self, event: Any) -> None:  # noqa: ANN401 - numba's own event
        """A kernel is compiled."""
        del event
        self.done += 1


def kernels_loaded() -> int:
    """Kernels in the modules that are loaded: about how many compilations a first run needs."""
    found: set[int] = set()
    for name, module in list(sys.modules.items()):
        if name.startswith("watchbill."):
            found |= {id(value) for value in vars(module).values() if hasattr(value, "py_func")}
    return len(found)


@contextmanager
def compiling(tell: Callable[[int, int], None]) -> Iterator[None]:
    """While inside, `tell(done, about)` is called at the start of each compilation; never when all come from the cache."""
    ear = _Ear(tell)
    _numba.register(_COMPILE, ear)
    try:
        yield
    finally:
        _numba.unregister(_COMPILE, ear)

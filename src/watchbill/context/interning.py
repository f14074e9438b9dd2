"""Dense integers for accounts and outlets: the index of every state array; they never reach an output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from watchbill.core.errors import LimitError
from watchbill.core.hashing import hash_text
from watchbill.core.tables import Table64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


class Interner:
    """Names to dense integers in order of first appearance, which no cut of the batches changes.

    Attributes:
        names: the full string of each integer. left_out: mentions of names past the limit since the start.
        hashes: uint64 per integer (a growing array; use `hash_of`).
    """

    __slots__ = ("_hashes", "key", "left_out", "limit", "names", "table", "what")

    def __init__(self, what: str, limit: int, key: Callable[[str], int] = hash_text) -> None:
        self.what = what
        self.limit = limit
        self.key = key
        self.left_out = 0
        self.names: list[str] = []
        self.table = Table64()
        self._hashes = np.zeros(1024, dtype=np.uint64)

    def __len__(self) -> int:
        """Names held."""
        return len(self.names)

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """uint64[n]: the hash of each name."""
        return self._hashes[: len(self.names)]

    def find(self, name: str) -> int:
        """The integer of `name`, -1 when it was never seen."""
        return int(self.table.get(np.array([self.key(name)], dtype=np.uint64))[0])

    def add(self, name: str) -> int:
        """The integer of `name`, given now if it was never seen.

        Raises:
            LimitError: there is no room for another name (a reference table is the operator's own: he is told).
        """
        number = int(self.of(np.array([self.key(name)], dtype=np.uint64), lambda _: name)[0])
        if number < 0:
            raise LimitError(
                f"more than {self.limit} {self.what}", where=f"limits.{self.what}_max",
                todo="raise the limit, or find out who sends made-up names",
            )  # fmt: skip
        return number

    def of(self, hashes: NDArray[np.uint64], name_of: Callable[[int], str]) -> NDArray[np.int32]:
        """Integers of hashed names (-1 for hash 0); new ones are taken in with `name_of(position)`.

        Past the limit new names stay -1 and `left_out` counts them: whoever sends made-up names costs them their
        standing, never the engine its life (a record is journaled before it gets here, so an error would come back at
        every start).
        """
        ids = self.table.get(hashes)
        fresh = np.flatnonzero((ids < 0) & (hashes != 0))
        if fresh.shape[0]:
            _, first = np.unique(hashes[fresh], return_index=True)
            for at in np.sort(first)[: self.limit - len(self.names)]:
                self._take_in(hashes[fresh[at]], name_of(int(fresh[at])))
            ids = self.table.get(hashes)
            self.left_out += int(np.count_nonzero((ids < 0) & (hashes != 0)))
        return ids.astype(np.int32)

    def hash_of(self, numbers: NDArray[np.int32]) -> NDArray[np.uint64]:
        """uint64[n]: the hashes behind dense integers; 0 for negative ones."""
        return np.append(self._hashes[: len(self.names)], np.uint64(0))[np.maximum(numbers, -1)]

    def _take_in(self, key: np.uint64, name: str) -> None:
        number = len(self.names)
        if number >= self._hashes.shape[0]:
            self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
        self._hashes[number] = key
        self.names.append(name)
        self.table.put(np.array([key], dtype=np.uint64), np.array([number], dtype=np.int64))

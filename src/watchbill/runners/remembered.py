"""The answers given lately, by the decision's identifier: a request that is sent again gets the answer that it got.

A ring of a fixed number of rows; the oldest make room. It is state: it stands in the checkpoint, and the journal behind it
brings the rest back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from watchbill.responses.asks import Decided
from watchbill.responses.masks import MASKED, PLAIN, levels
from watchbill.responses.policy import ALLOW, DECISIONS, DO_MASK, STEPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from watchbill.responses.masks import Level

WHYS: Final = ("", "standing", "bound", "no_reason", "unavailable", "refused", "late", "shadow")
ROW: Final = np.dtype(
    [
        ("id", "S32"),
        ("until", np.int64),
        ("decision", np.uint8),
        ("role", np.uint8),
        ("step", np.uint8),
        ("why", np.uint8),
    ]
)
LATE: Final = WHYS.index("late")


def why_of(decision: int, step: int) -> int:
    """Index into WHYS: what led to a decision (indexes as in responses.policy)."""
    if decision == ALLOW:
        return 0
    if decision == DO_MASK:
        return WHYS.index("standing" if step > 1 else "bound")
    return WHYS.index("no_reason" if DECISIONS[decision] == "ask_reason" else "standing")


class Remembered:
    """The last `most` answers."""

    def __init__(self, most: int) -> None:
        self.rows = np.zeros(max(1, most), ROW)
        self.next = 0
        self._at: dict[bytes, int] = {}

    def __len__(self) -> int:
        """Answers held."""
        return len(self._at)

    def put(self, identity: str, decision: int, role: int, step: int, until: int) -> None:
        """Remember an answer (indexes as in responses.policy and Context.roles)."""
        slot, key = self.next, identity.encode()
        gone = bytes(self.rows["id"][slot])
        if gone and self._at.get(gone) == slot:
            del self._at[gone]
        self.rows[slot] = (key, until, decision, role, step, why_of(decision, step))
        self._at[key] = slot
        self.next = (slot + 1) % self.rows.shape[0]

    def __contains__(self, identity: str) -> bool:
        """Whether the answer is still known."""
        return identity.encode() in self._at

    def withdraw(self, identity: str) -> None:
        """The answer came too late for its caller: it showed nothing, and shows nothing when it is asked for again."""
        slot = self._at.get(identity.encode())
        if slot is not None:
            self.rows["decision"][slot], self.rows["why"][slot] = DO_MASK, LATE

    def answer(
        self, identity: str, fields: Iterable[str], roles: list[str], matrix: Mapping[str, Mapping[str, Level]]
    ) -> Decided | None:
        """The answer for these fields, None when it is not known (any more)."""
        slot = self._at.get(identity.encode())
        if slot is None:
            return None
        row = self.rows[slot]
        decision, step = int(row["decision"]), int(row["step"])
        role = roles[int(row["role"])] if row["role"] < len(roles) else "unknown"
        shown = levels(matrix, role, fields, at_least=PLAIN if decision == ALLOW else MASKED)
        return Decided(identity, DECISIONS[decision], shown, STEPS[step], int(row["until"]), why=WHYS[int(row["why"])])

    def snapshot(self) -> dict[str, Any]:
        """Named parts."""
        return {"rows": self.rows.copy(), "next": self.next}

    def restore(self, rows: NDArray[np.void], after: int) -> None:
        """Take over a snapshot of as many rows; of another number the newest that fit."""
        order = np.concatenate([rows[after:], rows[:after]])
        order = order[order["id"] != b""][-self.rows.shape[0] :]
        self.rows[: order.shape[0]] = order
        self.next = order.shape[0] % self.rows.shape[0]
        self._at = {bytes(key): slot for slot, key in enumerate(order["id"].tolist())}

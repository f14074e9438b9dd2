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
        self._at: dict[str, tuple[int, int, int, int, int, int]] = {}
        """Identity -> (slot, decision, role, step, until, why): NumPy's rows are slow to read one by one."""

    def __len__(self) -> int:
        """Answers held."""
        return len(self._at)

    def put(self, identity: str, decision: int, role: int, step: int, until: int) -> None:
        """Remember an answer (indexes as in responses.policy and Context.roles)."""
        slot, why = self.next, why_of(decision, step)
        gone = bytes(self.rows["id"][slot]).decode()
        if gone and self._at.get(gone, (-1,))[0] == slot:
            del self._at[gone]
        self.rows[slot] = (identity.encode(), until, decision, role, step, why)
        self._at[identity] = (slot, decision, role, step, until, why)
        self.next = (slot + 1) % self.rows.shape[0]

    def __contains__(self, identity: str) -> bool:
        """Whether the answer is still known."""
        return identity in self._at

    def withdraw(self, identity: str) -> None:
        """The answer came too late for its caller: it showed nothing, and shows nothing when it is asked for again."""
        held = self._at.get(identity)
        if held is not None:
            slot, _, role, step, until, _ = held
            self.rows["decision"][slot], self.rows["why"][slot] = DO_MASK, LATE
            self._at[identity] = (slot, DO_MASK, role, step, until, LATE)

    def answer(
        self, identity: str, fields: Iterable[str], roles: list[str], matrix: Mapping[str, Mapping[str, Level]]
    ) -> Decided | None:
        """The answer for these fields, None when it is not known (any more)."""
        held = self._at.get(identity)
        if held is None:
            return None
        _, decision, code, step, until, why = held
        role = roles[code] if code < len(roles) else "unknown"
        shown = levels(matrix, role, fields, at_least=PLAIN if decision == ALLOW else MASKED)
        return Decided(identity, DECISIONS[decision], shown, STEPS[step], until, why=WHYS[why])

    def snapshot(self) -> dict[str, Any]:
        """Named parts."""
        return {"rows": self.rows.copy(), "next": self.next}

    def restore(self, rows: NDArray[np.void], after: int) -> None:
        """Take over a snapshot of as many rows; of another number the newest that fit."""
        order = np.concatenate([rows[after:], rows[:after]])
        order = order[order["id"] != b""][-self.rows.shape[0] :]
        self.rows[: order.shape[0]] = order
        self.next = order.shape[0] % self.rows.shape[0]
        self._at = {
            key.decode(): (slot, decision, role, step, until, why)
            for slot, (key, until, decision, role, step, why) in enumerate(order.tolist())
        }

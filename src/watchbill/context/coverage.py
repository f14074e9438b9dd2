"""Coverage gate: where declared reasons explain too few honest looks, they are no ground for a step.

Each account's own share of explained first looks is kept (decayed by day); a group (role x outlet) is judged by the
*median* over its accounts, so that one harvester cannot close the gate for his colleagues, nor open it. Groups with too
few accounts are judged by their role, and where the role has too few by the account's own days before today (which a
harvest that runs today does not touch). What has not been seen yet is closed: no step rests on reasons before they have
shown that they explain; the token bucket then bounds all looks (detectors/bounded_loss.py). Published once a table tick, read until the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from watchbill.context.events import EVENT, LOOK, RETRACT
from watchbill.core.kernel import Row, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.core.settings import GateSettings, ReasonSettings

FEED_GATED: Final = 1
COVERAGE_GATED: Final = 2
HABIT: Final = np.dtype(
    [
        ("explained", np.float32),
        ("looks", np.float32),
        ("past_explained", np.float32),
        ("past_looks", np.float32),
        ("outlet_id", np.int32),
        ("day", np.int32),
        ("role", np.uint8),
        ("lone", np.uint8),  # 1: a device that looks for itself
    ],
    align=True,
)
"""An account's decayed first looks, the same without today's, and the group in which it was last seen."""

CLOSED: Final = 1
OPEN: Final = 2
NEVER: Final = 2
BOTH: Final = 3
STRANGERS: Final = "unknown"
"""The role of accounts that the roster does not hold: people of all roles, so that the others' median says little about one of them.
What a stranger's own past days have shown must say the same (BOTH)."""
_DECAY: Final = np.float32(0.85)
_DAY_LOOKS_MAX: Final = 200.0
_LOOKS_MIN: Final = 5.0


@kernel
def _is_open(
    event: Row, habit: Row, group_open: NDArray[np.uint8], role_said: NDArray[np.uint8], alone: NDArray[np.uint8],
    least: float, share: float,
) -> bool:  # fmt: skip
    """The group's verdict, else the role's, else that of the account's own past days."""
    roles = role_said.shape[0]
    if alone[event.role] == NEVER:
        return False
    said = role_said[event.role]
    at = event.outlet_id * roles + event.role
    if event.outlet_id >= 0 and at < group_open.shape[0] and group_open[at]:
        said = group_open[at]
    if alone[event.role] == BOTH:
        if said != OPEN:
            return False
    elif said or not alone[event.role]:
        return bool(said == OPEN)
    past = habit.past_looks if habit.day == event.day else habit.looks
    explained = habit.past_explained if habit.day == event.day else habit.explained
    return bool(past >= least and explained >= share * past)


@kernel
def _mark(
    events: NDArray[np.void], habits: NDArray[np.void], group_open: NDArray[np.uint8], role_said: NDArray[np.uint8],
    alone: NDArray[np.uint8], least: float, share: float, frozen: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Set the coverage bit of `gated` from the published tables, then learn from the event (of nobody who is frozen)."""
    for i in range(events.shape[0]):
        event = events[i]
        if event.kind == RETRACT or event.account < 0:
            continue
        habit = habits[event.account]
        if habit.role != event.role or habit.outlet_id != event.outlet_id:
            # what it showed in another group says nothing about this one
            habit.explained, habit.looks, habit.past_explained, habit.past_looks = 0.0, 0.0, 0.0, 0.0
            habit.role, habit.outlet_id, habit.lone = event.role, event.outlet_id, event.lone
        if not _is_open(event, habit, group_open, role_said, alone, least, share):
            event.gated |= COVERAGE_GATED
        if event.kind != LOOK or not (event.first and event.reveal) or event.gated & FEED_GATED:
            continue
        if event.account < frozen.shape[0] and frozen[event.account]:
            continue  # a harvest must not shut the gate that it is judged by
        if habit.day != event.day:
            habit.day = event.day
            habit.explained *= _DECAY
            habit.looks *= _DECAY
            habit.past_explained, habit.past_looks = habit.explained, habit.looks
        if habit.looks < _DAY_LOOKS_MAX:
            habit.looks += 1.0
            habit.explained += 1.0 if event.reason > 0 else 0.0


def alone_of(roles: list[str], settings: ReasonSettings) -> NDArray[np.uint8]:
    """uint8[roles]: 1 where an account's own past may open the gate (`Role.alone`), NEVER where nothing may, BOTH for strangers."""
    out = np.zeros(len(roles), np.uint8)
    for code, name in enumerate(roles):
        role = settings.roles.get(name)
        if role is not None:
            out[code] = NEVER if not role.judged else BOTH if name == STRANGERS else int(role.alone)
    return out


class Coverage:
    """State of the gate. `mark` on every batch; `publish` at every table tick."""

    def __init__(self, roles: int, settings: GateSettings, alone: NDArray[np.uint8] | None = None) -> None:
        self.settings = settings
        self.roles = roles
        self.alone = np.ones(roles, np.uint8) if alone is None else alone
        self.habits = np.zeros(0, HABIT)
        self.group_open = np.zeros(0, np.uint8)  # 0 = ask the role, CLOSED, OPEN
        self.role_said = np.zeros(roles, np.uint8)  # 0 = ask the account's own past, CLOSED, OPEN

    def mark(self, events: NDArray[np.void], frozen: NDArray[np.uint8] | None = None) -> None:
        """Set COVERAGE_GATED on looks of closed groups, and learn; EVENT[n] changed in place.

        Args:
            frozen: uint8[accounts]: not 0 = under suspicion, nothing is learned.
        """
        if events.dtype != EVENT:
            raise TypeError("events must be EVENT rows")
        least, share = float(self.settings.coverage_looks_min), float(self.settings.coverage_min)
        none = np.zeros(0, np.uint8) if frozen is None else frozen
        _mark(events, self.habits, self.group_open, self.role_said, self.alone, least, share, none)

    def publish(self, outlets: int, frozen: NDArray[np.uint8] | None = None) -> None:
        """Judge every role and every group by the median of its accounts, without those who are frozen (as in `mark`).

        Devices that look for themselves are judged by their days before today: malware comes to most handsets of an outlet at
        once and would shut the gate that it is judged by, and what explains them are scans alone, whose silence has a gate of its own.
        """
        habits = self.habits.copy()
        lone = habits["lone"] == 1
        habits["looks"][lone], habits["explained"][lone] = habits["past_looks"][lone], habits["past_explained"][lone]
        free = habits["looks"] >= _LOOKS_MIN
        if frozen is not None:
            held = np.flatnonzero(frozen[: free.shape[0]])
            free[held] = False
        some = habits[free]
        share = some["explained"] / some["looks"]
        role = some["role"].astype(np.int64)
        self.role_said = self._judge(role, share, some["looks"], self.roles)
        inside = some["outlet_id"] >= 0
        group = some["outlet_id"][inside].astype(np.int64) * self.roles + role[inside]
        self.group_open = self._judge(group, share[inside], some["looks"][inside], outlets * self.roles)

    def _judge(
        self, group: NDArray[np.int64], share: NDArray[np.float32], looks: NDArray[np.float32], size: int
    ) -> NDArray[np.uint8]:
        """uint8[size]: 2 where the median share of enough accounts reaches the limit, 1 where not, 0 = cannot say."""
        out = np.zeros(size, np.uint8)
        if group.shape[0] == 0:
            return out
        order = np.lexsort((share, group))
        ordered = group[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        counts = np.diff(np.append(starts, ordered.shape[0]))
        median = share[order][starts + (counts - 1) // 2]
        total = np.add.reduceat(looks[order], starts)
        enough = (counts >= self.settings.coverage_accounts_min) & (total >= self.settings.coverage_looks_min)
        verdict = np.where(median >= self.settings.coverage_min, 2, 1).astype(np.uint8)
        out[ordered[starts][enough]] = verdict[enough]
        return out

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Named arrays."""
        return {"habits": self.habits.copy(), "group_open": self.group_open, "role_said": self.role_said}

    def restore(self, saved: dict[str, NDArray[Any]]) -> None:
        """The inverse of `snapshot`."""
        self.habits = saved["habits"].copy()
        self.group_open, self.role_said = saved["group_open"].astype(np.uint8), saved["role_said"].astype(np.uint8)

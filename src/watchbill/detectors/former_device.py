"""A leaver's things. Catches: a device or home line that was a leaver's alone, turning up on other accounts after the end.

Misses: leavers who were never ended in the roster, things that the leaver used for less than two days, and a registered handset
that goes to one colleague or a new hire of the same outlet: that is how handsets are handed on.

The bet: an account meets a leaver's thing in a week with chance at most P (by what thing it is and where it turns up).
What the account then looks at through it multiplies that: a mixture of one half and the ratio of its looks without a
reason (`core.evidence`). The thing's holder is whoever used it first and on two days; a register's shared machines have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from watchbill.context.events import LOGIN, LOOK, RETRACT
from watchbill.core.evidence import look_ratio
from watchbill.core.hashing import combine
from watchbill.core.kernel import Row, kernel
from watchbill.core.members import Cells, cell_of
from watchbill.detectors.base import DetectorBase, Example, Surroundings
from watchbill.detectors.kernels import NATS_MAX, example_looks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.core.settings import Settings

ROW: Final = np.dtype(
    [
        ("until", np.int64),
        ("machine", np.uint64),  # device and line of its newest look, and what they are to it
        ("line", np.uint64),
        ("nats_machine", np.float32),
        ("nats_line", np.float32),
        ("nats", np.float32),  # held
        ("n", np.float32),
        ("k", np.float32),
        ("day", np.int32),
        ("tick", np.int32),  # publication at which `nats_machine` and `nats_line` were read
    ],
    align=True,
)
THING: Final = np.dtype(
    [
        ("key", np.uint64), ("last", np.int64), ("account", np.int32), ("outlet", np.int32), ("day", np.int32),
        ("days", np.int32), ("line", np.uint8),
    ],
    align=True,
)  # fmt: skip
"""A device or line and its holder; `last`: the holder's last use."""
VISIT: Final = np.dtype(
    [("key", np.uint64), ("last", np.int64), ("thing", np.uint64), ("account", np.int32)], align=True
)
"""An account that met a leaver's thing."""
THINGS_MAX: Final = 1 << 20
KEEP_MS: Final = 60 * 86_400_000
VISIT_MS: Final = 7 * 86_400_000
HOLD_MS: Final = 86_400_000
STAKE_ONCE: Final = 0.1
P_MEET: Final = np.array([[0.0, 1e-3], [1e-3, 3e-4], [5e-3, 5e-3]])
"""By thing (registered handset, unregistered device, home line) and place (holder's outlet, another); 0 = no bet."""
P_SEVERAL: Final = np.array([2e-3, 1e-4, 1e-3])
"""That several other accounts meet it in a week, by thing."""
SEVERAL: Final = 2
DAYS_MIN: Final = 2
NEW_DAYS: Final = 30
PARDONS_MAX: Final = 100_000
_BROADBAND: Final = 3
_LINE_TAG, _VISIT_TAG = 50, 51
_HANDSET, _SCANNER, _PERSONAL = 2, 3, 5


@kernel
def _register(
    registered: NDArray[np.uint64], kind: NDArray[np.uint8], shared: NDArray[np.uint8], device: np.uint64
) -> int:
    """0 a registered handset of one person, 1 not registered (or personal), -1 a shared machine or one that stays."""
    at = np.searchsorted(registered, device)
    if at >= registered.shape[0] or registered[at] != device:
        return 1
    if shared[at]:
        return -1
    if kind[at] == _PERSONAL:
        return 1
    return 0 if kind[at] == _HANDSET or kind[at] == _SCANNER else -1


@kernel
def _hold(event: Row, key: np.uint64, thing: int, cells: NDArray[np.void], room: NDArray[np.int64]) -> None:
    cell = cells[cell_of(cells, key)]
    if cell.key == np.uint64(0):
        if room[0] <= 0 or event.roster != 0:
            return
        room[0] -= 1
        cell.key, cell.account, cell.outlet, cell.days, cell.day, cell.line = (
            key,
            event.account,
            event.outlet_id,
            0,
            -1,
            thing,
        )
    if cell.account == event.account:
        if event.day > cell.day:
            cell.day, cell.days = event.day, min(cell.days + 1, 10_000)
        cell.last, cell.outlet = max(cell.last, event.arrival), event.outlet_id


@kernel
def _meet(
    event: Row, key: np.uint64, left: NDArray[np.void], visits: NDArray[np.void], room: NDArray[np.int64],
    pardoned: NDArray[np.uint64],
) -> float:  # fmt: skip
    """Nats of the account's using a leaver's thing; 0 where it is none, or its own."""
    at = np.searchsorted(left["key"], key)
    if at >= left.shape[0] or left[at].key != key or left[at].account == event.account or event.time < left[at].end:
        return 0.0
    mark = combine(key, np.uint64(event.account + 1), _VISIT_TAG)
    visit = visits[cell_of(visits, mark)]
    if visit.key == np.uint64(0) and room[1] > 0:
        room[1] -= 1
        visit.key, visit.thing, visit.account = mark, key, event.account
    if visit.key == mark:
        visit.last = event.arrival
    spared = np.searchsorted(pardoned, mark)
    if spared < pardoned.shape[0] and pardoned[spared] == mark:
        return 0.0
    thing = left[at].thing
    p = P_MEET[thing, 0 if event.outlet_id == left[at].outlet else 1]
    if thing == 0 and 0 <= event.tenure_days < NEW_DAYS:
        p = 0.0
    nats = np.log(STAKE_ONCE / p) if p > 0 else 0.0
    if left[at].others >= SEVERAL:
        nats = max(nats, np.log(STAKE_ONCE / P_SEVERAL[thing]))
    return float(max(nats, 0.0))


LEFT: Final = np.dtype(
    [
        ("key", np.uint64), ("end", np.int64), ("account", np.int32), ("outlet", np.int32), ("others", np.int32),
        ("thing", np.uint8),
    ],
    align=True,
)  # fmt: skip
"""What is published: a thing whose holder has left, and how many other accounts met it within a week."""


@kernel
def _observe(
    events: NDArray[np.void], rows: NDArray[np.void], registered: NDArray[np.uint64], kind: NDArray[np.uint8],
    shared: NDArray[np.uint8], place_kind: NDArray[np.uint8], things: NDArray[np.void], left: NDArray[np.void],
    visits: NDArray[np.void], room: NDArray[np.int64], pardoned: NDArray[np.uint64], tick: int, out: NDArray[np.float32],
) -> None:  # fmt: skip
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0:
            continue
        row = rows[event.account]
        if event.kind == RETRACT:
            row.k = max(row.k - np.float32(1), np.float32(0))
        elif (event.kind == LOOK or event.kind == LOGIN) and event.success and not event.lone:
            place = event.place
            home = place >= 0 and place_kind[place] == _BROADBAND and event.address != 0
            line = event.address if home else np.uint64(0)
            fresh = event.day != row.day or row.tick != tick
            if fresh or row.machine != event.device:
                row.machine, row.nats_machine = event.device, 0.0
                thing = _register(registered, kind, shared, event.device) if event.device != 0 else -1
                if thing >= 0:
                    _hold(event, event.device, thing, things, room)
                    row.nats_machine = _meet(event, event.device, left, visits, room, pardoned)
            if fresh or row.line != line:
                row.line, row.nats_line = line, 0.0
                if home:
                    key = combine(line, np.uint64(1), _LINE_TAG)
                    _hold(event, key, 2, things, room)
                    row.nats_line = _meet(event, key, left, visits, room, pardoned)
            if event.day != row.day:
                row.day, row.n, row.k = event.day, 0.0, 0.0
            row.tick = tick
            now = max(row.nats_machine, row.nats_line)
            if now > 0:
                row.nats, row.until = now, event.arrival + HOLD_MS
                if event.kind == LOOK and event.first and event.reveal and not event.gated:
                    row.n = min(row.n + 1.0, 10_000.0)
                    row.k = min(row.k + (1.0 if event.reason == 0 else 0.0), 10_000.0)
        if event.arrival < row.until:
            looks = np.log(0.5 + 0.5 * np.exp(min(look_ratio(row.n, row.k), 40.0))) if row.n > 0 else 0.0
            out[i] = min(max(row.nats + looks, 0.0), float(NATS_MAX))


class Detector(DetectorBase):
    """Other accounts on what was a leaver's."""

    family = "roster"
    needs = ("accounts", "devices")
    row: ClassVar[np.dtype[Any]] = ROW
    text_en = "was used on a device or line that belonged to somebody who has left"
    text_zh = "在已离职人员用过的设备或线路上被使用"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.things, self.visits = Cells(THING, THINGS_MAX), Cells(VISIT, THINGS_MAX)
        self.left: NDArray[np.void] = np.zeros(0, LEFT)
        self.tick = 0
        self.pardoned = np.zeros(0, np.uint64)

    def observe(self, events: NDArray[np.void], around: Surroundings) -> NDArray[np.float32]:
        """See the base class."""
        self.grow(around.accounts)
        out = np.zeros(events.shape[0], np.float32)
        if not self.silent(around):
            self.things.reserve(2 * events.shape[0])
            self.visits.reserve(2 * events.shape[0])
            full = np.array([self.things.limit - self.things.held, self.visits.limit - self.visits.held], np.int64)
            room = full.copy()
            _observe(events, self.rows, around.registered, around.device_kind, around.device_shared, around.place_kind,
                     self.things.cells, self.left, self.visits.cells, room, self.pardoned, self.tick, out)  # fmt: skip
            self.things.held += int(full[0] - room[0])
            self.visits.held += int(full[1] - room[1])
        return out

    def publish(self, arrival: int, around: Surroundings) -> None:
        """Renew whose holders have left; drop things that their holders have not used for sixty days."""
        self.things.forget(arrival - KEEP_MS)
        self.visits.forget(arrival - VISIT_MS)
        things = self.things.living()
        things = things[(things["days"] >= DAYS_MIN) & (things["account"] < around.ends.shape[0])]
        end = around.ends[things["account"]]
        gone = (end > 0) & (end <= arrival)
        things, end = things[gone], end[gone]
        met, others = np.unique(self.visits.living()["thing"], return_counts=True)
        left = np.zeros(things.shape[0], LEFT)
        for name in ("key", "account", "outlet"):
            left[name] = things[name]
        left["thing"], left["end"] = things["line"], end
        if met.shape[0]:
            at = np.minimum(np.searchsorted(met, left["key"]), met.shape[0] - 1)
            left["others"] = np.where(met[at] == left["key"], others[at], 0)
        if not np.array_equal(left, self.left):
            self.left, self.tick = left, self.tick + 1

    def snapshot(self) -> dict[str, NDArray[np.generic]]:
        """Rows, things and their holders, who met them, what was published."""
        return {
            "rows": self.rows.copy(), "things": self.things.living(), "visits": self.visits.living(), "left": self.left.copy(),
            "tick": np.array([self.tick]), "pardoned": self.pardoned,
        }  # fmt: skip

    def restore(self, saved: dict[str, NDArray[np.generic]]) -> None:
        """The inverse of `snapshot`."""
        self.rows = np.asarray(saved["rows"]).copy()
        self.things.restore(np.asarray(saved["things"]))
        self.visits.restore(np.asarray(saved["visits"]))
        self.left, self.tick = np.asarray(saved["left"]).astype(LEFT), int(np.asarray(saved["tick"])[0])
        self.pardoned = np.asarray(saved["pardoned"], np.uint64)

    def forgive(self, account: int) -> None:
        """See the base class; on the things that it met so far it is not accused again."""
        super().forgive(account)
        met = self.visits.cells["key"][(self.visits.cells["account"] == account) & (self.visits.cells["key"] != 0)]
        self.pardoned = np.union1d(self.pardoned, met)[:PARDONS_MAX]

    @classmethod
    def examples(cls) -> list[Example]:
        """A stranger's phone whose holder left, on a colleague's account; the colleague's own phone."""
        held = np.concatenate([example_looks(2, start_day=20_000 + d) for d in range(3)])
        held["account"], held["device"], held["outlet_id"] = ENDED_EXAMPLE, 99, 1
        own = example_looks(4, start_day=20_004)
        own["device"], own["outlet_id"] = 99, 2
        mine = own.copy()
        mine["device"] = 98
        return [
            Example("four looks without a reason on a leaver's phone", own, found=True, before=held),
            Example("the same looks on a phone of its own", mine, found=False, before=held),
        ]


ENDED_EXAMPLE: Final = 11
"""The account of the examples whose post has ended (tests/detectors/test_laws.py)."""

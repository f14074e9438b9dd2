"""Numbers in turn. Catches: accounts of several outlets used one after another on one unregistered device or home line.

Misses: fewer than three outlets, devices and lines changed for each number, numbers used in the same hour (`rings` has
those), and registered, shared, office, carrier (NAT) and VPN ones, where sharing is honest.

Within a week an unregistered device serves accounts of m outlets, with no hour that two of them share: the chance of that at
an honest account's device is taken as P_TWO at m = 2 and a further WORSE for each more. The bet is spread over m = 3, 4 ...,
half as much on each next one. What an account then looks at through the machine multiplies it: a mixture of one half and
the ratio of its looks without a reason (`core.evidence`), the worst day of a person who lends a phone being still honest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from watchbill.context.events import LOGIN, LOOK, RETRACT
from watchbill.core.evidence import look_ratio
from watchbill.core.hashing import combine
from watchbill.core.kernel import Row, kernel
from watchbill.core.members import Cells, cell_of
from watchbill.detectors.base import DetectorBase, Example, Surroundings, robots_of
from watchbill.detectors.kernels import NATS_MAX, example_looks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.core.settings import Settings

ROW: Final = np.dtype(
    [
        ("until", np.int64),
        ("group", np.uint64),  # published group that its looks are counted through
        ("nats", np.float32),
        ("n", np.float32),
        ("k", np.float32),
        ("day", np.int32),
        ("asked", np.int32),  # local day on which `machine` was looked up in the register
        ("machine", np.uint64),
        ("registered", np.uint8),
    ],
    align=True,
)
USE: Final = np.dtype(
    [("key", np.uint64), ("last", np.int64), ("group", np.uint64), ("account", np.int32), ("outlet", np.int32)],
    align=True,
)
"""An account on a device or line; `outlet` as of its last look, -2 where the roster does not hold the account."""
GROUP: Final = np.dtype(
    [("key", np.uint64), ("last", np.int64), ("hour", np.int64), ("shared", np.int64), ("account", np.int32), ("line", np.uint8)],
    align=True,
)  # fmt: skip
"""A device or line: hour (epoch) and account of its last use; `shared`: arrival of the last hour that two accounts shared."""
USES_MAX: Final = 1 << 18
KEEP_MS: Final = 7 * 86_400_000
HOLD_MS: Final = 86_400_000
P_TWO: Final = (1e-3, 1e-2)
WORSE: Final = (0.05, 0.2)
"""Of a device, of a home line: neighbours share lines."""
OUTLETS_MIN: Final = 3
ACCOUNTS_MAX: Final = 40
PARDONS_MAX: Final = 100_000
_HOUR_MS: Final = 3_600_000
_BROADBAND, _DATACENTRE = 3, 4
_USE_TAG: Final = 43
_LINE_TAG: Final = 44


def turn_nats(outlets: int, line: int) -> float:
    """Nats of a week in which a device (line = 0) or home line (1) served so many outlets in turn."""
    if outlets < OUTLETS_MIN:
        return 0.0
    p = P_TWO[line] * WORSE[line] ** (outlets - 2)
    return float(max(0.0, np.log(0.5 ** (outlets - OUTLETS_MIN + 1) / p)))


@kernel
def is_registered(registered: NDArray[np.uint64], device: np.uint64) -> bool:
    """Whether a sorted list holds the device."""
    low, high = 0, registered.shape[0]
    while low < high:
        middle = (low + high) // 2
        if registered[middle] < device:
            low = middle + 1
        else:
            high = middle
    return bool(low < registered.shape[0] and registered[low] == device)


@kernel
def _use(
    event: Row, group: np.uint64, line: int, uses: NDArray[np.void], groups: NDArray[np.void], room: NDArray[np.int64]
) -> None:
    cell = groups[cell_of(groups, group)]
    if cell.key == np.uint64(0):
        if room[0] <= 0:
            return
        room[0] -= 1
        cell.key, cell.account, cell.hour, cell.shared, cell.line = group, event.account, 0, 0, line
    hour = event.time // _HOUR_MS
    if cell.account != event.account and cell.hour == hour:
        cell.shared = event.arrival
    cell.account, cell.hour, cell.last = event.account, hour, event.arrival
    key = combine(group, np.uint64(event.account + 1), _USE_TAG)
    use = uses[cell_of(uses, key)]
    if use.key == np.uint64(0):
        if room[1] <= 0:
            return
        room[1] -= 1
        use.key, use.group, use.account = key, group, event.account
    use.last, use.outlet = event.arrival, event.outlet_id if event.roster == 0 else -2


@kernel
def _read(
    event: Row, row: Row, group: np.uint64, keys: NDArray[np.uint64], nats: NDArray[np.float32],
    pardoned: NDArray[np.uint64],
) -> None:  # fmt: skip
    """The account looks through a group that is published: its evidence, and the looks counted from then on."""
    at = np.searchsorted(keys, group)
    if at >= keys.shape[0] or keys[at] != group:
        return
    if is_registered(pardoned, combine(group, np.uint64(event.account + 1), _USE_TAG)):
        return
    if row.group != group or event.day > row.day:
        row.group, row.day, row.n, row.k = group, event.day, 0.0, 0.0
    if event.kind == LOOK and event.first and event.reveal and not event.gated:
        row.n = min(row.n + 1.0, 10_000.0)
        row.k = min(row.k + (1.0 if event.reason == 0 else 0.0), 10_000.0)
    row.nats, row.until = nats[at], event.arrival + HOLD_MS


@kernel
def _observe(
    events: NDArray[np.void], rows: NDArray[np.void], registered: NDArray[np.uint64], kind: NDArray[np.uint8],
    uses: NDArray[np.void], groups: NDArray[np.void], room: NDArray[np.int64], keys: NDArray[np.uint64],
    nats: NDArray[np.float32], pardoned: NDArray[np.uint64], robots: NDArray[np.uint8], out: NDArray[np.float32],
) -> None:  # fmt: skip
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0 or robots[event.role]:
            continue
        row = rows[event.account]
        if event.kind == RETRACT:
            row.k = max(row.k - np.float32(1), np.float32(0))
        elif (event.kind == LOOK or event.kind == LOGIN) and event.success and not event.lone:
            place = event.place
            if place >= 0 and (kind[place] == _BROADBAND or kind[place] == _DATACENTRE) and event.address != 0:
                line = combine(event.address, np.uint64(1), _LINE_TAG)
                _use(event, line, 1, uses, groups, room)
                _read(event, row, line, keys, nats, pardoned)
            if row.machine != event.device or row.asked != event.day:
                row.machine, row.asked = event.device, event.day
                row.registered = is_registered(registered, event.device)
            if event.device != 0 and not row.registered:
                _use(event, event.device, 0, uses, groups, room)
                _read(event, row, event.device, keys, nats, pardoned)
        if event.arrival < row.until:
            looks = np.log(0.5 + 0.5 * np.exp(min(look_ratio(row.n, row.k), 40.0))) if row.n > 0 else 0.0
            out[i] = min(max(row.nats + looks, 0.0), float(NATS_MAX))


class Detector(DetectorBase):
    """Accounts of several outlets, one after another, on one machine or line that is not the carrier's."""

    family = "graph"
    needs = ("accounts", "devices")
    row: ClassVar[np.dtype[Any]] = ROW
    text_en = "is one of several outlets' accounts used one after another on one device"
    text_zh = "多个网点的账号先后在同一设备上被使用"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.uses, self.groups = Cells(USE, USES_MAX), Cells(GROUP, USES_MAX)
        self.keys, self.nats = np.zeros(0, np.uint64), np.zeros(0, np.float32)
        self.pardoned = np.zeros(0, np.uint64)

    def observe(self, events: NDArray[np.void], around: Surroundings) -> NDArray[np.float32]:
        """See the base class."""
        self.grow(around.accounts)
        out = np.zeros(events.shape[0], np.float32)
        if not self.silent(around):
            self.uses.reserve(2 * events.shape[0])
            self.groups.reserve(2 * events.shape[0])
            full = np.array([self.groups.limit - self.groups.held, self.uses.limit - self.uses.held], np.int64)
            room = full.copy()
            _observe(events, self.rows, around.registered, around.place_kind, self.uses.cells, self.groups.cells, room,
                     self.keys, self.nats, self.pardoned, robots_of(around, self.settings), out)  # fmt: skip
            self.groups.held += int(full[0] - room[0])
            self.uses.held += int(full[1] - room[1])
        return out

    def publish(self, arrival: int, around: Surroundings) -> None:
        """Renew which machines and lines serve several outlets in turn; drop what is unseen for seven days."""
        del around
        self.uses.forget(arrival - KEEP_MS)
        self.groups.forget(arrival - KEEP_MS)
        groups = self.groups.living()
        turned = groups[groups["shared"] < arrival - KEEP_MS]
        uses = self.uses.living()
        uses = uses[np.isin(uses["group"], turned["key"])]
        keys, accounts = np.unique(uses["group"], return_counts=True)
        pairs = np.unique(np.stack([uses["group"], (uses["outlet"].astype(np.int64) + 3).astype(np.uint64)]), axis=1)
        _, outlets = np.unique(pairs[0], return_counts=True)
        line = turned["line"][np.searchsorted(turned["key"], keys)]
        said = [
            turn_nats(m, int(at)) if k <= ACCOUNTS_MAX else 0.0
            for m, k, at in zip(outlets.tolist(), accounts.tolist(), line.tolist(), strict=True)
        ]
        nats = np.array(said, np.float32)
        self.keys, self.nats = keys[nats > 0], nats[nats > 0]

    def snapshot(self) -> dict[str, NDArray[np.generic]]:
        """Rows, machines and who used them, what was published."""
        return {
            "rows": self.rows.copy(), "uses": self.uses.living(), "groups": self.groups.living(), "keys": self.keys,
            "nats": self.nats, "pardoned": self.pardoned,
        }  # fmt: skip

    def restore(self, saved: dict[str, NDArray[np.generic]]) -> None:
        """The inverse of `snapshot`."""
        self.rows = np.asarray(saved["rows"]).copy()
        self.uses.restore(np.asarray(saved["uses"]))
        self.groups.restore(np.asarray(saved["groups"]))
        self.keys, self.nats = np.asarray(saved["keys"], np.uint64), np.asarray(saved["nats"], np.float32)
        self.pardoned = np.asarray(saved["pardoned"], np.uint64)

    def forgive(self, account: int) -> None:
        """See the base class; through what it used so far it is not accused again."""
        super().forgive(account)
        used = self.uses.cells["key"][(self.uses.cells["account"] == account) & (self.uses.cells["key"] != 0)]
        self.pardoned = np.union1d(self.pardoned, used)[:PARDONS_MAX]

    @classmethod
    def examples(cls) -> list[Example]:
        """Numbers of four outlets in turn on a stranger's phone; four colleagues of one outlet on one."""
        turns = np.concatenate([example_looks(3) for _ in range(4)])
        turns["account"], turns["outlet_id"] = np.repeat(np.arange(1, 5), 3), np.repeat(np.arange(4), 3)
        turns["time"] += turns["account"].astype(np.int64) * 3_600_000
        turns["arrival"], turns["device"] = turns["time"], 99
        mates = turns.copy()
        mates["outlet_id"] = 2
        own = example_looks(3)
        own["time"] += 6 * 3_600_000
        own["arrival"], own["device"], own["outlet_id"] = own["time"], 99, 2
        return [
            Example("after numbers of four outlets on the same phone", own, found=True, before=turns),
            Example("after four colleagues of the same outlet on the same phone", own, found=False, before=mates),
        ]

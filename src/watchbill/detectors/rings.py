"""Rings. Catches: accounts of several outlets tied by devices, home lines or adjoining ranges, whose looks lack reasons.

Misses: rings of fewer than three accounts, rings whose looks are all explained, numbers that share neither device nor line
nor range, and sharing that is honest by nature: registered devices, office networks, carrier NAT, VPN, one outlet's people.

An edge weighs the sum over shared devices and lines of 1 / ln(5 + k), k = accounts on it in seven days; only sharing across
outlets, or with an account that the roster does not hold, counts. Lockstep: unexplained looks of two accounts of different
outlets at the same parcels within an hour, SAME_MIN times, or walks through waybill ranges that adjoin without overlap. Components are peeled greedily to their
densest part (FRAUDAR, Hooi 2016), so that a busy line does not tie strangers to a ring. A ring's evidence is that of its members' looks
through what ties them, each bad with chance one half, the worst left out, less the logarithm of the number of components.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from watchbill.context.events import LOOK, RETRACT
from watchbill.core.evidence import all_but_one, look_ratio, next_day
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
        ("now", np.uint64),  # tie through which the account looks, and the one before
        ("before", np.uint64),
        ("until", np.int64),
        ("number", np.int64),  # of its newest look without a reason; `start`: where the running walk began
        ("start", np.int64),
        ("nats", np.float32),
        ("run", np.int32),  # looks of the running walk
        ("walks", np.int32),  # local day on which it was seen walking
        ("asked", np.int32),  # local day on which `machine` was looked up in the register
        ("machine", np.uint64),
        ("registered", np.uint8),
    ],
    align=True,
)
TIE: Final = np.dtype(
    [
        ("key", np.uint64), ("last", np.int64), ("group", np.uint64), ("account", np.int32), ("outlet", np.int32),
        ("day", np.int32), ("n", np.float32), ("k", np.float32), ("past", np.float32), ("kind", np.uint8),
    ],
    align=True,
)  # fmt: skip
"""An account's looks through a group (kind DEVICE or LINE, SELF: once it was seen walking), or a pair of accounts in
lockstep (kind STEP: `n` times beside each other, `k` times at one parcel in one hour)."""
RANGE: Final = np.dtype(
    [("key", np.uint64), ("last", np.int64), ("account", np.int32), ("outlet", np.int32)], align=True
)
"""A block of waybill numbers that somebody walked, or a parcel, and who looked there last without a reason."""
DEVICE, LINE, SELF, STEP = 1, 2, 3, 4
TIES_MAX: Final = 1 << 18
RANGES_MAX: Final = 1 << 20
KEEP_MS: Final = 7 * 86_400_000
RANGE_KEEP_MS: Final = 2 * 86_400_000
HOLD_MS: Final = 86_400_000
BLOCK_BITS: Final = 4
STRIDE_MAX: Final = 16
RUN_MIN: Final = 5
"""A walk: so many looks without a reason, each at most STRIDE_MAX numbers after the last. No honest slip walks."""
SAME_MIN: Final = 3
TOGETHER_MS: Final = 3_600_000
OWN_NATS_MIN: Final = 1.5
"""A member whose own looks through its ties have reasons is left alone."""
OFF_ROSTER: Final = -2
MEMBERS_MIN: Final = 3
NUMBER_MAX: Final = 1 << 60
ACCOUNTS_MAX: Final = 200
"""A line with more accounts than this in a week is a crowd; a component with more is only its ties, unpeeled."""
_BROADBAND, _DATACENTRE = 3, 4
_TIE_TAG, _LINE_TAG, _STEP_TAG, _ITEM_TAG, _SELF_TAG = 45, 46, 47, 48, 49


@kernel
def _claim(cells: NDArray[np.void], key: np.uint64, room: NDArray[np.int64], which: int) -> int:
    """The cell of `key`, made if there is room; -1 if not."""
    at = cell_of(cells, key)
    if cells[at].key == np.uint64(0):
        if room[which] <= 0:
            return -1
        room[which] -= 1
        cells[at].key = key
        cells[at].account = -1
    return at


@kernel
def _through(
    event: Row, row: Row, group: np.uint64, kind: int, ties: NDArray[np.void], room: NDArray[np.int64]
) -> None:
    """Count a look through a device or line."""
    key = combine(group, np.uint64(event.account + 1), _TIE_TAG)
    at = _claim(ties, key, room, 0)
    if at < 0:
        return
    tie = ties[at]
    if tie.account < 0:
        tie.group, tie.account, tie.kind, tie.day = group, event.account, kind, event.day
        tie.n, tie.k, tie.past = 0.0, 0.0, 0.0
    if event.day > tie.day:
        tie.past = next_day(tie.past, tie.n, tie.k)
        tie.n, tie.k, tie.day = 0.0, 0.0, event.day
    tie.last, tie.outlet = event.arrival, event.outlet_id if event.roster == 0 else OFF_ROSTER
    tie.n = min(tie.n + 1.0, 10_000.0)
    tie.k = min(tie.k + (1.0 if event.reason == 0 else 0.0), 10_000.0)
    if row.now != key:
        row.before, row.now = row.now, key


@kernel
def _pair(event: Row, other: int, ties: NDArray[np.void], room: NDArray[np.int64], same: bool) -> None:
    """Two accounts were in lockstep once more."""
    low, high = min(other, event.account), max(other, event.account)
    at = _claim(ties, combine(np.uint64(low + 1), np.uint64(high + 1), _STEP_TAG), room, 0)
    if at < 0:
        return
    pair = ties[at]
    if pair.account < 0:
        pair.group, pair.account, pair.outlet, pair.kind = np.uint64(high), low, -1, STEP
        pair.n, pair.k, pair.past, pair.day = 0.0, 0.0, 0.0, event.day
    pair.last = event.arrival
    if same:
        pair.k = min(pair.k + 1.0, 10_000.0)
    else:
        pair.n = min(pair.n + 1.0, 10_000.0)


@kernel
def _beside(
    event: Row, key: np.uint64, age_ms: int, same: bool, ties: NDArray[np.void], ranges: NDArray[np.void],
    room: NDArray[np.int64],
) -> bool:  # fmt: skip
    """Whether an account of another outlet was there within `age_ms`."""
    near = ranges[cell_of(ranges, key)]
    if near.key == np.uint64(0) or near.account == event.account or near.outlet == event.outlet_id:
        return False
    if event.arrival - near.last > age_ms:
        return False
    _pair(event, near.account, ties, room, same)
    return True


@kernel
def _step(event: Row, row: Row, ties: NDArray[np.void], ranges: NDArray[np.void], room: NDArray[np.int64]) -> None:
    """A look without a reason at a numbered parcel: does it go on with a walk, and does the walk begin where another's is?"""
    item = combine(event.item, np.uint64(1), _ITEM_TAG)
    _beside(event, item, TOGETHER_MS, True, ties, ranges, room)
    at = _claim(ranges, item, room, 1)
    if at >= 0:
        ranges[at].account, ranges[at].outlet, ranges[at].last = event.account, event.outlet_id, event.arrival
    stride = event.number - row.number
    if row.run > 0 and 0 < stride <= STRIDE_MAX:
        row.run = min(row.run + 1, 1_000_000)
    else:
        row.run, row.start = 1, event.number
    row.number = event.number
    if row.run < RUN_MIN:
        return
    row.walks = event.day
    block = event.number >> BLOCK_BITS
    if row.run == RUN_MIN:
        first = row.start >> BLOCK_BITS
        for near in range(first - 1, first + 2):
            if near != block and _beside(event, np.uint64(near + 2), RANGE_KEEP_MS, False, ties, ranges, room):
                break
    else:
        _beside(event, np.uint64(block + 3), RANGE_KEEP_MS, False, ties, ranges, room)
    at = _claim(ranges, np.uint64(block + 2), room, 1)
    if at >= 0:
        ranges[at].account, ranges[at].outlet, ranges[at].last = event.account, event.outlet_id, event.arrival


@kernel
def _take_back(ties: NDArray[np.void], key: np.uint64) -> None:
    if key != np.uint64(0):
        tie = ties[cell_of(ties, key)]
        if tie.key == key and tie.k > 0:
            tie.k -= 1.0


@kernel
def _known(keys: NDArray[np.uint64], key: np.uint64) -> int:
    at = np.searchsorted(keys, key)
    return int(at) if at < keys.shape[0] and keys[at] == key else -1


@kernel
def _observe(
    events: NDArray[np.void], rows: NDArray[np.void], registered: NDArray[np.uint64], place_kind: NDArray[np.uint8],
    ties: NDArray[np.void], ranges: NDArray[np.void], room: NDArray[np.int64], keys: NDArray[np.uint64],
    nats: NDArray[np.float32], out: NDArray[np.float32],
) -> None:  # fmt: skip
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0:
            continue
        row = rows[event.account]
        if event.kind == RETRACT:
            _take_back(ties, row.now)
            _take_back(ties, row.before)
        elif event.kind == LOOK and event.first and event.reveal and not event.gated and not event.lone:
            place = event.place
            if place >= 0 and (place_kind[place] == _BROADBAND or place_kind[place] == _DATACENTRE) and event.address:
                _through(event, row, combine(event.address, np.uint64(1), _LINE_TAG), LINE, ties, room)
            if row.machine != event.device or row.asked != event.day:
                row.machine, row.asked = event.device, event.day
                row.registered = 1 if _known(registered, event.device) >= 0 else 0
            if event.device != 0 and not row.registered:
                _through(event, row, event.device, DEVICE, ties, room)
                at = _known(keys, event.device)
                if at >= 0:  # a machine of a ring: whoever comes through it next is its next number
                    row.nats, row.until = nats[at], event.arrival + HOLD_MS
            if row.walks == event.day and row.walks > 0:
                _through(event, row, combine(np.uint64(event.account + 1), np.uint64(1), _SELF_TAG), SELF, ties, room)
            if event.reason == 0 and 0 < event.number < NUMBER_MAX and event.outlet_id >= 0:
                _step(event, row, ties, ranges, room)
        out[i] = row.nats if event.arrival < row.until else np.float32(0)


def edges_of(ties: NDArray[np.void]) -> NDArray[np.void]:
    """Ties (DEVICE, LINE) of groups that several outlets share, or that somebody off the roster does; TIE rows by group."""
    through = ties[np.isin(ties["kind"], (DEVICE, LINE))]
    through = through[np.argsort(through["group"], kind="stable")]
    _, at, counts = np.unique(through["group"], return_inverse=True, return_counts=True)
    low, high = np.full(counts.shape[0], 2**31 - 1), np.full(counts.shape[0], -(2**31))
    np.minimum.at(low, at, through["outlet"])
    np.maximum.at(high, at, through["outlet"])
    across = (counts > 1) & (counts <= ACCOUNTS_MAX) & ((low != high) | (low == OFF_ROSTER))
    kept: NDArray[np.void] = through[across[at]]
    return kept


def components(pairs: list[tuple[int, int, float]]) -> list[dict[int, dict[int, float]]]:
    """Union-find over weighted edges (account, account, weight): one adjacency (account -> neighbour -> weight) a component."""
    parent: dict[int, int] = {}

    def root(one: int) -> int:
        parent.setdefault(one, one)
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for a, b, _ in pairs:
        first, second = sorted((root(a), root(b)))
        parent[second] = first
    out: dict[int, dict[int, dict[int, float]]] = {}
    for a, b, weight in pairs:
        near = out.setdefault(root(a), {})
        for one, other in ((a, b), (b, a)):
            mine = near.setdefault(one, {})
            mine[other] = mine.get(other, 0.0) + weight
    return [out[key] for key in sorted(out)]


def densest(near: dict[int, dict[int, float]]) -> list[int]:
    """The accounts left when taking away the least tied one, again and again, has made the mean weight largest."""
    left = {one: dict(others) for one, others in near.items()}
    degree = {one: sum(others.values()) for one, others in left.items()}
    total = sum(degree.values()) / 2
    best, kept = -1.0, sorted(left)
    while left:
        if total / len(left) > best + 1e-12:
            best, kept = total / len(left), sorted(left)
        least = min(left, key=lambda one: (degree[one], one))
        total -= degree[least]
        for other, weight in left.pop(least).items():
            if other in left:
                degree[other] -= weight
                del left[other][least]
    return kept


def blocks(near: dict[int, dict[int, float]]) -> list[list[int]]:
    """The densest part of a component, then that of what is left, and so on; parts of MEMBERS_MIN accounts or more."""
    if len(near) > ACCOUNTS_MAX:
        return [sorted(near)]
    out: list[list[int]] = []
    left = near
    while len(left) >= MEMBERS_MIN:
        members = densest(left)
        if len(members) >= MEMBERS_MIN:
            out.append(members)
        gone = set(members)
        left = {
            one: {o: w for o, w in others.items() if o not in gone} for one, others in left.items() if one not in gone
        }
    return out


class Detector(DetectorBase):
    """Evidence of looks without a reason, pooled over a ring of accounts."""

    family = "graph"
    needs = ("accounts",)
    row: ClassVar[np.dtype[Any]] = ROW
    text_en = "shares a device, line or range of waybills with accounts of other outlets whose looks lack reasons"
    text_zh = "与其他网点的账号共用设备、线路或连号查询，且均无业务理由"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.ties, self.ranges = Cells(TIE, TIES_MAX), Cells(RANGE, RANGES_MAX)
        self.keys, self.nats = np.zeros(0, np.uint64), np.zeros(0, np.float32)

    def observe(self, events: NDArray[np.void], around: Surroundings) -> NDArray[np.float32]:
        """See the base class."""
        self.grow(around.accounts)
        out = np.zeros(events.shape[0], np.float32)
        if not self.silent(around):
            self.ties.reserve(3 * events.shape[0])
            self.ranges.reserve(events.shape[0])
            full = np.array([self.ties.limit - self.ties.held, self.ranges.limit - self.ranges.held], np.int64)
            room = full.copy()
            _observe(events, self.rows, around.registered, around.place_kind, self.ties.cells, self.ranges.cells, room,
                     self.keys, self.nats, out)  # fmt: skip
            self.ties.held += int(full[0] - room[0])
            self.ranges.held += int(full[1] - room[1])
        return out

    def publish(self, arrival: int, around: Surroundings) -> None:
        """Find the rings anew; members read their ring's evidence, and so does who comes through its devices next."""
        del around
        self.ties.forget(arrival - KEEP_MS)
        self.ranges.forget(arrival - RANGE_KEEP_MS)
        ties = self.ties.living()
        shared = edges_of(ties)
        own = self._own(ties, shared)
        rings = [r for r in components(self._pairs(ties, shared)) if len(r) >= MEMBERS_MIN]
        found: dict[int, float] = {}
        for members in (part for ring in rings for part in blocks(ring)):
            nats = np.array([own.get(member, 0.0) for member in members])
            said = float(all_but_one(nats, 0.5)) - float(np.log(len(rings)))
            if said > 0 and len(members) >= MEMBERS_MIN:
                bad = [member for member in members if own.get(member, 0.0) >= OWN_NATS_MIN]
                self.rows["nats"][bad], self.rows["until"][bad] = min(said, NATS_MAX), arrival + HOLD_MS
                for group in shared["group"][np.isin(shared["account"], members) & (shared["kind"] == DEVICE)].tolist():
                    found[group] = max(found.get(group, 0.0), min(said, float(NATS_MAX)))
        self.keys = np.array(sorted(found), np.uint64)
        self.nats = np.array([found[key] for key in sorted(found)], np.float32)

    @staticmethod
    def _pairs(ties: NDArray[np.void], shared: NDArray[np.void]) -> list[tuple[int, int, float]]:
        """Edges as a chain within each group: enough to tie it, and each member's weight is the group's."""
        steps = ties[(ties["kind"] == STEP) & ((ties["n"] > 0) | (ties["k"] >= SAME_MIN))]
        out = [(int(s["account"]), int(s["group"]), float(1 / np.log(7.0))) for s in steps]
        cuts = np.flatnonzero(np.diff(shared["group"])) + 1
        for part in np.split(shared["account"], cuts) if shared.shape[0] else []:
            weight = float(1 / np.log(5.0 + part.shape[0]))
            who = sorted(set(part.tolist()))
            out += [(a, b, weight) for a, b in zip(who, [*who[1:], who[0]], strict=True) if a != b]
        return out

    @staticmethod
    def _own(ties: NDArray[np.void], shared: NDArray[np.void]) -> dict[int, float]:
        """Nats of each account's looks through what ties it: its devices' if any, else its lines', else since it was seen walking."""
        out: dict[int, float] = {}
        for rows in (shared[shared["kind"] == DEVICE], shared[shared["kind"] == LINE], ties[ties["kind"] == SELF]):
            found: dict[int, float] = {}
            for tie in rows:
                account = int(tie["account"])
                found[account] = found.get(account, 0.0) + float(tie["past"] + look_ratio(tie["n"], tie["k"]))
            out = found | out
        return out

    def forgive(self, account: int) -> None:
        """See the base class; what was counted of the account's ties goes too."""
        super().forgive(account)
        own = self.ties.cells["account"] == account
        for name in ("n", "k", "past"):
            self.ties.cells[name][own] = 0

    def snapshot(self) -> dict[str, NDArray[np.generic]]:
        """Rows, ties, ranges and what was published."""
        return {
            "rows": self.rows.copy(), "ties": self.ties.living(), "ranges": self.ranges.living(), "keys": self.keys,
            "nats": self.nats,
        }  # fmt: skip

    def restore(self, saved: dict[str, NDArray[np.generic]]) -> None:
        """The inverse of `snapshot`."""
        self.rows = np.asarray(saved["rows"]).copy()
        self.ties.restore(np.asarray(saved["ties"]))
        self.ranges.restore(np.asarray(saved["ranges"]))
        self.keys, self.nats = np.asarray(saved["keys"], np.uint64), np.asarray(saved["nats"], np.float32)

    @classmethod
    def examples(cls) -> list[Example]:
        """Four outlets' numbers on one phone without reasons; the same with reasons."""
        turns = np.concatenate([example_looks(4) for _ in range(4)])
        turns["account"], turns["outlet_id"] = np.repeat(np.arange(1, 5), 4), np.repeat(np.arange(4), 4)
        turns["device"] = 99
        honest = turns.copy()
        honest["reason"] = 1
        own = example_looks(2)
        own["arrival"], own["device"] = own["arrival"] + 7_200_000, 99
        return [
            Example(
                "the next number on a phone through which four outlets' numbers looked", own, found=True, before=turns
            ),
            Example("a phone lent among outlets, all looks with a reason", own, found=False, before=honest),
        ]

"""One machine, many accounts. Catches: several accounts' looks without a reason through one device, each too few to stand out.

Also the same malware on several handsets that look for themselves, and trojans on registered shared label PCs.
Misses: a machine that one account uses (the unexplained detector has it), harvests that work explains, and machines used by
few accounts of a role whose looks everywhere lack reasons at that hour (then it is the feed, and the pool says nothing).

Counts of first looks and of those without a reason, by account and device; each pair's ratio (`core.evidence`) is an e-value
that fades by day. A machine's evidence is the product over its accounts, each bad with chance one half, with the worst left
out: so one careless or crooked colleague condemns nobody. Devices that look for themselves are pooled by outlet and over
the fleet (chance of being bad 1/2, 1/20, 1/200 mixed). The logarithm of how many groups are watched is taken off. An
account reads it when it looks through the machine and its own looks there lack reasons too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from watchbill.context.events import LOOK, RETRACT
from watchbill.core.evidence import FADE_A_DAY, FLOOR_NATS, all_but_one, look_ratio, next_day
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
        ("now", np.uint64),  # pair of the account and the device it looks through
        ("before", np.uint64),  # the one before that
        ("until", np.int64),  # arrival up to which a group's evidence is held
        ("nats", np.float32),
    ],
    align=True,
)
PAIR: Final = np.dtype(
    [
        ("key", np.uint64), ("last", np.int64), ("group", np.uint64), ("account", np.int32), ("day", np.int32),
        ("n", np.float32), ("k", np.float32), ("past", np.float32), ("role", np.uint8), ("lone", np.uint8),
    ],
    align=True,
)  # fmt: skip
"""An account on a device: first looks `n` and those without a reason `k` today, nats of the days before."""
PAIRS_MAX: Final = 1 << 20
KEEP_MS: Final = 7 * 86_400_000
HOLD_MS: Final = 86_400_000
MEMBERS_MIN: Final = 3
OWN_NATS_MIN: Final = 1.5
"""An account whose looks through the machine have reasons is left alone, whatever its colleagues' show."""
FEED_NATS: Final = 2.0
FEED_SHARE: Final = 0.2
FEED_MEMBERS: Final = 10
"""Where over a fifth of a role's pairs (of ten or more) look odd today, their reasons are missing, not their honesty."""
SHARES: Final = (0.5, 0.05, 0.005)
FLEET: Final = np.uint64(1)
CLEAN_MAX: Final = 256
_PAIR_TAG: Final = 41
_OUTLET_TAG: Final = 42


@kernel
def _note(cells: NDArray[np.void], at: int, key: np.uint64, group: np.uint64, event: Row) -> None:
    cell = cells[at]
    if cell.key == np.uint64(0):
        cell.key, cell.group, cell.account = key, group, event.account
        cell.n, cell.k, cell.past, cell.day = 0.0, 0.0, 0.0, event.day
    if event.day > cell.day:
        cell.past = next_day(cell.past, cell.n, cell.k)
        cell.n, cell.k, cell.day = 0.0, 0.0, event.day
    cell.last, cell.role, cell.lone = event.arrival, event.role, event.lone
    cell.n = min(cell.n + 1.0, 10_000.0)
    cell.k = min(cell.k + (1.0 if event.reason == 0 else 0.0), 10_000.0)


@kernel
def _take_back(cells: NDArray[np.void], key: np.uint64) -> None:
    """A look is explained after all; through which of the account's last two devices it went is not kept: both lose one."""
    if key != np.uint64(0):
        cell = cells[cell_of(cells, key)]
        if cell.key == key and cell.k > 0:
            cell.k -= 1.0


@kernel
def _published(keys: NDArray[np.uint64], nats: NDArray[np.float32], group: np.uint64) -> float:
    low, high = 0, keys.shape[0]
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < group:
            low = middle + 1
        else:
            high = middle
    return float(nats[low]) if low < keys.shape[0] and keys[low] == group else 0.0


@kernel
def _read(
    event: Row, row: Row, cell: Row, group: np.uint64, keys: NDArray[np.uint64], nats: NDArray[np.float32]
) -> None:  # fmt: skip
    """The account looks through a machine: what is published of it counts if the account's own looks there lack reasons."""
    said = _published(keys, nats, group)
    if event.lone:
        said = max(said, _published(keys, nats, FLEET))
    if said > 0 and cell.past + look_ratio(cell.n, cell.k) >= OWN_NATS_MIN:
        row.nats, row.until = said, event.arrival + HOLD_MS


@kernel
def _observe(
    events: NDArray[np.void], rows: NDArray[np.void], cells: NDArray[np.void], room: int, keys: NDArray[np.uint64],
    nats: NDArray[np.float32], out: NDArray[np.float32],
) -> int:  # fmt: skip
    added = 0
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0:
            continue
        row = rows[event.account]
        if event.kind == RETRACT:
            _take_back(cells, row.now)
            if row.before != row.now:
                _take_back(cells, row.before)
        elif event.kind == LOOK and event.first and event.reveal and event.device != 0 and not event.gated:
            who = np.uint64(event.account + 1)
            key = combine(event.device, who, _PAIR_TAG)
            group = combine(np.uint64(event.outlet_id + 2), np.uint64(1), _OUTLET_TAG) if event.lone else event.device
            at = cell_of(cells, key)
            fresh = cells[at].key == np.uint64(0)
            if not fresh or added < room:
                added += 1 if fresh else 0
                _note(cells, at, key, group, event)
                if row.now != key:
                    row.before, row.now = row.now, key
                if keys.shape[0]:
                    _read(event, row, cells[at], group, keys, nats)
        out[i] = row.nats if event.arrival < row.until else np.float32(0)
    return added


@kernel
def _member_nats(pairs: NDArray[np.void], day: int, out: NDArray[np.float64]) -> None:
    clean = np.zeros(CLEAN_MAX)  # most pairs have nothing against them: their ratio is looked up
    for n in range(CLEAN_MAX):
        clean[n] = look_ratio(n, 0.0)
    for i in range(pairs.shape[0]):
        pair = pairs[i]
        today = look_ratio(pair.n, pair.k) if pair.k > 0 else clean[min(int(pair.n), CLEAN_MAX - 1)]
        out[i] = pair.past + today
        if pair.day < day:  # what it did not do today counts as faded
            out[i] = max(FADE_A_DAY * out[i], FLOOR_NATS)


@kernel
def _pool(groups: NDArray[np.uint64], nats: NDArray[np.float64], share: float, out: NDArray[np.float64]) -> None:
    """Nats of each run of equal `groups` with enough members, at the run's first place."""
    start = 0
    for i in range(1, groups.shape[0] + 1):
        if i == groups.shape[0] or groups[i] != groups[start]:
            if i - start >= MEMBERS_MIN:
                out[start] = all_but_one(nats[start:i], share)
            start = i


class Detector(DetectorBase):
    """Evidence of looks without a reason, pooled over the accounts of a machine."""

    family = "graph"
    needs = ("accounts",)
    row: ClassVar[np.dtype[Any]] = ROW
    text_en = "looked through a machine on which several accounts' looks have no reason"
    text_zh = "通过多个账号均出现无理由查询的设备进行查询"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.pairs = Cells(PAIR, PAIRS_MAX)
        self.keys = np.zeros(0, np.uint64)
        self.nats = np.zeros(0, np.float32)

    def observe(self, events: NDArray[np.void], around: Surroundings) -> NDArray[np.float32]:
        """See the base class."""
        self.grow(around.accounts)
        out = np.zeros(events.shape[0], np.float32)
        if not self.silent(around):
            self.pairs.reserve(events.shape[0])
            room = self.pairs.limit - self.pairs.held
            self.pairs.held += int(
                _observe(events, self.rows, self.pairs.cells, room, self.keys, self.nats, out)
            )  # fmt: skip
        return out

    def publish(self, arrival: int, around: Surroundings) -> None:
        """Renew what machines, outlets' lone devices and the fleet say; drop pairs unseen for seven days."""
        del around
        self.pairs.forget(arrival - KEEP_MS)
        pairs = self.pairs.cells[self.pairs.cells["key"] != 0]
        nats = np.zeros(pairs.shape[0])
        _member_nats(pairs, int(pairs["day"].max(initial=0)), nats)
        nats[self._odd_roles(pairs, nats)] = 0.0
        watched = int(np.sum(np.unique(pairs["group"], return_counts=True)[1] >= MEMBERS_MIN))
        # most groups have nothing against them: only the others, and lone devices, are put in order and pooled
        some = np.isin(pairs["group"], pairs["group"][nats > 0]) | (pairs["lone"] == 1)
        pairs, nats = pairs[some], nats[some]
        order = np.lexsort((pairs["key"], pairs["group"]))
        pairs, nats = pairs[order], nats[order]
        said = np.zeros(pairs.shape[0])
        _pool(pairs["group"], nats, SHARES[0], said)
        keep = said - np.log(max(watched, 1)) > 0
        keys, found = pairs["group"][keep], said[keep] - np.log(max(watched, 1))
        fleet = self._fleet(nats[pairs["lone"] == 1])
        if fleet > 0:
            keys, found = np.append(keys, FLEET), np.append(found, fleet)
        order = np.argsort(keys)
        self.keys, self.nats = keys[order], np.minimum(found[order], NATS_MAX).astype(np.float32)

    @staticmethod
    def _odd_roles(pairs: NDArray[np.void], nats: NDArray[np.float64]) -> NDArray[np.bool_]:
        roles = pairs["role"].astype(np.int64)
        active = pairs["n"] + pairs["k"] > 0
        many = np.bincount(roles[active], minlength=256)
        odd = np.bincount(roles[active & (nats >= FEED_NATS)], minlength=256)
        closed = (many >= FEED_MEMBERS) & (odd > FEED_SHARE * many)
        out: NDArray[np.bool_] = closed[roles] & (pairs["lone"] == 0)
        return out

    @staticmethod
    def _fleet(nats: NDArray[np.float64]) -> float:
        """Nats against "at most one lone device is bad", mixed over how many are."""
        if nats.shape[0] < MEMBERS_MIN:
            return 0.0
        parts = np.array([all_but_one(nats, share) for share in SHARES])
        return float(parts.max() + np.log(np.mean(np.exp(parts - parts.max()))))

    def snapshot(self) -> dict[str, NDArray[np.generic]]:
        """Rows, pairs and what was published."""
        return {"rows": self.rows.copy(), "pairs": self.pairs.living(), "keys": self.keys, "nats": self.nats}

    def restore(self, saved: dict[str, NDArray[np.generic]]) -> None:
        """The inverse of `snapshot`."""
        self.rows = np.asarray(saved["rows"]).copy()
        self.pairs.restore(np.asarray(saved["pairs"]))
        self.keys, self.nats = np.asarray(saved["keys"], np.uint64), np.asarray(saved["nats"], np.float32)

    def forgive(self, account: int) -> None:
        """See the base class; what was counted of the account on machines goes too."""
        super().forgive(account)
        own = self.pairs.cells["account"] == account
        for name in ("n", "k", "past"):
            self.pairs.cells[name][own] = 0

    @classmethod
    def examples(cls) -> list[Example]:
        """Four accounts with five looks each on one label PC, and a PC where one colleague is crooked."""
        before = np.concatenate([example_looks(5) for _ in range(5)])
        before["account"], before["device"] = np.repeat(np.arange(1, 6), 5), 99
        crooked = before.copy()
        crooked["reason"] = 1
        crooked["reason"][:5] = 0
        own = example_looks(2, start_day=20_000)
        own["device"], own["arrival"] = 99, own["arrival"] + 7_200_000
        return [
            Example("five accounts' looks through one PC have no reason", own, found=True, before=before),
            Example("one of five colleagues at the PC has no reasons", own, found=False, before=crooked),
        ]

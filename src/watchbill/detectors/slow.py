"""Slow harvests. Catches: a few unexplained first looks a day more than the account's own honest days have, day after day.

And the same spread over the accounts of one device or outlet. Misses: under about five more a day, accounts whose honest days
hold as many, the first 400 looks of an account, and everything until a day is over.

A daily e-CUSUM (Shin, Ramdas, Rinaldo 2022): under the null a day's count among its looks is beta-binomial about the
account's own honest share with a day-to-day correlation of .03; the alternative is a mixture over 1.5 to 9 times that
share, the same from day to day (that a harvest is steady and honest surges are not is what tells them apart), with a part
of honest days. No day counts for more than five nats: one bad day is no slow harvest. Learning stops under suspicion. The same sums over the looks of a device or an outlet are published at table
ticks less the log of how many groups there are; an account reads its groups' evidence only where its own days add to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from watchbill.context.events import LOOK, RETRACT
from watchbill.core.kernel import Row, kernel
from watchbill.core.members import Cells, cell_of
from watchbill.detectors.base import SUSPECTED, DetectorBase, Example, Surroundings
from watchbill.detectors.kernels import NATS_MAX, example_looks, is_frozen
from watchbill.detectors.share_kernels import Shares, day_mark, mixture_nats, shares_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.core.settings import Settings

TIMES: Final = np.array([1.5, 2.2, 3.2, 4.5, 6.4, 9.0])
EVEN: Final = np.float32(1.0 / TIMES.shape[0])
HONEST_DAYS: Final = 0.1
"""Part of a harvest's days on which nothing is taken."""
CORRELATION: Final = 0.03
PRIOR_SHARE: Final = 0.02
PRIOR_LOOKS: Final = 100.0
LEARN_UNDER_NATS: Final = 1.5
KNOWN_LOOKS: Final = 400.0
"""Accounts differ more than their days do: an account speaks once so many looks have shown its own share."""
WINSOR: Final = 2.5
DAY_NATS_MAX: Final = 5.0
LOOKS_MIN: Final = 5
RATE_MAX: Final = 0.9
OWN_NATS: Final = (4.0, 8.0)
"""An account reads the evidence of its device, and of its outlet, from this much of its own on: that somebody at an outlet
harvests says nothing against his colleagues."""
GROUP_LOOKS_MIN: Final = 20
GROUPS_MAX: Final = 400_000
FORGET_DAYS: Final = 14
_DECAY: Final = np.float32(0.96)
_DAY_MS: Final = 86_400_000
_DEVICE_TAG: Final = np.uint64(0x5D3C0FFEE1)
_OUTLET_TAG: Final = np.uint64(0x0071E75A9D)

_COUNTS: Final = (
    ("own_count", np.float32),  # looks of earlier days, decayed, and those without a reason among them
    ("own_hits", np.float32),
    ("log_m", np.float32),
    ("day", np.int32),  # local day + 1, 0 = never seen
    ("count", np.float32),
    ("hits", np.float32),
    ("wrong", np.float32, (TIMES.shape[0],)),
)
ROW: Final = np.dtype(
    [*_COUNTS, ("last_day", np.int32), ("last_count", np.float32), ("last_hits", np.float32), ("last_level", np.uint8)],
    align=True,
)
GROUP: Final = np.dtype([("key", np.uint64), ("last", np.int64), ("device", np.uint8), *_COUNTS], align=True)


@kernel
def _level(row: Row, shares: Shares) -> int:
    share = (PRIOR_LOOKS * PRIOR_SHARE + row.own_hits) / (PRIOR_LOOKS + row.own_count)
    return int(min(int(np.searchsorted(shares.level, share)), shares.level.shape[0] - 1))


@kernel
def _steady(count: float, hits: float, times: float, level: int, shares: Shares) -> float:
    """Nats of `hits` of `count` under `times` the honest share against the null, a part of honest days mixed in."""
    rate = min(times * shares.level[level], RATE_MAX)
    under = hits * np.log(rate) + (count - hits) * np.log1p(-rate)
    nats = under - mixture_nats(count, hits, shares.rates[level], shares.weights[level])
    return float(np.log(HONEST_DAYS + (1 - HONEST_DAYS) * np.exp(min(nats, 30.0))))


@kernel
def _day_nats(row: Row, count: float, hits: float, level: int, shares: Shares, learn: bool) -> float:
    """Nats of a day under the mixture of multiples; the mixture learns from it when `learn`."""
    total = 0.0
    for k in range(TIMES.shape[0]):
        factor = np.exp(_steady(count, hits, TIMES[k], level, shares))
        total += row.wrong[k] * factor
        if learn:
            row.wrong[k] *= np.float32(factor)
    if learn:
        for k in range(TIMES.shape[0]):
            row.wrong[k] = max(row.wrong[k] / np.float32(total), np.float32(1e-6))
    return float(np.log(total))


@kernel
def _close(row: Row, shares: Shares, learn: bool, least: int) -> int:
    """The running day becomes evidence, and habit where nothing is suspected; the level it was judged at."""
    level = _level(row, shares)
    if row.count >= least and row.own_count >= KNOWN_LOOKS:
        if row.log_m <= 0 or row.wrong[0] == 0:
            row.log_m = 0
            for k in range(TIMES.shape[0]):
                row.wrong[k] = EVEN
        nats = min(_day_nats(row, row.count, row.hits, level, shares, True), DAY_NATS_MAX)
        row.log_m = min(row.log_m + nats, NATS_MAX)
    if learn and row.log_m < LEARN_UNDER_NATS:
        row.own_count = row.own_count * _DECAY + row.count
        most = WINSOR * shares.level[level] * row.count + WINSOR if row.own_count >= KNOWN_LOOKS else row.count
        row.own_hits = row.own_hits * _DECAY + min(row.hits, most)
    return level


@kernel
def _turn(row: Row, today: int, shares: Shares, learn: bool) -> None:
    """Close an account's day and begin `today`; the closed day is kept, for reasons that arrive late."""
    row.last_level = _close(row, shares, learn, LOOKS_MIN)
    row.last_day, row.last_count, row.last_hits = row.day, row.count, row.hits
    row.day, row.count, row.hits = today, 0, 0


@kernel
def _take_back(row: Row, day: int, shares: Shares) -> None:
    """A look of `day` is explained after all: M becomes what it would have been, never more than it is."""
    if day == row.day:
        row.hits = max(row.hits - np.float32(1), np.float32(0))
    elif day == row.last_day and row.last_hits >= 1 and row.last_count >= LOOKS_MIN and row.log_m > 0:
        before = _day_nats(row, row.last_count, row.last_hits, row.last_level, shares, False)
        row.last_hits -= np.float32(1)
        after = _day_nats(row, row.last_count, row.last_hits, row.last_level, shares, False)
        row.log_m = max(row.log_m - max(before - after, 0.0), np.float32(0))


@kernel
def _add_to_group(
    cells: NDArray[np.void], key: np.uint64, device: int, event: Row, today: int, shares: Shares, room: int
) -> int:
    """Count a look for its group; 1 when the group is new. Past the limit new groups are left out."""
    cell = cells[cell_of(cells, key)]
    new = 0
    if cell.key != key:
        if room <= 0:
            return 0
        cell.key, cell.device, cell.day, new = key, device, today, 1
    if today > cell.day:
        _close(cell, shares, True, GROUP_LOOKS_MIN)
        cell.day, cell.count, cell.hits = today, 0, 0
    cell.last = max(cell.last, event.arrival)
    cell.count += 1
    cell.hits += 1 if event.reason == 0 else 0
    return new


@kernel
def _said_of(keys: NDArray[np.uint64], nats: NDArray[np.float32], key: np.uint64) -> float:
    """Published nats of a group, 0 where it has none."""
    at = np.searchsorted(keys, key)
    return float(nats[at]) if at < keys.shape[0] and keys[at] == key else 0.0


@kernel
def _observe(
    events: NDArray[np.void], rows: NDArray[np.void], shares: Shares, frozen: NDArray[np.uint8], cells: NDArray[np.void],
    room: int, keys: NDArray[np.uint64], nats: NDArray[np.float32], out: NDArray[np.float32],
) -> int:  # fmt: skip
    added = 0
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0:
            continue
        row = rows[event.account]
        today = day_mark(event.day)
        if event.kind == RETRACT:
            _take_back(row, today, shares)
        elif event.kind == LOOK and event.first and event.reveal and not event.gated:
            if today > row.day:
                _turn(row, today, shares, not is_frozen(frozen, event.account, SUSPECTED))
            row.count += 1
            row.hits += 1 if event.reason == 0 else 0
            if event.device != np.uint64(0):
                added += _add_to_group(cells, event.device ^ _DEVICE_TAG, 1, event, today, shares, room - added)
            if event.outlet != np.uint64(0):
                added += _add_to_group(cells, event.outlet ^ _OUTLET_TAG, 0, event, today, shares, room - added)
        own = said = float(max(row.log_m, np.float32(0)))
        if keys.shape[0] and own >= OWN_NATS[0]:
            said = max(said, _said_of(keys, nats, event.device ^ _DEVICE_TAG))
        if keys.shape[0] and own >= OWN_NATS[1]:
            said = max(said, _said_of(keys, nats, event.outlet ^ _OUTLET_TAG))
        out[i] = 0 if event.gated & 2 else said
    return added


class Detector(DetectorBase):
    """Unexplained first looks by day, of the account and of its device and outlet."""

    family = "slow"
    row: ClassVar[np.dtype[Any]] = ROW
    kept: ClassVar[tuple[str, ...]] = ("own_count", "own_hits")
    tables: ClassVar[tuple[str, ...]] = ()
    text_en = "looked at a few customers a day without a reason, day after day"
    text_zh = "连续多日每天无理由查询若干客户信息"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.shares = shares_of(0.01, 0.3, CORRELATION)
        self.groups = Cells(GROUP, GROUPS_MAX)
        self.keys = np.zeros(0, np.uint64)
        self.nats = np.zeros(0, np.float32)

    def observe(self, events: NDArray[np.void], around: Surroundings) -> NDArray[np.float32]:
        """See the base class."""
        self.grow(around.accounts)
        out = np.zeros(events.shape[0], np.float32)
        self.groups.reserve(2 * events.shape[0])
        room = self.groups.limit - self.groups.held
        self.groups.held += int(
            _observe(events, self.rows, self.shares, around.frozen, self.groups.cells, room, self.keys, self.nats, out)
        )
        return out

    def publish(self, arrival: int, around: Surroundings) -> None:
        """Renew the groups' evidence, less the log of how many groups of its kind there are; forget those long silent."""
        del around
        if arrival % _DAY_MS < _DAY_MS // 24:
            self.groups.forget(arrival - FORGET_DAYS * _DAY_MS)
        living = self.groups.living()
        number = np.where(living["device"] == 1, (living["device"] == 1).sum(), (living["device"] == 0).sum())
        nats = living["log_m"] - np.log(np.maximum(number, 1.0)).astype(np.float32)
        self.keys, self.nats = living["key"][nats > 0].copy(), nats[nats > 0].astype(np.float32)

    def snapshot(self) -> dict[str, NDArray[np.generic]]:
        """Rows, groups and what is published of them."""
        return {
            **super().snapshot(),
            "groups": self.groups.living(),
            "keys": self.keys.copy(),
            "nats": self.nats.copy(),
        }

    def restore(self, saved: dict[str, NDArray[np.generic]]) -> None:
        """The inverse of `snapshot`."""
        super().restore(saved)
        self.groups.restore(np.asarray(saved["groups"]))
        self.keys, self.nats = np.asarray(saved["keys"]).copy(), np.asarray(saved["nats"]).copy()

    @classmethod
    def examples(cls) -> list[Example]:
        """Seven unexplained looks a day over two weeks, and honest weeks with a bad day."""
        days = np.concatenate([example_looks(100, start_day=20_000 + d) for d in range(24)])
        days["reason"] = 1
        days["reason"][::50] = 0
        slow, bad = days.copy(), days.copy()
        for d in range(10, 24):
            slow["reason"][100 * d : 100 * d + 7] = 0
        bad["reason"][1_000:1_016] = 0
        return [
            Example("nine unexplained looks a day for two weeks", slow, found=True),
            Example("two a day, and one day with eighteen", bad, found=False),
        ]

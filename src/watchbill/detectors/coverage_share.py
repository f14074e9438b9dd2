"""Coverage. Catches: an account that looks at a far larger part of its outlet's parcels of the day than it and its peers do.

Each of the looks may be explained. Misses: harvests under about twice the usual share, an outlet's whole staff growing together over weeks, and roles whose looks
have nothing to do with an outlet's parcels beyond their own habit.

The day's count of first looks is negative-binomial under the null, with the larger of two means: the account's own share of
the outlet's work, and what its group (role at the outlet) has to look at less what colleagues did so far: who stands in for
two may look for two. The work of the outlet is its scans, today's so far or what lingers of the days before: a surge raises
it. The ratio to a negative-binomial of c times the mean only rises with the count, so it may be read during the day: it is
at most what it will be when the day is over, whose mean under the null is 1. Scans, groups and spread are published at ticks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from watchbill.context.events import LOOK, WORK
from watchbill.core.kernel import Row, kernel
from watchbill.detectors.base import SUSPECTED, DetectorBase, Example, Surroundings
from watchbill.detectors.kernels import NATS_MAX, example_looks, is_frozen
from watchbill.detectors.share_kernels import CAUSE_NATS_MAX, day_mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.core.settings import Settings

TIMES: Final = np.array([1.7, 2.5, 4.0, 8.0])
SIZE_MIN: Final = 1.0
SIZE_MAX: Final = 20.0
SIZE_FIRST: Final = 4.0
"""Bounds of the negative-binomial's size (its variance is mean + mean^2 / size), and what it is before days are known."""
MEAN_MIN: Final = 20.0
DAYS_MIN: Final = 3
"""Days of an account, and of its group, before which it is silent."""
LEARN_UNDER_NATS: Final = 3.0
EXCESS_MAX: Final = 3.0
GROUP_EXCESS_MAX: Final = 1.3
"""A day counts for no more than this many times the usual: a harvest must not become what is expected of the group."""
FADE_A_DAY: Final = np.float32(0.85)
"""So that shares which drift a little from day to day do not add up for weeks."""
LINGER: Final = 0.8
"""What a busy day leaves for the next: parcels wait at stations and desks for days."""
CROWD_MIN: Final = 20
"""Accounts at work from which a role's rise is the role's."""
_DECAY: Final = 0.93
_VOTES_MIN: Final = 20.0
BINS: Final = 40
STEPS: Final = 20
QUANTILE: Final = 0.8
SIGMAS: Final = 1.28
"""Of a role's days over their mean, the 80 % quantile of the excess (in steps of a twentieth) is 1.28 standard deviations;
a quantile, because what a few harvesters do must not widen it."""

ROW: Final = np.dtype(
    [
        ("log_m", np.float32),
        ("day", np.int32),  # local day + 1, 0 = never seen
        ("count", np.float32),  # first looks today
        ("mean", np.float32),  # the largest honest mean that was forecast for today
        ("own", np.float32),  # decayed looks of earlier days
        ("work", np.float32),  # decayed work of the outlet on them, in usual days
        ("outlet_id", np.int32),
        ("days", np.uint8),
        ("role", np.uint8),
    ],
    align=True,
)
PLACE: Final = np.dtype(
    [("day", np.int32), ("days", np.int32), ("today", np.float64), ("before", np.float64), ("usual", np.float64)],
    align=True,
)
"""Of an outlet: its scans today, on the days before (the most of them, less what has been worked off) and on a usual day."""
GROUP: Final = np.dtype(
    [("day", np.int32), ("days", np.int32), ("today", np.float64), ("looks", np.float64), ("work", np.float64)],
    align=True,
)
"""Of a role at an outlet: first looks today; decayed looks and work (in usual days) of earlier days."""


SEEN: Final = np.dtype([("day", np.int32), ("count", np.float32)])
"""Of an account: the day and its count, as the last tick found them."""


@kernel
def _surge(place: Row) -> float:
    """The outlet's work of today in usual days: today's so far or what lingers of the days before, whichever is more."""
    return float(max(place.today, place.before) / place.usual) if place.days >= DAYS_MIN and place.usual > 0 else 1.0


@kernel
def _count_scan(place: Row, today: int) -> None:
    if today > place.day:
        if place.day > 0:
            place.before = max(place.today, LINGER * place.before)
            most = place.today if place.days < DAYS_MIN else min(place.today, EXCESS_MAX * place.usual)
            place.usual = most if place.days == 0 else _DECAY * place.usual + (1 - _DECAY) * most
            place.days += 1
        place.day, place.today = today, 0
    place.today += 1


@kernel
def _count_look(group: Row, today: int, surge: float) -> None:
    if today > group.day:
        if group.day > 0:
            usual = group.looks / group.work if group.work > 0 else group.today
            most = group.today if group.days < DAYS_MIN else min(group.today, GROUP_EXCESS_MAX * usual * surge)
            group.looks, group.work = _DECAY * group.looks + most, _DECAY * group.work + surge
            group.days += 1
        group.day, group.today = today, 0
    group.today += 1


@kernel
def _forecast(row: Row, group: Row, surge: float, seen: float, today: int) -> float:
    """The larger of the account's own share and what the group leaves to it; 0 where too little is known.

    Without a known group a colleague's day off may double the own share.
    """
    if row.days < DAYS_MIN:
        return 0.0
    own = row.own / max(row.work, np.float32(1e-3)) * surge
    if group.days < DAYS_MIN:
        return float(max(2.0 * own, MEAN_MIN))
    others = max(group.today - seen, 0.0) if group.day == today else 0.0
    left = group.looks / max(group.work, 1e-3) * surge - others
    return float(max(own, left, MEAN_MIN))


@kernel
def _nats(count: float, mean: float, size: float) -> float:
    """Log of the mean, over c of TIMES, of the ratio of NB(c * mean, size) to NB(mean, size) at `count`."""
    total = 0.0
    for k in range(TIMES.shape[0]):
        more = TIMES[k] * mean
        slope = np.log(more / (more + size)) - np.log(mean / (mean + size))
        total += np.exp(min(count * slope + size * np.log((mean + size) / (more + size)), 60.0))
    return float(np.log(total / TIMES.shape[0]))


@kernel
def _turn(row: Row, today: int, surge: float, size: float, spread: NDArray[np.float64], learn: bool) -> None:
    """The account's day ends: evidence, habit, and how far honest days lie from their means."""
    if row.day > 0:
        if row.mean > 0:
            nats = min(_nats(row.count, row.mean, size), CAUSE_NATS_MAX)
            row.log_m = min(max(row.log_m, np.float32(0)) + nats, NATS_MAX)
            # only days over the mean: forecasts are upper ones, and quiet days would feign a small spread
            if row.count > row.mean:
                spread[row.role, min(int((row.count / row.mean - 1.0) * STEPS), BINS - 1)] += 1.0
        if learn:
            # what is odd is learned slowly: an outlet that changed would be odd for ever
            odd = row.log_m >= LEARN_UNDER_NATS and row.mean > 0
            count = min(row.count, np.float32(GROUP_EXCESS_MAX) * row.mean) if odd else row.count
            row.own, row.work = _DECAY * row.own + count, _DECAY * row.work + surge
            row.days = min(row.days + 1, 200)
        row.log_m = FADE_A_DAY * max(row.log_m, np.float32(0))
    row.day, row.count, row.mean = today, 0, 0


@kernel
def _observe(
    events: NDArray[np.void], rows: NDArray[np.void], places: NDArray[np.void], groups: NDArray[np.void],
    said: tuple[NDArray[np.void], NDArray[np.void], NDArray[np.void], NDArray[np.float64], NDArray[np.float64]],
    spread: NDArray[np.float64], frozen: NDArray[np.uint8], out: NDArray[np.float32],
) -> None:  # fmt: skip
    said_places, said_groups, seen, sizes, crowd = said
    for i in range(events.shape[0]):
        event = events[i]
        today = day_mark(event.day)
        if event.kind == WORK and 0 <= event.at < places.shape[0]:
            _count_scan(places[event.at], today)
        if event.account < 0:
            continue
        row = rows[event.account]
        if event.kind == LOOK and event.first and event.reveal and event.outlet_id >= 0:
            surge, group = _surge(said_places[event.outlet_id]), said_groups[event.outlet_id, event.role]
            if row.outlet_id != event.outlet_id + 1 or row.role != event.role:
                row.outlet_id, row.role, row.days, row.own, row.work, row.mean = (
                    event.outlet_id + 1,
                    event.role,
                    0,
                    0,
                    0,
                    0,
                )
                row.day, row.count = today, 0
            if today > row.day:
                _turn(row, today, surge, sizes[row.role], spread, not is_frozen(frozen, event.account, SUSPECTED))
            _count_look(groups[event.outlet_id, event.role], today, surge)
            row.count += 1
            known = event.account < seen.shape[0] and seen[event.account].day == today
            mine = float(seen[event.account].count) if known else 0.0
            row.mean = max(row.mean, np.float32(_forecast(row, group, surge, mine, today) * crowd[row.role]))
        now = float(max(row.log_m, np.float32(0)))
        if row.mean > 0 and row.count > row.mean:
            now = max(now, now + min(_nats(row.count, row.mean, sizes[row.role]), CAUSE_NATS_MAX))
        out[i] = min(now, float(NATS_MAX))


class Detector(DetectorBase):
    """First looks a day against the outlet's work, the account's own share of it and its colleagues'."""

    family = "trace"
    row: ClassVar[np.dtype[Any]] = ROW
    kept: ClassVar[tuple[str, ...]] = ("own", "work", "outlet_id", "days", "role")
    tables: ClassVar[tuple[str, ...]] = (
        "places",
        "groups",
        "said_places",
        "said_groups",
        "seen",
        "sizes",
        "spread",
        "crowd",
        "crowds",
    )
    beside = ("seen",)
    text_en = "looked at a far larger part of its outlet's parcels than it and its colleagues do"
    text_zh = "查询了本网点远超常规比例的包裹"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.places = self.said_places = np.zeros(0, PLACE)
        self.groups = self.said_groups = np.zeros((0, 0), GROUP)
        self.seen = np.zeros(0, SEEN)
        self.sizes, self.spread = np.zeros(0), np.zeros((0, BINS))
        self.crowd = np.zeros(0)  # how many times its usual day each role has, as published
        self.crowds = np.zeros((0, 3))  # the same of the running day and of the day before, and that day + 1

    def _prepare(self, around: Surroundings) -> None:
        self.grow(around.accounts)
        outlets, roles = max(around.outlets, self.places.shape[0]), len(around.roles)
        if self.sizes.shape[0] != roles:
            self.groups = self.said_groups = np.zeros((0, roles), GROUP)
            self.sizes, self.spread = np.full(roles, SIZE_FIRST), np.zeros((roles, BINS))
            self.crowd, self.crowds = np.ones(roles), np.zeros((roles, 3))
        more = outlets - self.groups.shape[0]
        if more > 0:
            self.groups = np.concatenate([self.groups, np.zeros((more, roles), GROUP)])
            self.said_groups = np.concatenate([self.said_groups, np.zeros((more, roles), GROUP)])
        if outlets > self.places.shape[0]:
            fresh = np.zeros(outlets - self.places.shape[0], PLACE)
            self.places = np.concatenate([self.places, fresh])
            self.said_places = np.concatenate([self.said_places, fresh])

    def observe(self, events: NDArray[np.void], around: Surroundings) -> NDArray[np.float32]:
        """See the base class."""
        self._prepare(around)
        out = np.zeros(events.shape[0], np.float32)
        said = (self.said_places, self.said_groups, self.seen, self.sizes, self.crowd)
        _observe(events, self.rows, self.places, self.groups, said, self.spread, around.frozen, out)
        return out

    def publish(self, arrival: int, around: Surroundings) -> None:
        """Renew what accounts read of outlets, groups and the spread of honest days."""
        del arrival
        self._prepare(around)
        self.said_places, self.said_groups = self.places.copy(), self.groups.copy()
        self.seen = np.zeros(self.rows.shape[0], SEEN)
        self.seen["day"], self.seen["count"] = self.rows["day"], self.rows["count"]
        self._renew_crowd()
        total = self.spread.sum(axis=1)
        far = ((np.cumsum(self.spread, axis=1) >= QUANTILE * total[:, None]).argmax(axis=1) + 1.0) / STEPS
        sizes = np.clip((SIGMAS / far) ** 2, SIZE_MIN, SIZE_MAX)
        self.sizes = np.where(total >= _VOTES_MIN, sizes, np.minimum(sizes, SIZE_FIRST))
        self.spread = self.spread * 0.9995

    def _renew_crowd(self) -> None:
        """A day that is busy for a whole role is nobody's harvest: the rise of all its accounts, today's or what lingers."""
        rows = self.rows[self.rows["mean"] > 0]
        for role in np.unique(rows["role"]).tolist():
            mine = rows[rows["role"] == role]
            day = int(mine["day"].max())
            mine = mine[mine["day"] == day]
            if day > self.crowds[role, 2]:
                self.crowds[role] = (0.0, self.crowds[role, 0], day)
            if mine.shape[0] >= CROWD_MIN:
                count = np.minimum(mine["count"], EXCESS_MAX * mine["mean"]).sum() / mine["mean"].sum()
                self.crowds[role, 0] = max(self.crowds[role, 0], float(count) * self.crowd[role])
        self.crowd = np.maximum(1.0, np.maximum(self.crowds[:, 0], LINGER * self.crowds[:, 1]))

    @classmethod
    def examples(cls) -> list[Example]:
        """The outlet's list copied on the sixth day, and a colleague's day off."""
        days = np.concatenate([example_looks(100, start_day=20_000 + d) for d in range(5)])
        days["outlet_id"], days["reason"] = 1, 1
        copied, doubled = example_looks(1_400, gap_ms=20_000, start_day=20_005), example_looks(200, start_day=20_005)
        for looks in (copied, doubled):
            looks["outlet_id"], looks["reason"] = 1, 1
        return [
            Example("a hundred a day, then fourteen hundred", np.concatenate([days, copied]), found=True),
            Example("a hundred a day, then two hundred", np.concatenate([days, doubled]), found=False),
        ]

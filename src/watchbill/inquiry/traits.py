"""What tells one operator of an account from another: traits of each session, against the owner's habits.

A trait is an ordered level: 0 is most like the owner, higher is more foreign; -1 means that nothing can be said. Habits are
learned from the account's other sessions, each weighed by the probability that the owner sat there; a session never vouches
for itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from watchbill.context.networks import ROAMING
from watchbill.detectors.kernels import distance_km
from watchbill.inquiry.inforce import InForce, Post, post_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from watchbill.inquiry.sessions import Activity

EDGES: Final[dict[str, tuple[float, ...]]] = {
    "reason": (0.5, 1.5, 2.5, 4.0),
    "work": (0.3, 1.0, 2.0, 3.0),
    "elsewhere": (0.3, 1.0, 2.0, 3.0),
    "overlap": (0.01, 0.1),
    "hour": (0.05, 0.2, 0.5),
    "shift": (0.05, 0.5),
    "rhythm": (0.3, 1.0, 2.0, 3.0),
    "spread": (0.2, 0.5, 1.0),
    "mix": (0.1, 0.3, 0.6),
    "walk": (0.5, 1.5, 3.0),
    "failed": (0.5, 1.5),
}
"""Upper edges of the levels of each measured trait. reason, work, elsewhere, walk and failed are differences of log odds from
the owner's own rate; rhythm and spread are log2 of seconds; the others are shares."""
DEVICE: Final = ("usual", "outlet", "seen", "registered", "new")
PLACE: Final = ("usual", "seen", "roaming", "near", "unknown", "far")
TRAITS: Final = ("device", "place", *EDGES)
LEVELS: Final = {"device": len(DEVICE), "place": len(PLACE), **{name: len(edges) + 1 for name, edges in EDGES.items()}}

USUAL_SHARE: Final = 0.1
"""Share of the owner's sessions from which a device or place is his usual one."""
SEEN: Final = 0.8
"""Sessions of the owner, weighed, from which a device or place was seen before."""
HABIT_MIN: Final = 2.0
"""Sessions of the owner, weighed, under which there is no habit to compare with."""
RARE: Final = 0.015
"""Share of the owner's looks under which an hour is unusual; a kind of query is at thrice that."""
NEAR_KM: Final = 50.0
AFTER_MS: Final = 24 * 3_600_000
BEFORE_MS: Final = 72 * 3_600_000
BESIDE_MS: Final = 60_000
WALK_MAX: Final = 64
"""Waybill numbers at most so far apart lie in one range."""
_STRENGTH: Final = 4.0
"""Looks of the owner's own kind that a session's share is shrunk by."""
_BASE_STRENGTH: Final = 50.0
_BASE_RATE: Final = 0.02
_GAPS: Final = 16
_GAPS_MIN: Final = 3
_RHYTHM_LOOKS: Final = 8.0
_WORK_MIN: Final = 3
_WORK_RATE_MIN: Final = 0.1
_HOURS: Final = 24


@dataclass(frozen=True)
class Habits:
    """What is usual for people of a role, before anything is known of the person.

    Attributes:
        hours: role -> float64[24], share of looks by local hour; "" for any role. strength: looks that it counts as.
    """

    hours: Mapping[str, NDArray[np.float64]]
    strength: float = 40.0


@dataclass
class Traits:
    """The sessions of an account as counts, from which `levels` compares each with the others."""

    activity: Activity
    around: InForce
    habits: Habits
    offset_ms: int

    @cached_property
    def posts(self) -> list[Post]:
        """Roster rows of the account."""
        return self.around.posts.get(self.activity.account, [])

    @cached_property
    def n(self) -> NDArray[np.float64]:
        """float64[s]: looks of each session."""
        return self.count(np.ones(self.activity.time.shape[0], np.bool_))

    def count(self, which: NDArray[np.bool_]) -> NDArray[np.float64]:
        """float64[s]: looks of each session among those marked; bool[n]."""
        out: NDArray[np.float64] = np.bincount(self.activity.at[which], minlength=len(self.activity.sessions)).astype(
            np.float64
        )
        return out

    @cached_property
    def hours(self) -> NDArray[np.float64]:
        """float64[s, 24]: looks by local hour."""
        hour = (self.activity.time + self.offset_ms) // 3_600_000 % _HOURS
        return self.histogram(hour, _HOURS)

    def histogram(self, code: NDArray[np.int64], size: int) -> NDArray[np.float64]:
        """float64[s, size]: looks of each session by code."""
        flat = np.bincount(self.activity.at * size + code, minlength=len(self.activity.sessions) * size)
        return flat.reshape(-1, size).astype(np.float64)

    @cached_property
    def mix(self) -> NDArray[np.float64]:
        """float64[s, mixes]: looks by kind, app and fields."""
        return self.histogram(self.activity.mix, max(self.activity.mixes, 1))

    @cached_property
    def gaps(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """(number, median, standard deviation) of log2 seconds between the looks of each session; NaN under 3."""
        a, size = self.activity, len(self.activity.sessions)
        order = np.argsort(a.at, kind="stable")
        at, time = a.at[order], a.time[order]
        same = np.diff(at) == 0
        logs = np.log2(np.maximum(np.diff(time)[same] / 1000.0, 0.25))
        owner = at[1:][same]
        number = np.bincount(owner, minlength=size).astype(np.float64)
        middle, spread = np.full(size, np.nan), np.full(size, np.nan)
        ends = np.cumsum(number).astype(np.int64)
        for s in np.flatnonzero(number >= _GAPS_MIN).tolist():
            mine = logs[ends[s] - int(number[s]) : ends[s]]
            middle[s], spread[s] = np.median(mine), np.std(mine)
        return number, middle, spread

    @cached_property
    def firsts(self) -> NDArray[np.bool_]:
        """bool[n]: looks that are the account's first at a parcel, and those that name none."""
        waybill = self.activity.waybill
        out = np.ones(waybill.shape[0], np.bool_)
        named = np.flatnonzero(waybill >= 0)
        _, first = np.unique(waybill[named], return_index=True)
        out[named] = False
        out[named[first]] = True
        return out

    @cached_property
    def worked(self) -> NDArray[np.bool_]:
        """bool[n]: looks at a parcel that the account itself scanned or had a ticket for, 72 h before to 24 h after."""
        a = self.activity
        out = np.zeros(a.time.shape[0], np.bool_)
        if not a.work_time.shape[0]:
            return out
        order = np.lexsort((a.work_time, a.work_waybill))
        start = int(min(a.work_time.min(), a.time.min(initial=a.work_time.min()))) - BEFORE_MS
        width = int(max(a.work_time.max(), a.time.max(initial=0))) - start + AFTER_MS + 1
        keys = a.work_waybill[order] * width + (a.work_time[order] - start)
        low = np.searchsorted(keys, a.waybill * width + (a.time - BEFORE_MS - start), side="left")
        high = np.searchsorted(keys, a.waybill * width + (a.time + AFTER_MS - start), side="right")
        return (high > low) & (a.waybill >= 0)

    @cached_property
    def apart(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(own work done while each session was open, how much of it at parcels that the session looks at); float64[s]."""
        a = self.activity
        done, mine = np.zeros(len(a.sessions)), np.zeros(len(a.sessions))
        order = np.argsort(a.at, kind="stable")
        ends = np.cumsum(self.n).astype(np.int64)
        for s, session in enumerate(a.sessions):
            low, high = np.searchsorted(a.work_time, (session.first, session.last + 1))
            if high - low >= _WORK_MIN:
                looked = a.waybill[order[ends[s] - int(self.n[s]) : ends[s]]]
                done[s] = high - low
                mine[s] = np.isin(a.work_waybill[low:high], looked).sum()
        return done, mine

    @cached_property
    def walked(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(steps from parcel to parcel, how many of them within a range of 64 numbers) of each session; float64[s]."""
        a, size = self.activity, len(self.activity.sessions)
        held = np.flatnonzero(a.number > 0)
        order = held[np.argsort(a.at[held], kind="stable")]
        at, step = a.at[order], np.abs(np.diff(a.number[order]))
        same = (np.diff(at) == 0) & (step > 0)
        near = same & (step <= WALK_MAX)
        return (
            np.bincount(at[1:][same], minlength=size).astype(np.float64),
            np.bincount(at[1:][near], minlength=size).astype(np.float64),
        )

    @cached_property
    def beside(self) -> NDArray[np.float64]:
        """float64[s, d]: looks of each session that have one of another device within a minute, by that device's code."""
        a, devices = self.activity, self.devices
        out = np.zeros((len(a.sessions), int(devices.max(initial=-1)) + 1))
        used = devices[a.at]
        for device in np.unique(used[used >= 0]).tolist():
            times = a.time[used == device]
            others = np.flatnonzero((used >= 0) & (used != device))
            hit = np.searchsorted(times, a.time[others] + BESIDE_MS, side="right") > np.searchsorted(
                times, a.time[others] - BESIDE_MS, side="left"
            )
            out[:, device] += np.bincount(a.at[others[hit]], minlength=out.shape[0])
        return out

    @cached_property
    def devices(self) -> NDArray[np.int64]:
        """int64[s]: code of each session's device, -1 where none is said."""
        return _codes([session.device for session in self.activity.sessions])

    @cached_property
    def spots(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(code of each session's place, -1 where no address is said; its level without habit); int64[s] both."""
        sessions, networks = self.activity.sessions, self.around.networks
        where = networks.place_of(pa.chunked_array([pa.array([s.ip or None for s in sessions], pa.string())]))
        names = [
            f"place {place}" if place >= 0 else session.ip
            for place, session in zip(where.tolist(), sessions, strict=True)
        ]
        level = np.full(len(sessions), PLACE.index("unknown"), np.int64)
        for i, (place, session) in enumerate(zip(where.tolist(), sessions, strict=True)):
            if place < 0:
                continue
            post = post_of(self.posts, session.first)
            home = self.around.outlets.get(post.outlet) if post else None
            if networks.kind[place] in ROAMING:
                level[i] = PLACE.index("roaming")
            elif home and not np.isnan(networks.lat[place] + networks.lon[place]):
                km = distance_km(float(networks.lat[place]), float(networks.lon[place]), *home)
                level[i] = PLACE.index("near" if km < NEAR_KM else "far")
        return _codes(names), level

    @cached_property
    def registered(self) -> NDArray[np.int64]:
        """int64[s]: level of each session's device by the devices table alone (DEVICE's outlet, registered, new)."""
        out = np.full(len(self.activity.sessions), DEVICE.index("new"), np.int64)
        for i, session in enumerate(self.activity.sessions):
            row = (self.around.devices or {}).get(session.device)
            if row is not None:
                post = post_of(self.posts, session.first)
                here = bool(row.outlet) and post is not None and row.outlet == post.outlet
                out[i] = DEVICE.index("outlet" if here else "registered")
        return out

    @cached_property
    def off_shift(self) -> NDArray[np.float64] | None:
        """float64[s]: looks outside the account's shifts; None where the table knows none of it."""
        spans = self.around.shifts.get(self.activity.account)
        if spans is None:
            return None
        at = np.searchsorted(spans[:, 0], self.activity.time, side="right") - 1
        ends = np.maximum.accumulate(spans[:, 1])
        return self.count((at < 0) | (self.activity.time >= ends[np.maximum(at, 0)]))

    def levels(self, owner: NDArray[np.float64]) -> NDArray[np.int64]:
        """Levels of all traits, -1 where nothing can be said; int64[s, traits].

        Args:
            owner: float64[s], the probability that the owner sat there, by which each session weighs in his habits.
        """
        if not self.activity.sessions:
            return np.zeros((0, len(TRAITS)), np.int64)
        found = {"device": self._device(owner), "place": self._place(owner)}
        for name, value in self._measured(owner).items():
            level = np.searchsorted(EDGES[name], value, side="right")
            found[name] = np.where(np.isnan(value), -1, level)
        return np.stack([found[name] for name in TRAITS], axis=1)

    def _device(self, owner: NDArray[np.float64]) -> NDArray[np.int64]:
        others, whole = _others(self.devices, owner)
        level = self.registered.copy()
        new = level == DEVICE.index("new")
        level[(others >= SEEN) & (level > DEVICE.index("outlet"))] = DEVICE.index("seen")
        level[(others >= SEEN) & (others >= USUAL_SHARE * whole)] = DEVICE.index("usual")
        # without a table and without a past every device is new: that says nothing
        level[(new & (whole < HABIT_MIN)) | (self.devices < 0)] = -1
        return level

    def _place(self, owner: NDArray[np.float64]) -> NDArray[np.int64]:
        codes, bare = self.spots
        others, whole = _others(codes, owner)
        level = bare.copy()
        level[others >= SEEN] = PLACE.index("seen")
        level[(others >= SEEN) & (others >= USUAL_SHARE * whole)] = PLACE.index("usual")
        level[((whole < HABIT_MIN) & (bare == PLACE.index("unknown"))) | (codes < 0)] = -1
        return level

    def _measured(self, owner: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Values of the traits that have edges; float64[s] each, NaN where nothing can be said."""
        a, n = self.activity, self.n
        judged = self.firsts & (a.explained >= 0)
        steps, near = self.walked
        done, mine = self.apart
        number, middle, spread = self.gaps
        weigh = number / (number + _RHYTHM_LOOKS)
        worked = self.count(self.worked)
        return {
            "reason": _more(self.count(judged & (a.explained == 0)), self.count(judged), owner),
            "work": _fewer(worked, n, owner),
            "elsewhere": _fewer(mine, done, owner),
            "overlap": self._overlap(owner),
            "hour": self._hour(owner),
            "shift": np.full(n.shape[0], np.nan) if self.off_shift is None else self.off_shift / np.maximum(n, 1),
            "rhythm": (_usual(middle, owner) - middle) * weigh,
            "spread": (_usual(spread, owner) - spread) * weigh,
            "mix": self._mix(owner),
            "walk": _more(near, steps, owner),
            "failed": _more(self.count(a.failed), n, owner),
        }

    def _overlap(self, owner: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of looks within a minute of one from a device that the owner uses more often than this one."""
        others, _ = _others(self.devices, owner)
        known = np.zeros(self.beside.shape[1])
        np.add.at(known, self.devices[self.devices >= 0], owner[self.devices >= 0])
        above = known[None, :] > others[:, None] + owner[:, None]
        share = (self.beside * above).sum(axis=1) / np.maximum(self.n, 1)
        return np.where(self.devices < 0, np.nan, np.minimum(share, 1.0))

    def _hour(self, owner: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of looks at hours that hold under `RARE` of the owner's, smoothed over the neighbouring hours."""
        others = (owner[:, None] * self.hours).sum(axis=0)[None, :] - owner[:, None] * self.hours
        middle = (others + np.roll(others, 1, axis=1) + np.roll(others, -1, axis=1)) / 3
        roles = [post_of(self.posts, session.first) for session in self.activity.sessions]
        usual = np.stack([self.habits.hours.get(p.role if p else "", self.habits.hours[""]) for p in roles])
        density = (middle + self.habits.strength * usual) / (middle.sum(axis=1, keepdims=True) + self.habits.strength)
        odd = (self.hours * (density < RARE)).sum(axis=1)
        share: NDArray[np.float64] = odd / (self.n + _STRENGTH)
        return share

    def _mix(self, owner: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of looks of a kind, in an app or at fields that under thrice `RARE` of the owner's have."""
        others = (owner[:, None] * self.mix).sum(axis=0)[None, :] - owner[:, None] * self.mix
        whole = others.sum(axis=1, keepdims=True)
        odd = (self.mix * (others < 3 * RARE * whole)).sum(axis=1) / (self.n + _STRENGTH)
        return np.where(whole[:, 0] < _BASE_STRENGTH, np.nan, odd)


def _codes(names: list[str]) -> NDArray[np.int64]:
    """Code of each name, by sorted name; -1 for "" - int64[n]."""
    known = {name: code for code, name in enumerate(sorted(set(names) - {""}))}
    return np.array([known.get(name, -1) for name in names], np.int64)


def _others(codes: NDArray[np.int64], owner: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(weight of the owner's other sessions with the same code, of all his other sessions); float64[s] both."""
    weight = np.where(codes >= 0, owner, 0.0)
    held = np.bincount(codes[codes >= 0], weights=owner[codes >= 0], minlength=1)
    return np.where(codes >= 0, held[np.maximum(codes, 0)] - weight, 0.0), weight.sum() - weight


def _odds(share: NDArray[np.float64]) -> NDArray[np.float64]:
    kept = np.clip(share, 1e-4, 1 - 1e-4)
    out: NDArray[np.float64] = np.log(kept / (1 - kept))
    return out


def _rate(
    k: NDArray[np.float64], n: NDArray[np.float64], owner: NDArray[np.float64], base: float, strength: float
) -> NDArray[np.float64]:
    """The owner's rate from his other sessions, shrunk to `base`; float64[s]."""
    hits = (owner * k).sum() - owner * k
    whole = (owner * n).sum() - owner * n
    rate: NDArray[np.float64] = (hits + base * strength) / (whole + strength)
    return rate


def _more(k: NDArray[np.float64], n: NDArray[np.float64], owner: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the log odds of k in n lie above the owner's own rate; NaN where n is 0."""
    rate = _rate(k, n, owner, _BASE_RATE, _BASE_STRENGTH)
    share = (k + _STRENGTH * rate) / (n + _STRENGTH)
    return np.where(n > 0, _odds(share) - _odds(rate), np.nan)


def _fewer(k: NDArray[np.float64], n: NDArray[np.float64], owner: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the log odds of k in n lie below the owner's own rate; NaN where n is 0 or he hardly ever does it."""
    rate = _rate(k, n, owner, 0.0, 1.0)
    share = (k + _STRENGTH * rate) / (n + _STRENGTH)
    return np.where((n > 0) & (rate >= _WORK_RATE_MIN), _odds(rate) - _odds(share), np.nan)


def _usual(value: NDArray[np.float64], owner: NDArray[np.float64]) -> NDArray[np.float64]:
    """The owner's mean of a value over his other sessions; NaN where there are under `HABIT_MIN` of them."""
    held = np.where(np.isnan(value), 0.0, owner)
    total = np.nansum(held * np.nan_to_num(value)) - held * np.nan_to_num(value)
    whole = held.sum() - held
    return np.where(whole >= HABIT_MIN, total / np.maximum(whole, 1e-9), np.nan)

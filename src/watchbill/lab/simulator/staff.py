"""Who works for the carrier: accounts by outlet and role, the days they work, and the terminals they use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from watchbill.lab.simulator.places import FAR, Places
from watchbill.lab.simulator.rows import DAY, HOUR
from watchbill.lab.simulator.seeds import I64, choose, mix, rng_for
from watchbill.lab.simulator.settings import WorldSettings

ROLES: Final = ("courier", "service", "clerk", "hub", "hq_support", "claims", "it", "legal", "robot")
COURIER, SERVICE, CLERK, HUB, HOTLINE, CLAIMS, IT, LEGAL, ROBOT = range(9)
EMPLOYMENT: Final = ("permanent", "franchise", "temp", "agency")
OUTLET_PCS: Final = 3
SLIP_ROLES: Final = (COURIER, SERVICE, CLERK, HUB, HOTLINE, CLAIMS)
"""Roles whose first looks now and then have no visible reason."""


@dataclass(slots=True)
class Staff:
    """Accounts in outlet order (so that an outlet's people of one role are a range); all arrays are per account.

    `hired`, `left` and `handset_day` are days of the world (`left` excluded; FAR = never). `working` has a column
    per day as `WorldSettings.day_index` numbers them.
    """

    ids: list[str]
    role: I64
    outlet: I64
    start: I64
    count: I64
    hired: I64
    left: I64
    employment: I64
    night: npt.NDArray[np.bool_]
    handset_day: I64
    rate: npt.NDArray[np.float64]
    working: npt.NDArray[np.bool_]
    roster_from: I64
    rostered: npt.NDArray[np.bool_]
    shared: npt.NDArray[np.bool_]
    warm_days: int
    covers: list[tuple[int, int, int, int, bool]] = field(default_factory=list)
    """(account, outlet, first day, last day, with ticket)."""
    spare: list[int] = field(default_factory=list)
    """Numbers given out years ago that nobody works with: on the roster, silent."""
    away_from: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    away_to: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    """Days of a long leave (FAR, FAR: none)."""
    helper: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros((2, 0, 0), np.int32))
    """Who helps out, by [courier 0 or service 1, outlet, day column]; -1 nobody."""

    def is_working(self, account: I64, day: I64) -> npt.NDArray[np.bool_]:
        """Whether the accounts work on the days; out of the calendar's span counts as its edge."""
        column = np.clip(day + self.warm_days, 0, self.working.shape[1] - 1)
        out: npt.NDArray[np.bool_] = self.working[account, column]
        return out

    def pick(self, role: int, outlet: I64, day: I64, rng: np.random.Generator) -> I64:
        """Somebody of the role at work at the outlet that day, or -1 where twelve draws found nobody."""
        found = np.full(len(outlet), -1)
        start, count = self.start[role][outlet], self.count[role][outlet]
        need = np.flatnonzero(count > 0)
        for _ in range(12):
            guess = start[need] + (rng.random(len(need)) * count[need]).astype(np.int64)
            ok = self.is_working(guess, day[need])
            found[need[ok]] = guess[ok]
            need = need[~ok]
        return found

    def helping(self, role: int, outlet: I64, day: I64) -> I64:
        """The account that helps out at the outlet that day (COURIER or SERVICE), or -1."""
        column = np.clip(day + self.warm_days, 0, self.working.shape[1] - 1)
        who: I64 = self.helper[role, outlet, column].astype(np.int64)
        return who

    def leave(self, account: int, day: int) -> None:
        """End an account at the beginning of a day."""
        self.left[account] = day
        self.working[account, day + self.warm_days :] = False

    def handset(self, account: I64, time: I64) -> I64:
        """Index of a courier's handset: the second one from `handset_day` on."""
        return account * 2 + (time >= self.handset_day[account] * DAY)


def build_staff(settings: WorldSettings, places: Places) -> Staff:
    """Draw all accounts, then who is hired, leaves, is on nights, changes handset, and who covers whom."""
    outlet, role, rate = _posts(settings, places)
    order = np.lexsort((role, outlet))
    outlet, role, rate = outlet[order], role[order], rate[order]
    n, n_places = len(outlet), len(places.ids)
    start, count = np.zeros((len(ROLES), n_places), np.int64), np.zeros((len(ROLES), n_places), np.int64)
    np.add.at(count, (role, outlet), 1)
    key = outlet * len(ROLES) + role
    for r in range(len(ROLES)):
        start[r] = np.searchsorted(key, np.arange(n_places) * len(ROLES) + r)
    first = np.searchsorted(outlet, np.arange(n_places))
    number = np.arange(n) - first[outlet] + 1
    ids = [f"{places.ids[o]}{k:04d}" for o, k in zip(outlet.tolist(), number.tolist(), strict=True)]
    staff = _people(settings, ids, role, outlet, start, count, rate)
    _calendar(settings, staff)
    _leaves(settings, staff)
    _covers(settings, places, staff)
    _spares(settings, places, staff)
    return staff


def _posts(settings: WorldSettings, places: Places) -> tuple[I64, I64, npt.NDArray[np.float64]]:
    """Outlet, role and parcels a day (couriers) of every post."""
    rng, rates, n = rng_for(settings.seed, "posts"), settings.rates, settings.outlets
    wanted = rng.lognormal(np.log(rates.couriers_mean * settings.scale), rates.couriers_sigma, n)
    couriers = np.maximum(2, wanted.round()).astype(np.int64)
    route_outlet = np.repeat(np.arange(n), couriers)
    sigma = rates.courier_parcels_sigma
    rate = np.clip(
        rng.lognormal(np.log(rates.courier_parcels_median), sigma, len(route_outlet)), 40, rates.courier_parcels_max
    )
    load = np.bincount(route_outlet, rate, n)
    hubs = np.arange(2 * n, 2 * n + places.n_cities)
    hub_load = np.bincount(places.city[:n], load, places.n_cities) * 2
    total = load.sum()
    head = {
        HOTLINE: max(3, round(total * (rates.call_hotline + rates.complaint_ticket) * 1.4 / rates.hotline_looks_day)),
        CLAIMS: max(2, round(total * rates.claim * rates.claim_looks / rates.claims_looks_day)),
        IT: max(2, n // 50), LEGAL: max(1, n // 200), ROBOT: 2 + n // 500,
    }  # fmt: skip
    groups = [
        (route_outlet, COURIER),
        (np.repeat(np.arange(n), np.maximum(1, (load / rates.parcels_per_service).round().astype(int))), SERVICE),
        (
            np.repeat(
                np.arange(n, 2 * n), np.maximum(1, (load * rates.held / rates.held_per_clerk).round().astype(int))
            ),
            CLERK,
        ),
        (np.repeat(hubs, np.maximum(2, (hub_load / rates.parcels_per_hub_worker).round().astype(int))), HUB),
        *((np.full(k, places.hq), role) for role, k in head.items()),
    ]
    outlet = np.concatenate([o for o, _ in groups])
    role = np.concatenate([np.full(len(o), r) for o, r in groups])
    all_rates = np.zeros(len(outlet))
    all_rates[: len(rate)] = rate
    return outlet, role, all_rates


def _people(
    settings: WorldSettings, ids: list[str], role: I64, outlet: I64, start: I64, count: I64,
    rate: npt.NDArray[np.float64],
) -> Staff:  # fmt: skip
    rng, stress, n, days = rng_for(settings.seed, "people"), settings.stress, len(ids), settings.days
    movable = np.isin(role, (COURIER, SERVICE, CLERK, HUB)) & (count[role, outlet] > 1)
    some_day = rng.integers(1, max(days, 2), n)
    hired = np.where(movable & (rng.random(n) < stress.new_hire), some_day, _long_ago(settings, n))
    leaves = movable & (hired < 0) & (rng.random(n) < stress.leaver)
    if stress.leaver > 0 and movable.any():
        leaves[rng.choice(np.flatnonzero(movable & (hired < 0)))] = True
        early = np.flatnonzero(leaves)[0]
        some_day[early] = min(some_day[early], 3)
    left = np.where(leaves, some_day, FAR)
    employment = np.where(outlet < 2 * settings.outlets, 1, 0)
    employment = np.where((role == COURIER) & (rng.random(n) < stress.temp), 2, employment)
    night = np.isin(role, (HUB, HOTLINE)) & (rng.random(n) < stress.night_shift)
    changes = (role == COURIER) & (rng.random(n) < stress.new_handset)
    late = (rng.random(n) < stress.roster_late) & (role != ROBOT)
    small = count[COURIER][np.minimum(outlet, settings.outlets - 1)] <= 4
    shared = (role == SERVICE) & small & (rng.random(n) < stress.shared_number)
    return Staff(
        ids, role, outlet, start, count, hired, left, employment, night,
        np.where(changes, rng.integers(1, max(days, 2), n), FAR // DAY), rate, np.zeros((n, 1), np.bool_),
        np.where(late, np.maximum(hired, 0) + rng.integers(1, 6, n), hired),
        (rng.random(n) >= stress.roster_missing) | (role == ROBOT), shared, settings.warm_days,
    )  # fmt: skip


def _calendar(settings: WorldSettings, staff: Staff) -> None:
    day = np.arange(settings.width) - settings.warm_days
    account = np.arange(len(staff.ids))
    # Neighbours in the numbering, so colleagues of one role, have different days off.
    off = ((account + choose(staff.outlet, 11, 7))[:, None] + day[None, :]) % 7 == 0
    alone = staff.count[staff.role, staff.outlet] <= 1
    off &= ~(alone | (staff.role == ROBOT))[:, None]
    staff.working = ~off & (day[None, :] >= staff.hired[:, None]) & (day[None, :] < staff.left[:, None])


def _long_ago(settings: WorldSettings, n: int) -> I64:
    """Days of hiring before the world: churn is high, 61 % are there for under three years (domain.md)."""
    tenure = rng_for(settings.seed, "tenure").exponential(1163, n)
    return -settings.warm_days - np.clip(tenure, 20, 7300).astype(np.int64)


def _leaves(settings: WorldSettings, staff: Staff) -> None:
    """Long leaves: whole weeks without a trace, then the person is back."""
    rng, n, days = rng_for(settings.seed, "long leave"), len(staff.ids), settings.days
    length = max(10, days * 2 // 3)
    movable = (staff.count[staff.role, staff.outlet] > 1) & (staff.role != ROBOT) & (staff.hired < 0)
    away = movable & (staff.left == FAR) & (rng.random(n) < settings.stress.long_leave) & (days > length)
    start = rng.integers(0, max(days - length, 1), n)
    staff.away_from, staff.away_to = np.where(away, start, FAR), np.where(away, start + length, FAR)
    day = np.arange(settings.width) - settings.warm_days
    staff.working &= ~((day >= staff.away_from[:, None]) & (day < staff.away_to[:, None]))


def _spares(settings: WorldSettings, places: Places, staff: Staff) -> None:
    """Add couriers' numbers without an owner at work; they stand last, so that nobody else's draws move."""
    n, k = len(staff.ids), 8 + settings.outlets // 50
    outlet = rng_for(settings.seed, "spares").integers(0, settings.outlets, k)
    staff.spare = list(range(n, n + k))
    staff.ids += [f"{places.ids[o]}9{i:03d}" for i, o in enumerate(outlet.tolist())]
    staff.outlet = np.append(staff.outlet, outlet)
    for name, value in (
        ("role", COURIER), ("hired", -settings.warm_days - 900), ("left", FAR), ("employment", 1), ("night", False),
        ("handset_day", FAR // DAY), ("rate", 0.0), ("roster_from", -settings.warm_days - 900), ("rostered", True),
        ("shared", False), ("away_from", FAR), ("away_to", FAR),
    ):  # fmt: skip
        old = getattr(staff, name)
        setattr(staff, name, np.append(old, np.full(k, value, old.dtype)))
    staff.working = np.vstack([staff.working, np.zeros((k, staff.working.shape[1]), np.bool_)])


def _covers(settings: WorldSettings, places: Places, staff: Staff) -> None:
    """Neighbours that help out for one to three days: a courier takes a route, or a service clerk the desk."""
    rng, n = rng_for(settings.seed, "covers"), settings.outlets
    staff.helper = np.full((2, len(places.ids), settings.width), -1, np.int32)
    for day in range(settings.days):
        for outlet in np.flatnonzero(rng.random(n) < settings.stress.cover):
            near = np.flatnonzero((places.city[:n] == places.city[outlet]) & (np.arange(n) != outlet))
            if not near.size:
                continue
            last = min(day + int(rng.integers(0, 3)), settings.days - 1)
            ticket = bool(rng.random() >= settings.stress.cover_without_ticket)
            role = COURIER if rng.random() < 0.5 else SERVICE
            helper = int(staff.pick(role, near[:1], np.array([day]), rng)[0])
            if helper >= 0:
                staff.covers.append((helper, int(outlet), day, last, ticket))
                staff.helper[role, outlet, day + settings.warm_days : last + 1 + settings.warm_days] = helper


def slip_chance(settings: WorldSettings, staff: Staff, day: int) -> npt.NDArray[np.float64]:
    """Chance, per account and this day, that a first look has no visible reason: beta over accounts, then over days.

    Half of `no_reason_rho` lies between accounts and half between an account's days, so looks of one account-day
    correlate by about rho.
    """
    mean, half = settings.stress.no_reason, settings.stress.no_reason_rho / 2
    n = len(staff.ids)
    if mean <= 0:
        return np.zeros(n)
    size = 1 / half - 1
    own = np.clip(rng_for(settings.seed, "slip").beta(mean * size, (1 - mean) * size, n), 1e-6, 1 - 1e-6)
    today = rng_for(settings.seed, "slip day", day).beta(own * size, (1 - own) * size)
    out: npt.NDArray[np.float64] = np.where(np.isin(staff.role, SLIP_ROLES), today, 0.0)
    return out


@dataclass(slots=True)
class Terminals:
    """Names of devices and addresses; both grow when an attack brings its own."""

    devices: list[str]
    ips: list[str]
    pc_start: int
    _device_at: dict[str, int] = field(default_factory=dict)
    _ip_at: dict[str, int] = field(default_factory=dict)

    def device(self, name: str) -> int:
        """Index of a device that is not the carrier's, added when new."""
        if name not in self._device_at:
            self._device_at[name] = len(self.devices)
            self.devices.append(name)
        return self._device_at[name]

    def ip(self, address: str) -> int:
        """Index of an address, added when new."""
        if address not in self._ip_at:
            self._ip_at[address] = len(self.ips)
            self.ips.append(address)
        return self._ip_at[address]


def build_terminals(settings: WorldSettings, places: Places, staff: Staff) -> Terminals:
    """Two handset numbers an account (the second one unused until it changes), then PCs of every place."""
    scramble = (mix(np.arange(len(staff.ids) * 2), settings.seed + 77) % np.uint64(10**11)).tolist()
    devices = [f"HS{k:011d}" for k in scramble]
    pc_start = len(devices)
    devices += [f"PC-{place}-{k + 1}" for place in places.ids for k in range(OUTLET_PCS)]
    devices += ["SRV-LABEL-1", "SRV-NOTICE-1"]
    return Terminals(devices, list(places.ips), pc_start)


def attach(rows: npt.NDArray[np.void], staff: Staff, places: Places, terminals: Terminals) -> None:
    """Give honest looks their session, device and address, in place: handset and mobile NAT, or counter PC and outlet NAT."""
    account, time = rows["account"].astype(np.int64), rows["time"]
    day, hour = time // DAY, time // HOUR
    role, outlet = staff.role[account], places.now(staff.outlet[account], time)
    half = (time % DAY >= 13 * HOUR) & (choose(account + day * 7919, 3, 3) == 0)
    rows["session"] = mix((account * 4096 + day) * 2 + half, 21) % np.uint64(10**13)
    counter = terminals.pc_start + outlet * OUTLET_PCS + choose(account + day * 7919, 5, OUTLET_PCS)
    own_pc = terminals.pc_start + outlet * OUTLET_PCS + choose(account, 5, OUTLET_PCS)
    is_robot, is_courier = role == ROBOT, role == COURIER
    server = terminals.pc_start + len(places.ids) * OUTLET_PCS + account % 2
    device = np.where(np.isin(role, (SERVICE, CLERK)), counter, own_pc)
    device = np.where(is_courier, staff.handset(account, time), device)
    rows["device"] = np.where(is_robot, server, device)
    mobile = places.mobile_ip(places.city[outlet], choose(account + hour * 104729, 9, 2**20))
    ip = np.where(is_courier, mobile, outlet)
    rows["ip"] = np.where(is_robot, len(places.ips) - 2 + account % 2, ip)

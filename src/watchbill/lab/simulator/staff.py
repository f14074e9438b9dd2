"""Who works for the carrier: accounts by outlet and role, the days they work, and the terminals they use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from watchbill.lab.simulator.places import FAR, Places, robots
from watchbill.lab.simulator.rows import DAY, HOUR
from watchbill.lab.simulator.seeds import I64, choose, mix, rng_for
from watchbill.lab.simulator.settings import WorldSettings

ROLES: Final = ("courier", "service", "clerk", "hub", "hq_support", "claims", "it", "legal", "robot")
COURIER, SERVICE, CLERK, HUB, HOTLINE, CLAIMS, IT, LEGAL, ROBOT = range(9)
EMPLOYMENT: Final = ("permanent", "franchise", "temp", "agency")
OUTLET_PCS: Final = 3
HOURS: Final = {COURIER: (7, 21), SERVICE: (8, 22), CLERK: (8, 22), HUB: (0, 24), HOTLINE: (8, 24), ROBOT: (0, 24)}
"""Planned hours of a day's shift by role (others: 8 to 21)."""
NIGHT_ENDS, NIGHT_BEGINS = 8, 20
HUB_SCANNERS: Final = 4
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
    reinstalled: npt.NDArray[np.bool_]
    warm_days: int
    covers: list[tuple[int, int, int, int, bool]] = field(default_factory=list)
    """(account, outlet, first day, last day, with ticket)."""
    spare: list[int] = field(default_factory=list)
    """Numbers given out years ago that nobody works with: on the roster, silent."""
    away_from: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    away_to: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    """Days of a long leave (FAR, FAR: none)."""
    travel_from: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    travel_to: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    travel_city: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    vpn: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    night_count: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    """By place: hub workers on nights, who stand first among them."""
    overtime: float = 0.0
    helper: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros((2, 0, 0), np.int32))
    """Who helps out, by [courier 0 or service 1, outlet, day column]; -1 nobody."""

    def is_working(self, account: I64, day: I64) -> npt.NDArray[np.bool_]:
        """Whether the accounts work on the days; out of the calendar's span counts as its edge."""
        column = np.clip(day + self.warm_days, 0, self.working.shape[1] - 1)
        out: npt.NDArray[np.bool_] = self.working[account, column]
        return out

    def on_shift(self, role: int, outlet: I64, time: I64) -> tuple[I64, I64]:
        """First account and number of accounts of a role at places whose shift it is: hubs have a day and a night."""
        start, count = self.start[role][outlet], self.count[role][outlet]
        if role != HUB:
            return start, count
        nights, hour = self.night_count[outlet], time % DAY // HOUR
        night, split = (hour < NIGHT_ENDS) | (hour >= NIGHT_BEGINS), nights > 0
        first = np.where(split & ~night, start + nights, start)
        return first, np.where(split, np.where(night, nights, count - nights), count)

    def shift(self, account: I64, day: I64) -> tuple[I64, I64]:
        """Planned hours of an account's day (nights: outside them); overtime ends three hours after the plan."""
        low, high = (
            np.array([HOURS.get(r, (8, 21))[k] for r in range(len(ROLES))])[self.role[account]] for k in (0, 1)
        )
        split = (self.role[account] == HUB) & (self.night_count[self.outlet[account]] > 0)
        low, high = np.where(split, NIGHT_ENDS, low), np.where(split, NIGHT_BEGINS, high)
        early = np.isin(self.role[account], (COURIER, SERVICE, CLERK))
        early &= choose(account * 4099 + day, 13, 10_000) < self.overtime * 10_000
        return low, high - 3 * early

    def pick(self, role: int, outlet: I64, day: I64, rng: np.random.Generator, *, time: I64 | None = None) -> I64:
        """Somebody of the role at work at the outlet that day (hubs: at that time), or -1 where twelve draws found nobody."""
        found = np.full(len(outlet), -1)
        start, count = self.on_shift(role, outlet, day * DAY + DAY // 2 if time is None else time)
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
    _trips(settings, places, staff)
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
        IT: max(2, n // 50), LEGAL: max(1, n // 200), ROBOT: robots(settings),
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
    rng.random(n)  # where nights were once drawn: later draws keep their place
    nights = (count[HUB] * stress.night_shift).round().astype(np.int64)
    nights = np.where(nights < count[HUB], nights, 0)
    night = (role == HUB) & (np.arange(n) - start[HUB][outlet] < nights[outlet])
    changes = (role == COURIER) & (rng.random(n) < stress.new_handset)
    late = (rng.random(n) < stress.roster_late) & (role != ROBOT)
    small = count[COURIER][np.minimum(outlet, settings.outlets - 1)] <= 4
    shared = (role == SERVICE) & small & (rng.random(n) < stress.shared_number)
    staff = Staff(
        ids, role, outlet, start, count, hired, left, employment, night,
        np.where(changes, rng.integers(1, max(days, 2), n), FAR // DAY), rate, np.zeros((n, 1), np.bool_),
        np.where(late, np.maximum(hired, 0) + rng.integers(1, 6, n), hired),
        (rng.random(n) >= stress.roster_missing) | (role == ROBOT), shared, np.zeros(n, np.bool_), settings.warm_days,
        night_count=nights, overtime=stress.overtime,
    )  # fmt: skip
    _temp_wave(settings, staff)
    _reinstall(settings, staff)
    return staff


def _temp_wave(settings: WorldSettings, staff: Staff) -> None:
    """Temporary couriers who all begin in one week; the first of every outlet is an old hand."""
    rng, n = rng_for(settings.seed, "temp wave"), len(staff.ids)
    able = (staff.role == COURIER) & (np.arange(n) > staff.start[COURIER][staff.outlet]) & (staff.left == FAR)
    new = able & (rng.random(n) < settings.stress.temp_wave)
    day = rng.integers(1, max(settings.days - 7, 2)) + rng.integers(0, 7, n)
    staff.hired = np.where(new, np.minimum(day, max(settings.days - 1, 1)), staff.hired)
    staff.roster_from = np.where(new, staff.hired, staff.roster_from)
    staff.employment = np.where(new, 2, staff.employment)


def _reinstall(settings: WorldSettings, staff: Staff) -> None:
    """One day on which the app is installed anew: another device id in the same hands."""
    rng, n = rng_for(settings.seed, "reinstall"), len(staff.ids)
    day, share = int(rng.integers(settings.days // 2, settings.days)), settings.stress.app_reinstall
    staff.reinstalled = (staff.role == COURIER) & (rng.random(n) < share)
    staff.handset_day = np.where(staff.reinstalled, day, staff.handset_day)


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


def _trips(settings: WorldSettings, places: Places, staff: Staff) -> None:
    """Desk staff who travel two to four days, and headquarters' people who work through the VPN."""
    rng, n, days = rng_for(settings.seed, "trips"), len(staff.ids), settings.days
    at_desk = np.isin(staff.role, (SERVICE, HOTLINE, CLAIMS)) & ~staff.shared
    goes = at_desk & (rng.random(n) < settings.stress.travel)
    first = rng.integers(0, days, n)
    staff.travel_from, staff.travel_to = np.where(goes, first, FAR), np.where(goes, first + rng.integers(2, 5, n), FAR)
    staff.travel_city = (places.city[staff.outlet] + rng.integers(1, max(places.n_cities, 2), n)) % places.n_cities
    staff.vpn = np.isin(staff.role, (HOTLINE, CLAIMS, IT, LEGAL)) & (rng.random(n) < settings.stress.vpn)


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
        ("shared", False), ("away_from", FAR), ("away_to", FAR), ("travel_from", FAR), ("travel_to", FAR), ("travel_city", 0),
        ("vpn", False), ("reinstalled", False),
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
    """Names of devices and addresses; both grow when an attack brings its own.

    From `pc_start` on stand `OUTLET_PCS` counters of every place, then the robots' hosts, a label PC of every outlet, and
    `HUB_SCANNERS` scanners of every hub.
    """

    devices: list[str]
    ips: list[str]
    pc_start: int
    server_start: int
    label_start: int
    scanner_start: int
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
    server_start = len(devices)
    devices += [f"SRV-{('LABEL', 'NOTICE')[k % 2]}-{k // 2 + 1}" for k in range(places.n_servers)]
    label_start = len(devices)
    devices += [f"PC-{place}-LABEL" for place in places.ids[: places.n_outlets]]
    scanner_start = len(devices)
    hubs = places.ids[2 * places.n_outlets : -1]
    devices += [f"SC-{hub}-{k + 1}" for hub in hubs for k in range(HUB_SCANNERS)]
    return Terminals(devices, list(places.ips), pc_start, server_start, label_start, scanner_start)


def attach(rows: npt.NDArray[np.void], staff: Staff, places: Places, terminals: Terminals) -> None:
    """Give looks their session, device and address, in place: handset and mobile NAT, or counter PC and outlet NAT.

    A row that has a device already (a shared label PC) keeps it and has a session of its own there.
    """
    account, time = rows["account"].astype(np.int64), rows["time"]
    day, role = time // DAY, staff.role[account]
    outlet, placed = places.now(staff.outlet[account], time), rows["device"] >= 0
    half = (time % DAY >= 13 * HOUR) & (choose(account + day * 7919, 3, 3) == 0)
    rows["session"] = mix((account * 4096 + day) * 2 + half + placed * 2**50, 21) % np.uint64(10**13)
    counter = terminals.pc_start + outlet * OUTLET_PCS + choose(account + day * 7919, 5, OUTLET_PCS)
    own_pc = terminals.pc_start + outlet * OUTLET_PCS + choose(account, 5, OUTLET_PCS)
    is_courier, robot = role == COURIER, account - staff.start[ROBOT][places.hq]
    device = np.where(np.isin(role, (SERVICE, CLERK)), counter, own_pc)
    device = np.where(is_courier, staff.handset(account, time), device)
    ip = np.where(is_courier, places.mobile_ip(places.city[outlet], _nat(account, time)), outlet)
    by_vpn, trip = remote(staff, account, day)
    # Who is on the road, or at home, has a terminal of his own.
    device = np.where(by_vpn | trip, account * 2, device)
    ip = np.where(by_vpn, places.vpn_ip(account), ip)
    ip = np.where(trip, places.mobile_ip(staff.travel_city[account], _nat(account, time)), ip)
    rows["ip"] = np.where(role == ROBOT, places.server_ip(robot), np.where(placed, outlet, ip))
    device = np.where(role == ROBOT, terminals.server_start + robot, device)
    rows["device"] = np.where(placed, rows["device"], device)


def remote(staff: Staff, account: I64, day: I64) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Who works through the VPN that day, and who is travelling."""
    trip = (day >= staff.travel_from[account]) & (day < staff.travel_to[account])
    return staff.vpn[account] & (choose(account + day * 7919, 17, 2) == 0) & ~trip, trip


def _nat(account: I64, time: I64) -> I64:
    """Which of a city's mobile addresses somebody has in that hour."""
    return choose(account + time // HOUR * 104729, 9, 2**20)

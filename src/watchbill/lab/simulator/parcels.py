"""The parcels ordered on one day and their whole life: when and where each scan happens, and who has the work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from watchbill.lab.simulator.places import Places
from watchbill.lab.simulator.rows import DAY, HOUR, MINUTE, NO_TIME, PARCEL, Rows
from watchbill.lab.simulator.seeds import I64, rng_for
from watchbill.lab.simulator.settings import WorldSettings
from watchbill.lab.simulator.staff import COURIER, Staff

F64 = npt.NDArray[np.float64]
EVENTS: Final = (
    "ordered", "cancelled", "picked_up", "dep_origin", "arr_a", "dep_a", "arr_mid", "dep_mid", "arr_b", "rerouted", "dep_b",
    "arr_dest", "out", "problem", "out2", "delivered", "held", "refused", "signed", "returning", "dep_back", "arr_back",
    "dep_home", "arr_home", "home",
)  # fmt: skip
"""Columns of `Life.at`, in the order of a life."""
STATUS_OF: Final = (
    "ordered", "cancelled", "picked_up", "departed", "arrived", "departed", "arrived", "departed", "arrived", "rerouted",
    "departed", "arrived", "out_for_delivery", "problem", "out_for_delivery", "delivered", "held_at_station", "refused",
    "signed", "returning", "departed", "arrived", "departed", "arrived", "signed",
)  # fmt: skip
E: Final = {name: i for i, name in enumerate(EVENTS)}
MORNING, NOON, EVENING = 8 * HOUR, 14 * HOUR + 30 * MINUTE, 20 * HOUR + 30 * MINUTE
LONG_KM: Final = 1200.0
TRUCK_KMH: Final = 65.0
POPULATION: Final = 4000
"""Customers of one courier's route (est.)."""


@dataclass(slots=True)
class Life:
    """Parcels of one order day (n rows) and the time of each event (n x events, NO_TIME where it never happens).

    `received` is when a late scan reached the log (-1: at once; `down`: because the feed was; `skewed`: its clock is ahead),  `pickup` and `courier2` the accounts of the pick-up and
    the second try (-1: nobody), `mid` the hub half way, `home` the outlet whose staff have the parcel.
    """

    day: int
    parcels: Rows
    at: I64
    received: I64
    down: npt.NDArray[np.bool_]
    skewed: npt.NDArray[np.bool_]
    pickup: I64
    courier2: I64
    mid: I64
    home: I64
    covered: npt.NDArray[np.bool_]

    def time(self, event: str) -> I64:
        """Times of one event."""
        out: I64 = self.at[:, E[event]]
        return out

    def has(self, event: str) -> npt.NDArray[np.bool_]:
        """Which parcels have the event."""
        out: npt.NDArray[np.bool_] = self.at[:, E[event]] != NO_TIME
        return out


def surge_factor(settings: WorldSettings, day: int) -> float:
    """Factor on orders: the surge begins on a day drawn from the world's middle."""
    if settings.days < 5 or settings.stress.surge <= 1:
        return 1.0
    first = int(rng_for(settings.seed, "surge").integers(1, settings.days - 2))
    return settings.stress.surge if first <= day < first + settings.stress.surge_days else 1.0


def weekly_factor(settings: WorldSettings, day: int) -> float:
    """Factor on orders by day of the week: most on Monday, fewest on Sunday, mean 1."""
    return 1 + settings.rates.weekly * (3 - (settings.weekday + day) % 7) / 3


def return_share(settings: WorldSettings, day: int) -> float:
    """Share of the day's orders that are refused: on two days of a mass return many."""
    if settings.stress.mass_return <= 0:
        return settings.rates.refused
    first = int(rng_for(settings.seed, "mass return").integers(0, max(settings.days - 4, 1)))
    return settings.stress.mass_return if first <= day < first + 2 else settings.rates.refused


def subject_of(kind: int, outlet: I64, number: I64) -> I64:
    """A customer's number: kind (1 person, 2 shop), outlet, number in it."""
    return kind * 10**10 + outlet.astype(np.int64) * 10**5 + number


def waybill_of(outlet: I64, day: int, serial: I64, warm_days: int) -> I64:
    """A 13-digit number: adjacent within one origin outlet and day."""
    return (outlet.astype(np.int64) + 10_000) * 10**8 + (day + warm_days) * 10**5 + serial


def live(settings: WorldSettings, places: Places, staff: Staff, day: int) -> Life:
    """All parcels ordered on `day`, with their lives."""
    rng = rng_for(settings.seed, "parcels", day)
    couriers = np.flatnonzero((staff.role == COURIER) & (staff.rate > 0))
    mean = (
        staff.rate[couriers]
        * surge_factor(settings, day)
        * weekly_factor(settings, day)
        * rng.gamma(25, 1 / 25, len(couriers))
    )
    route = np.repeat(couriers, rng.poisson(mean))
    n = len(route)
    parcels = np.zeros(n, PARCEL)
    dest = staff.outlet[route]
    parcels["origin"] = _origins(settings, places, staff, dest, rng)
    parcels["ordered"] = day * DAY + (np.clip(rng.normal(14.5, 4.2, n), 0.2, 23.8) * HOUR).astype(np.int64)
    _number(settings, parcels, day)
    people = POPULATION * staff.count[COURIER]
    pop = np.minimum(people, 79_999)
    parcels["recipient"] = subject_of(1, dest, (pop[dest] * rng.random(n) ** 1.7).astype(np.int64))
    shop = rng.random(n) < settings.rates.shop_sender
    origin = parcels["origin"].astype(np.int64)
    shops = subject_of(2, origin, (staff.count[COURIER][origin] * 40 * rng.random(n) ** 2.5).astype(np.int64))
    person = subject_of(1, origin, (pop[origin] * rng.random(n)).astype(np.int64))
    parcels["sender"] = np.where(shop, shops, person)
    parcels["dest"] = dest
    return _fates(settings, places, staff, day, parcels, route, rng)


def _origins(settings: WorldSettings, places: Places, staff: Staff, dest: I64, rng: np.random.Generator) -> I64:
    n = settings.outlets
    weight = np.cumsum(staff.count[COURIER][:n] * rng_for(settings.seed, "shops").lognormal(0, 0.4, n))
    anywhere = np.searchsorted(weight, rng.random(len(dest)) * weight[-1], side="right").clip(0, n - 1)
    in_city = (dest % places.n_cities) + places.n_cities * rng.integers(0, max(n // places.n_cities, 1), len(dest))
    near = rng.random(len(dest)) < settings.rates.same_city
    return np.where(near & (in_city < n), in_city, anywhere)


def _number(settings: WorldSettings, parcels: Rows, day: int) -> None:
    """Number parcels by origin in order of time, leaving every `canary_every`-th number free for a canary."""
    order = np.lexsort((parcels["ordered"], parcels["origin"]))
    origin = parcels["origin"][order]
    rank = np.arange(len(order)) - np.searchsorted(origin, origin)
    every = settings.rates.canary_every
    serial = rank + (rank + every - 1 - canary_place(every)) // (every - 1)
    parcels["waybill"][order] = waybill_of(origin, day, serial, settings.warm_days)


def canary_place(every: int) -> int:
    """The serial (modulo `every`) that no real parcel gets."""
    return every * 2 // 3


def _to_day_time(time: I64, earliest: int, latest: int) -> I64:
    """Move times of night to the next working hours."""
    of_day = time % DAY
    early, late = of_day < earliest, of_day > latest
    return np.where(
        early,
        time - of_day + earliest + of_day // 8,
        np.where(late, time - of_day + DAY + earliest + (of_day - latest) // 4, time),
    )


def _hours(rng: np.random.Generator, low: float, high: float, n: int) -> I64:
    out: I64 = (rng.uniform(low, high, n) * HOUR).astype(np.int64)
    return out


def _fates(
    settings: WorldSettings, places: Places, staff: Staff, day: int, parcels: Rows, route: I64, rng: np.random.Generator
) -> Life:
    n, rates = len(parcels), settings.rates
    at = np.full((n, len(EVENTS)), NO_TIME)
    at[:, E["ordered"]] = parcels["ordered"]
    mid = _line_haul(places, parcels, at, rng)
    rerouted = rng.random(n) < rates.rerouted
    at[rerouted, E["rerouted"]] = at[rerouted, E["dep_b"]] - 10 * MINUTE
    new = np.where(rerouted, (parcels["dest"] + places.n_cities) % settings.outlets, parcels["dest"])
    parcels["dest"] = places.now(new.astype(np.int64), at[:, E["arr_dest"]])
    _last_mile(settings, parcels, at, return_share(settings, day), rng)
    cancelled = rng.random(n) < rates.cancelled
    at[cancelled, E["cancelled"]] = at[cancelled, E["ordered"]] + _hours(rng, 0.02, 0.9, int(cancelled.sum()))
    at[cancelled, E["cancelled"] + 1 :] = NO_TIME
    parcels["done"] = at.max(axis=1)
    first, second, covered = _assign(staff, parcels, at, route, rerouted, rng)
    parcels["courier"] = first
    pickup_day = np.where(at[:, E["picked_up"]] > 0, at[:, E["picked_up"]] // DAY, day)
    pickup = staff.pick(COURIER, parcels["origin"].astype(np.int64), pickup_day, rng)
    parcels["pickup"], parcels["picked"], parcels["arrived"] = pickup, at[:, E["picked_up"]], at[:, E["arr_dest"]]
    home = np.where(rerouted, new, staff.outlet[route]).astype(np.int64)
    return Life(
        day,
        parcels,
        at,
        np.full(at.shape, -1),
        np.zeros(at.shape, np.bool_),
        np.zeros(at.shape, np.bool_),
        pickup,
        second,
        mid,
        home,
        covered,
    )


def _line_haul(places: Places, parcels: Rows, at: I64, rng: np.random.Generator) -> I64:
    """From the order to the arrival at the destination outlet; returns the hub half way (or -1)."""
    n, origin, dest = len(parcels), parcels["origin"].astype(np.int64), parcels["dest"].astype(np.int64)
    ordered = parcels["ordered"]
    today = ordered % DAY < 17 * HOUR
    pick = np.where(today, ordered + _hours(rng, 1, 3.5, n), ordered - ordered % DAY + DAY + _hours(rng, 8.5, 11, n))
    at[:, E["picked_up"]] = pick
    truck = pick - pick % DAY + EVENING + (rng.normal(0, 15, n) * MINUTE).astype(np.int64)
    at[:, E["dep_origin"]] = np.maximum(truck, pick + 20 * MINUTE)
    at[:, E["arr_a"]] = at[:, E["dep_origin"]] + _hours(rng, 0.5, 1.6, n)
    ready = at[:, E["arr_a"]] + _hours(rng, 0.8, 3, n)
    km = places.distance_km(places.hub(origin), places.hub(dest))
    half_way = (places.city[origin] + places.city[dest] + 1) % places.n_cities
    far = km > 1
    long = (km > LONG_KM) & (half_way != places.city[origin]) & (half_way != places.city[dest])
    road = ((km / TRUCK_KMH + 1) * HOUR * rng.uniform(0.9, 1.25, n)).astype(np.int64)
    stop = _hours(rng, 1, 3, n)
    at[far, E["dep_a"]] = ready[far]
    at[long, E["arr_mid"]] = (ready + road // 2)[long]
    at[long, E["dep_mid"]] = (ready + road // 2 + stop)[long]
    arrive = np.where(far, ready + road + np.where(long, stop, 0), at[:, E["arr_a"]])
    at[far, E["arr_b"]] = arrive[far]
    sorted_at = arrive + _hours(rng, 0.7, 1.5, n)
    tod = sorted_at % DAY
    wave = np.where(tod < 4.5 * HOUR, 4.5 * HOUR, np.where(tod < 11.5 * HOUR, 11.5 * HOUR, 28.5 * HOUR)).astype(
        np.int64
    )
    at[:, E["dep_b"]] = sorted_at - tod + wave + (rng.random(n) * 40 * MINUTE).astype(np.int64)
    at[:, E["arr_dest"]] = at[:, E["dep_b"]] + _hours(rng, 0.7, 1.7, n)
    return np.where(long, 2 * places.n_outlets + half_way, -1)


def _last_mile(settings: WorldSettings, parcels: Rows, at: I64, refused_share: float, rng: np.random.Generator) -> None:
    n, rates = len(parcels), settings.rates
    arrived = at[:, E["arr_dest"]]
    tod, midnight = arrived % DAY, arrived - arrived % DAY
    start = np.where(tod < 8.5 * HOUR, MORNING, np.where(tod < NOON, NOON, DAY + MORNING)).astype(np.int64)
    out = np.maximum(midnight + start + (rng.random(n) * 50 * MINUTE).astype(np.int64), arrived + 10 * MINUTE)
    at[:, E["out"]] = out
    done = out + _hours(rng, 0.3, 4.6, n)
    bad = rng.random(n) < rates.problem
    at[bad, E["problem"]] = done[bad]
    out2 = done - done % DAY + DAY + MORNING + (rng.random(n) * 50 * MINUTE).astype(np.int64)
    at[bad, E["out2"]] = out2[bad]
    done = np.where(bad, out2 + _hours(rng, 0.3, 4.6, n), done)
    refused = rng.random(n) < refused_share
    held = ~refused & (rng.random(n) < rates.held)
    direct = ~refused & ~held
    at[direct, E["delivered"]] = done[direct]
    at[held, E["held"]] = done[held]
    fetched = _to_day_time(done + (rng.exponential(14, n) * HOUR).astype(np.int64) + 20 * MINUTE, 8 * HOUR, 21 * HOUR)
    fetched = np.minimum(fetched, done + 5 * DAY)
    signed = np.where(held, fetched, done + (rng.random(n) * 25 * MINUTE).astype(np.int64) + MINUTE)
    at[~refused, E["signed"]] = signed[~refused]
    _go_back(at, refused, done, rng)


def _go_back(at: I64, refused: npt.NDArray[np.bool_], done: I64, rng: np.random.Generator) -> None:
    k = int(refused.sum())
    time = done[refused]
    at[refused, E["refused"]] = time
    for event, low, high in (
        ("returning", 0.5, 3.0), ("dep_back", 4, 8), ("arr_back", 1, 2), ("dep_home", 8, 40), ("arr_home", 1, 2), ("home", 3, 8),
    ):  # fmt: skip
        time = time + _hours(rng, low, high, k)
        at[refused, E[event]] = time


def _assign(
    staff: Staff, parcels: Rows, at: I64, route: I64, rerouted: npt.NDArray[np.bool_], rng: np.random.Generator
) -> tuple[I64, I64, npt.NDArray[np.bool_]]:
    """Courier of the first and second try: the route's own unless off, else a colleague, else a covering neighbour."""
    home = staff.outlet[route]
    covered = np.zeros(len(route), np.bool_)
    tries = []
    for event in ("out", "out2"):
        time = at[:, E[event]]
        day = np.where(time == NO_TIME, 0, time // DAY)
        dest = parcels["dest"].astype(np.int64)
        own = staff.is_working(route, day) & ~rerouted
        # After a merger the old outlet's couriers still walk their routes, now for the outlet that took it over.
        other = staff.pick(COURIER, np.where(rerouted, dest, home), day, rng)
        chosen = np.where(own, route, np.where(other >= 0, other, route))
        # A covering neighbour takes the route of every outlet's first courier.
        helper = staff.helping(COURIER, home, day)
        mine = (helper >= 0) & (route == staff.start[COURIER][home]) & ~rerouted
        chosen = np.where(mine, helper, chosen)
        covered |= mine
        tries.append(np.where(time == NO_TIME, -1, chosen))
    return tries[0], tries[1], covered

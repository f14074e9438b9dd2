"""Honest looks that nobody clicks: scanners that read what they scan, label PCs, and lists exported at the end of the day."""

from __future__ import annotations

from typing import Final

import numpy as np

from watchbill.lab.simulator.looks import some
from watchbill.lab.simulator.parcels import E, Life
from watchbill.lab.simulator.places import Places
from watchbill.lab.simulator.rows import ABSENT, DAY, F_CONTACT, F_FULL, HOUR, MINUTE, Rows, app, look_rows, pile
from watchbill.lab.simulator.seeds import I64, choose, rng_for
from watchbill.lab.simulator.settings import WorldSettings
from watchbill.lab.simulator.staff import HUB_SCANNERS, SERVICE, Staff, Terminals

PAGE_ROWS: Final = 20


def machine_looks(settings: WorldSettings, places: Places, staff: Staff, terminals: Terminals, life: Life) -> Rows:
    """All such looks that one order day's parcels lead to."""
    rng = rng_for(settings.seed, "machines", life.day)
    return pile(
        [
            _hub_scanners(settings, places, terminals, life, rng),
            _handsets(settings, places, staff, life, rng),
            _label_desk(settings, staff, terminals, life, rng),
            _lists(settings, staff, life),
        ]
    )


def scanner_of(terminals: Terminals, places: Places, hub: I64, waybill: I64) -> I64:
    """The hub scanner that a parcel passes."""
    number = (hub - 2 * places.n_outlets) * HUB_SCANNERS + choose(waybill, 73, HUB_SCANNERS)
    return terminals.scanner_start + number


def _hub_scanners(
    settings: WorldSettings, places: Places, terminals: Terminals, life: Life, rng: np.random.Generator
) -> Rows:
    """A hub's scanner shows the address of some parcels in the seconds after it scanned them; no account is named."""
    chunks = []
    for event, at in (("arr_a", places.hub(life.parcels["origin"].astype(np.int64))), ("arr_b", places.hub(life.home))):
        has = some(life.has(event), settings.rates.hub_scanner_read, rng)
        scan, parcels = life.at[has, E[event]], life.parcels[has]
        chunks.append(
            look_rows(
                len(has), "view", parcels, time=scan + rng.integers(800, 6000, len(has)), trace=scan, app=app("hub"),
                device=scanner_of(terminals, places, at[has], parcels["waybill"]), ip=at[has], account=ABSENT,
            )
        )  # fmt: skip
    return pile(chunks)


def _handsets(settings: WorldSettings, places: Places, staff: Staff, life: Life, rng: np.random.Generator) -> Rows:
    """Some couriers' handsets show a parcel around its scan out, a few of them just before it; no account is named."""
    courier = life.parcels["courier"].astype(np.int64)
    reads = (courier >= 0) & (choose(courier, 71, 1000) < settings.rates.handset_reads * 1000)
    has = some(life.has("out") & reads, settings.rates.handset_read, rng)
    scan, who = life.at[has, E["out"]], courier[has]
    city, early = places.city[staff.outlet[who]], choose(who, 74, 1000) < settings.rates.handset_early * 1000
    return look_rows(
        len(has), "view", life.parcels[has], time=scan + np.where(early, -1, 1) * rng.integers(1000, 8000, len(has)), trace=scan,
        app=app("handset"), device=staff.handset(who, scan), ip=places.mobile_ip(city, choose(who, 72, 2**20)),
        account=ABSENT,
    )  # fmt: skip


def _label_desk(
    settings: WorldSettings, staff: Staff, terminals: Terminals, life: Life, rng: np.random.Generator
) -> Rows:
    """Labels printed again on the outlet's label PC, by whoever stands there: the courier who picked up, or a clerk."""
    has = some(life.has("picked_up") & (life.pickup >= 0), settings.rates.label_desk, rng)
    picked, outlet = life.at[has, E["picked_up"]], life.parcels["origin"][has].astype(np.int64)
    time = picked + rng.integers(20 * MINUTE, 150 * MINUTE, len(has))
    time = np.minimum(time, picked - picked % DAY + 20 * HOUR + 50 * MINUTE)
    clerk = staff.pick(SERVICE, outlet, time // DAY, rng)
    who = np.where((rng.random(len(has)) < 0.5) | (clerk < 0), life.pickup[has], clerk)
    looks = look_rows(
        len(has), "print", life.parcels[has], time=time, trace=picked, app=app("label"), account=who, fieldset=F_FULL,
        device=terminals.label_start + outlet,
    )  # fmt: skip
    # A neighbour who covers prints at home.
    kept: Rows = looks[(staff.outlet[who] == outlet) & (time > picked)]
    return kept


def _lists(settings: WorldSettings, staff: Staff, life: Life) -> Rows:
    """On some evenings a service clerk exports what has arrived that day and is still there; a record a parcel."""
    arrived, outlet = life.time("arr_dest"), life.parcels["dest"].astype(np.int64)
    day = np.maximum(arrived, 0) // DAY
    time = day * DAY + 18 * HOUR + choose(outlet * 31 + day, 63, 75) * MINUTE
    chosen = choose(outlet * 10_007 + day, 61, 1000) < settings.rates.service_export * 1000
    here = life.has("arr_dest") & chosen & (arrived < time) & (life.parcels["done"] > time)
    has = np.flatnonzero(here & (staff.count[SERVICE][outlet] > 0))
    has = has[np.lexsort((arrived[has], outlet[has]))]
    at = outlet[has]
    who = staff.start[SERVICE][at] + choose(at + day[has] * 17, 62, 2**30) % staff.count[SERVICE][at]
    nth = np.arange(len(has)) - np.searchsorted(at, at)
    looks = look_rows(
        len(has), "export", life.parcels[has], account=who, app=app("counter"), fieldset=F_CONTACT,
        trace=arrived[has], page=np.minimum(nth // PAGE_ROWS + 1, 99),
    )  # fmt: skip
    looks["time"] = time[has] + nth // PAGE_ROWS * 1500 + nth % PAGE_ROWS * 5
    kept: Rows = looks[staff.is_working(who, day[has])]
    return kept

"""Writes the reference tables of the contract as the carrier's own offices would keep them, gaps included."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Final

import numpy as np

from watchbill.lab.simulator.parcels import subject_of, waybill_of
from watchbill.lab.simulator.places import CITIES, FAR, Places
from watchbill.lab.simulator.rows import DAY
from watchbill.lab.simulator.seeds import I64
from watchbill.lab.simulator.settings import WorldSettings
from watchbill.lab.simulator.staff import (
    COURIER,
    EMPLOYMENT,
    HUB_SCANNERS,
    OUTLET_PCS,
    ROLES,
    SERVICE,
    Staff,
    Terminals,
)
from watchbill.lab.simulator.write import Names

SHIFTS_MAX: Final = 2_000_000
"""Rows of shifts above which the table is not written: it would be larger than the records."""
SHANGHAI: Final = timezone(timedelta(hours=8))


def write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """One CSV file with a header, UTF-8, LF."""
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(head)
        out.writerows(rows)


def write_reference(
    folder: Path, settings: WorldSettings, start: date, places: Places, staff: Staff, terminals: Terminals, names: Names
) -> None:
    """Write accounts, outlets, devices, networks and shifts (canaries come from `write_canaries`)."""
    write_csv(
        folder / "accounts.csv",
        ("account", "person", "role", "outlet", "from", "until", "supervisor", "employment"),
        _accounts(start, places, staff, names),
    )
    write_csv(
        folder / "outlets.csv", ("outlet", "name", "city", "lat", "lon", "parent"),
        (
            (places.ids[i], places.names[i], CITIES[places.city[i]][0], places.lat[i], places.lon[i], places.ids[places.parent[i]] if places.parent[i] != i else "")
            for i in range(len(places.ids))
        ),
    )  # fmt: skip
    write_csv(folder / "devices.csv", ("device", "outlet", "kind", "shared"), _devices(places, staff, terminals))
    write_csv(folder / "networks.csv", ("network", "place", "lat", "lon", "kind"), _networks(places))
    if len(staff.ids) * settings.days <= SHIFTS_MAX:
        write_csv(folder / "shifts.csv", ("account", "from", "until"), _shifts(settings, start, staff, names))


def _accounts(start: date, places: Places, staff: Staff, names: Names) -> Iterable[Sequence[object]]:
    """Roster rows; a merger ends a row and begins the next, a shared number has one row a person."""
    person = 0
    for i, account in enumerate(names.accounts[: len(staff.ids)]):
        person += 1
        if not staff.rostered[i]:
            continue
        begin, end = int(staff.roster_from[i]), int(staff.left[i])
        outlet, merge = int(staff.outlet[i]), int(places.merge_time[staff.outlet[i]])
        spans = [(begin, end, outlet)]
        if merge < FAR and begin < merge // DAY < end:
            spans = [(begin, merge // DAY, outlet), (merge // DAY, end, int(places.merge_to[outlet]))]
        elif merge < FAR and merge // DAY <= begin:
            spans = [(begin, end, int(places.merge_to[outlet]))]
        boss = staff.start[SERVICE][outlet] if staff.count[SERVICE][outlet] else staff.start[staff.role[i]][outlet]
        for k in range(2 if staff.shared[i] else 1):
            who = f"P{person * 2 + k:07d}"
            for first, last, where in spans:
                yield (
                    account, who, ROLES[staff.role[i]], places.ids[where], _day(start, first),
                    "" if last >= FAR else _day(start, last), "" if boss == i else names.accounts[boss],
                    EMPLOYMENT[staff.employment[i]],
                )  # fmt: skip


def _day(start: date, day: int) -> str:
    return (start + timedelta(days=day)).isoformat()


def _devices(places: Places, staff: Staff, terminals: Terminals) -> Iterable[Sequence[object]]:
    """Handsets of couriers (the second one only where it is ever used), PCs, servers."""
    for i in np.flatnonzero(staff.role == COURIER).tolist():
        listed = staff.handset_day[i] < FAR // DAY and not staff.reinstalled[i]
        for k in range(2 if listed else 1):
            yield terminals.devices[2 * i + k], places.ids[staff.outlet[i]], "handset", "false"
    for j in range(len(places.ids) * OUTLET_PCS):
        yield terminals.devices[terminals.pc_start + j], places.ids[j // OUTLET_PCS], "pc", "true"
    for name in terminals.devices[terminals.server_start : terminals.label_start]:
        yield name, "HQ", "server", "true"
    for k, name in enumerate(terminals.devices[terminals.label_start : terminals.scanner_start]):
        yield name, places.ids[k], "pc", "true"
    hubs = len(places.ids) - 1 - 2 * places.n_outlets
    for k in range(hubs * HUB_SCANNERS):
        hub = places.ids[2 * places.n_outlets + k // HUB_SCANNERS]
        yield terminals.devices[terminals.scanner_start + k], hub, "scanner", "true"


def _networks(places: Places) -> Iterable[Sequence[object]]:
    for i, address in enumerate(places.ips[: len(places.ids)]):
        yield f"{address}/32", places.ids[i], places.lat[i], places.lon[i], "office"
    for c in range(places.n_cities):
        name, _, lat, lon = CITIES[c]
        yield f"39.{c}.0.0/16", name, lat, lon, "mobile"
        yield f"113.{c}.0.0/16", name, lat, lon, "broadband"
    yield "10.20.0.0/16", "HQ", CITIES[0][2], CITIES[0][3], "datacentre"
    yield "10.66.0.0/16", "HQ", CITIES[0][2], CITIES[0][3], "vpn"


def _shifts(settings: WorldSettings, start: date, staff: Staff, names: Names) -> Iterable[Sequence[object]]:
    """Planned hours of every day at work; a night is two rows, its two ends within the calendar day."""
    working = staff.working[:, settings.warm_days : settings.warm_days + settings.days]
    account, day = np.nonzero(working)
    low, high = staff.shift(account, day)
    for i, d, begin, end in zip(*(axis.tolist() for axis in (account, day, low, high)), strict=True):
        midnight = datetime.combine(start + timedelta(days=d), datetime.min.time(), SHANGHAI)
        for first, last in ((0, begin), (end, 24)) if staff.night[i] else ((begin, end),):
            yield (
                names.accounts[i],
                (midnight + timedelta(hours=first)).isoformat(),
                (midnight + timedelta(hours=last)).isoformat(),
            )


def canary_subject(settings: WorldSettings, outlet: I64, day: int, place: I64) -> I64:
    """The customer who does not exist behind a canary waybill."""
    return subject_of(1, outlet, 80_000 + ((day + settings.warm_days) * 211 + place) % 19_999)


def write_canaries(
    path: Path, settings: WorldSettings, start: date, names: Names, made: list[tuple[int, I64, I64]]
) -> None:
    """Canary waybills and customers; `made` holds (day, outlets, serials)."""
    rows: list[tuple[str, str, str, str]] = []
    for day, outlet, serial in made:
        when = _day(start, day)
        bills = names.waybills(waybill_of(outlet, day, serial, settings.warm_days)).to_pylist()
        people = names.subjects(
            canary_subject(settings, outlet, day, serial // settings.rates.canary_every)
        ).to_pylist()
        rows += [(b, "", when, "range") for b in bills] + [("", p, when, "range") for p in people]
    write_csv(path, ("waybill", "subject", "placed", "note"), rows)

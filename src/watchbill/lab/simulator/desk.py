"""Honest looks at a desk: outlet service, hotline, claims, IT and legal, with the tickets that explain them."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from watchbill.lab.simulator.looks import again, minutes, some, trace_to
from watchbill.lab.simulator.parcels import E, Life
from watchbill.lab.simulator.places import Places
from watchbill.lab.simulator.rows import (
    ABSENT,
    DAY,
    F_BOTH,
    F_BOTH_CONTACT,
    F_CONTACT,
    F_FULL,
    F_NAME,
    HOUR,
    MINUTE,
    Rows,
    app,
    confuser,
    kind,
    look_rows,
    new_rows,
    pile,
    ticket_type,
)  # fmt: skip
from watchbill.lab.simulator.seeds import I64, choose, rng_for
from watchbill.lab.simulator.settings import WorldSettings
from watchbill.lab.simulator.staff import CLAIMS, HOTLINE, IT, LEGAL, SERVICE, Staff

OPEN_HOURS: Final = (8.5, 20.0)
CLEARING: Final = 17 * HOUR
SITTING_TENTHS: Final = 6
"""Tenths of a desk's looks that wait for a sitting (est.)."""
LOOSE_TICKETS: Final = 9 * 10**14
"""Numbers of tickets that belong to no parcel start here."""


def desk_rows(settings: WorldSettings, places: Places, staff: Staff, life: Life) -> Rows:
    """Everything at desks that one order day's parcels lead to."""
    rng, rates = rng_for(settings.seed, "desk", life.day), settings.rates
    origin = life.parcels["origin"].astype(np.int64)
    return pile(
        [
            _chase(settings, staff, life, rng, "arr_dest", life.home, rates.service_look),
            _chase(settings, staff, life, rng, "picked_up", origin, rates.origin_service_look),
            _problems(settings, staff, life, rng),
            _tickets(settings, staff, life, rng, "call", SERVICE, rates.call_outlet),
            _tickets(settings, staff, life, rng, "call", HOTLINE, rates.call_hotline),
            _tickets(settings, staff, life, rng, "complaint", HOTLINE, rates.complaint_ticket),
            _tickets(settings, staff, life, rng, "change", SERVICE, rates.change_ticket),
            _claims(settings, places, staff, life, rng),
            _scams(settings, life, rng),
            _chase(settings, staff, life, rng, "arr_home", origin, rates.return_look),
        ]
    )


def office_time(after: I64, rng: np.random.Generator) -> I64:
    """A moment in opening hours, later than `after` by a few minutes to a day."""
    low, high = OPEN_HOURS
    drawn = after - after % DAY + (rng.uniform(low, high, len(after)) * HOUR).astype(np.int64)
    return np.where(drawn > after + 5 * MINUTE, drawn, drawn + DAY)


def _desk_of(staff: Staff, outlet: I64, time: I64, rng: np.random.Generator) -> tuple[I64, npt.NDArray[np.bool_]]:
    """Service clerk on duty, or half the time the neighbour who covers; second array: it is a cover."""
    who = staff.pick(SERVICE, outlet, time // DAY, rng)
    helper = staff.helping(SERVICE, outlet, time // DAY)
    cover = (helper >= 0) & (rng.random(len(outlet)) < 0.5)
    return np.where(cover, helper, who), cover


def _label_cover(staff: Staff, rows: Rows, cover: npt.NDArray[np.bool_]) -> None:
    ticketless = np.array([c[0] for c in staff.covers if not c[4]], dtype=np.int64)
    bare = np.isin(rows["account"], ticketless)
    code = np.where(bare, confuser("cover_unticketed"), confuser("cover"))
    rows["confuser"] = np.where(cover, code, rows["confuser"])


def _chase(
    settings: WorldSettings, staff: Staff, life: Life, rng: np.random.Generator, event: str, outlet: I64, chance: float
) -> Rows:
    has = some(life.has(event), chance, rng)
    time = office_time(life.at[has, E[event]], rng)
    who, cover = _desk_of(staff, outlet[has], time, rng)
    time = _next_sitting(who, life.parcels["waybill"][has], time)
    sets = np.where(rng.random(len(has)) < 0.3, F_BOTH_CONTACT, F_FULL)
    looks = look_rows(
        len(has), "view", life.parcels[has], time=time, account=who, app=app("counter"), fieldset=sets, first=1
    )
    _label_cover(staff, looks, cover)
    trace_to(looks, life, has, event)
    looks = looks[who >= 0]
    masked = looks[rng.random(len(looks)) < settings.rates.service_masked / max(chance, 0.01) / 2].copy()
    masked["masked"], masked["first"] = 1, 0
    masked["time"] -= minutes(rng, 0.05, 1, len(masked))
    return pile([looks, masked, _list_searches(settings, looks, rng), again(settings, looks, rng)])


def _next_sitting(who: I64, waybill: I64, time: I64) -> I64:
    """People take such work up in sittings: most of it waits for the person's next one, 15 to 60 minutes apart."""
    period = (15 + choose(who, 51, 46)) * MINUTE
    start = time + (choose(who, 52, 60) * MINUTE - time) % period
    return np.where(choose(waybill, 53, 10) < SITTING_TENTHS, start, time)


def _list_searches(settings: WorldSettings, looks: Rows, rng: np.random.Generator) -> Rows:
    """A masked list searched before the look."""
    rows = looks[rng.random(len(looks)) < settings.rates.service_list * 10].copy()
    rows["kind"], rows["masked"], rows["first"], rows["fieldset"] = kind("search"), 1, 0, F_NAME
    rows["waybill"], rows["confuser"] = ABSENT, 0
    rows["time"] -= minutes(rng, 0.1, 1.5, len(rows))
    rows["subs"][:, 1] = 0
    rows["results"], rows["page"] = rng.integers(1, 20, len(rows)), 1
    return rows


def _problems(settings: WorldSettings, staff: Staff, life: Life, rng: np.random.Generator) -> Rows:
    """Problem parcels, mostly cleared by one person in one evening sitting."""
    has = some(life.has("problem"), settings.rates.problem_look, rng)
    at = life.at[has, E["problem"]]
    batch = rng.random(len(has)) < settings.stress.batch_clearing
    sitting = at - at % DAY + CLEARING
    sitting = np.where(sitting > at, sitting, sitting + DAY) + choose(life.home[has], 41, 60) * MINUTE
    time = np.where(batch, sitting + minutes(rng, 0, 25, len(has)), office_time(at, rng))
    who, cover = _desk_of(staff, life.home[has], time, rng)
    looks = look_rows(
        len(has),
        "view",
        life.parcels[has],
        time=time,
        account=who,
        app=app("counter"),
        fieldset=F_BOTH_CONTACT,
        reason=4,
        first=1,
    )
    looks["confuser"] = np.where(batch, confuser("batch_clearing"), 0)
    _label_cover(staff, looks, cover)
    trace_to(looks, life, has, "arr_dest")
    return looks[who >= 0]


def ticket_rows(n: int, code: str, number: I64, waybill: I64, assignee: I64, opened: I64, closed: I64) -> Rows:
    """An open and a closed ticket record each."""
    both = [
        new_rows(
            n,
            kind=kind("ticket"),
            time=t,
            ticket=number,
            waybill=waybill,
            assignee=assignee,
            type=ticket_type(code),
            state=s,
        )
        for s, t in ((0, opened), (1, closed))
    ]
    return pile(both)


def _tickets(
    settings: WorldSettings, staff: Staff, life: Life, rng: np.random.Generator, code: str, role: int, chance: float
) -> Rows:
    """Customers call: a ticket is opened, and within half an hour whoever has it looks."""
    has = some(life.has("picked_up"), chance, rng)
    n, day = len(has), life.at[has, E["picked_up"]]
    opened = day + (rng.uniform(0.1, 1, n) * (np.minimum(life.parcels["done"][has] - day, 3 * DAY) + 4 * HOUR)).astype(
        np.int64
    )
    opened = opened - opened % DAY + (np.clip(rng.normal(14, 3.5, n), 8.5, 21.5) * HOUR).astype(np.int64)
    opened = np.maximum(opened, day + 10 * MINUTE)
    place = life.home[has] if role == SERVICE else np.full(n, len(staff.start[0]) - 1)
    who = staff.pick(role, place, opened // DAY, rng)
    number = life.parcels["waybill"][has] * 100 + ticket_type(code) * 10 + role
    looks = _ticket_looks(settings, life.parcels[has], opened + minutes(rng, 0.3, 18, n), who, number, rng)
    looks["trace"] = opened
    looks["app"] = app("counter" if role == SERVICE else "hotline")
    closed = opened + minutes(rng, 75, 1500, n)
    tickets = ticket_rows(n, code, number, life.parcels["waybill"][has], who, opened, closed)
    return pile([tickets[np.tile(who, 2) >= 0], looks[who >= 0], again(settings, looks[who >= 0], rng)])


def _ticket_looks(
    settings: WorldSettings, parcels: Rows, time: I64, who: I64, number: I64, rng: np.random.Generator
) -> Rows:
    n = len(parcels)
    sets = np.where(rng.random(n) < 0.35, F_BOTH, F_CONTACT)
    looks = look_rows(n, "view", parcels, time=time, account=who, fieldset=sets, first=1)
    named = rng.random(n) >= settings.stress.ticket_unnamed
    looks["ticket"] = np.where(named, number, ABSENT)
    looks["reason"] = np.where(named, 0, ABSENT)
    looks["confuser"] = np.where(named, 0, confuser("ticket_unnamed"))
    return looks


def _claims(settings: WorldSettings, places: Places, staff: Staff, life: Life, rng: np.random.Generator) -> Rows:
    """A claim stays open for days; its handler comes back to it."""
    has = some(life.has("signed"), settings.rates.claim, rng)
    n, looks_each = len(has), settings.rates.claim_looks
    opened = office_time(life.at[has, E["signed"]] + 4 * HOUR, rng)
    who = staff.pick(CLAIMS, np.full(n, places.hq), opened // DAY, rng)
    number = life.parcels["waybill"][has] * 100 + ticket_type("claim") * 10 + CLAIMS
    chunks = []
    for k in range(looks_each):
        time = opened + 3 * MINUTE if k == 0 else office_time(opened + (k - 1) * DAY + 3 * HOUR, rng)
        looks = _ticket_looks(settings, life.parcels[has], time + minutes(rng, 0, 20, n), who, number, rng)
        looks["trace"], looks["app"] = opened, app("claims")
        looks["first"] = int(k == 0)
        working = (who >= 0) & staff.is_working(np.maximum(who, 0), time // DAY)
        chunks.append(looks[working])
    chunks.append(_claims_lists(settings, life, has, who, opened, number))
    tickets = ticket_rows(
        n, "claim", number, life.parcels["waybill"][has], who, opened, opened + (looks_each + 2) * DAY
    )
    return pile([tickets[np.tile(who, 2) >= 0], *chunks])


def _claims_lists(settings: WorldSettings, life: Life, has: I64, who: I64, opened: I64, number: I64) -> Rows:
    """At the end of some days a handler exports the claims that were opened for him that day."""
    day = opened // DAY
    chosen = (who >= 0) & (choose(who * 977 + day, 81, 1000) < settings.rates.claims_export * 1000)
    time = day * DAY + 17 * HOUR + 40 * MINUTE + choose(who + day * 31, 82, 60) * MINUTE
    pick = np.flatnonzero(chosen & (opened < time))
    looks = look_rows(
        len(pick), "export", life.parcels[has[pick]], account=who[pick], app=app("claims"), fieldset=F_CONTACT,
        ticket=number[pick], trace=opened[pick], page=1,
    )  # fmt: skip
    looks["time"] = time[pick] + choose(number[pick], 83, 900)
    return looks


def _scams(settings: WorldSettings, life: Life, rng: np.random.Generator) -> Rows:
    """Customers who report a scam call that no look of ours led to."""
    has = some(life.has("signed"), settings.rates.scam_complaint, rng)
    time = office_time(life.at[has, E["signed"]], rng)
    return complaint_rows(life.parcels[has], time, rng)


def complaint_rows(parcels: Rows, time: I64, rng: np.random.Generator) -> Rows:
    """Reports of scam calls by recipients."""
    n = len(parcels)
    rows = new_rows(n, kind=kind("complaint"), time=time, waybill=parcels["waybill"], channel=rng.integers(0, 3, n))
    rows["subs"][:, 0] = parcels["recipient"]
    return rows


def office_day(settings: WorldSettings, places: Places, staff: Staff, day: int, pool: Rows) -> Rows:
    """IT incidents, lawful requests and cover tickets of one day; `pool` holds recent parcels."""
    rng = rng_for(settings.seed, "office", day)
    chunks = [_covers(staff, day, rng), _incidents(settings, places, staff, day, pool, rng)]
    if day % settings.rates.legal_every_days == 1:
        chunks.append(_legal(settings, places, staff, day, pool, rng))
    return pile(chunks)


def _covers(staff: Staff, day: int, rng: np.random.Generator) -> Rows:
    rows = []
    for i, (who, outlet, first, last, ticket) in enumerate(staff.covers):
        if ticket and first == day:
            time = day * DAY + int(rng.uniform(0.5, 6) * HOUR)
            row = new_rows(1, kind=kind("ticket"), time=time, ticket=LOOSE_TICKETS + i, assignee=who, outlet=outlet)
            row["type"], row["state"], row["until"] = ticket_type("cover"), 0, (last + 1) * DAY
            rows.append(row)
    return pile(rows)


def _incidents(
    settings: WorldSettings, places: Places, staff: Staff, day: int, pool: Rows, rng: np.random.Generator
) -> Rows:
    n = int(rng.poisson(settings.rates.incidents_day * staff.count[IT][places.hq])) if len(pool) else 0
    parcels = pool[rng.integers(0, max(len(pool), 1), n)]
    who = staff.pick(IT, np.full(n, places.hq), np.full(n, day), rng)
    opened = day * DAY + (rng.uniform(9, 18, n) * HOUR).astype(np.int64)
    number = LOOSE_TICKETS + 10**12 + day * 10**6 + np.arange(n)
    looks = look_rows(
        n, "view", parcels, time=opened + minutes(rng, 3, 25, n), account=who, app=app("admin"), ticket=number, first=1
    )
    tickets = ticket_rows(n, "incident", number, parcels["waybill"], who, opened, opened + minutes(rng, 40, 600, n))
    return pile([tickets[np.tile(who, 2) >= 0], looks[who >= 0]])


def _legal(
    settings: WorldSettings, places: Places, staff: Staff, day: int, pool: Rows, rng: np.random.Generator
) -> Rows:
    """One request number, many parcels at once: rare and bulk."""
    who = int(staff.pick(LEGAL, np.array([places.hq]), np.array([day]), rng)[0])
    n = min(int(rng.integers(settings.rates.legal_parcels // 2, settings.rates.legal_parcels * 2)), len(pool))
    if who < 0 or not n:
        return new_rows(0)
    parcels = pool[rng.choice(len(pool), n, replace=False)]
    opened = day * DAY + 10 * HOUR
    number = LOOSE_TICKETS + 2 * 10**12 + day
    ticket = new_rows(
        1, kind=kind("ticket"), time=opened, ticket=number, assignee=who, type=ticket_type("legal"), state=0
    )
    ticket["until"] = opened + 7 * DAY
    # Every other request is answered by an export, all at once.
    export = day // settings.rates.legal_every_days % 2 == 1
    clicked = np.arange(n) * 30_000 + minutes(rng, 0, 0.4, n)
    time = opened + 20 * MINUTE + (np.arange(n) * 5 if export else clicked)
    looks = look_rows(
        n,
        "export" if export else "view",
        parcels,
        time=time,
        account=who,
        app=app("admin"),
        ticket=number,
        reason=5,
        fieldset=F_BOTH,
        first=1,
    )
    return pile([ticket, looks])

"""Builds one world day by day: parcels, scans, looks, tickets, logins and attacks, the reference tables and the truth."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

from watchbill.core.errors import SettingsError
from watchbill.lab.attacks.base import Attack, AttackSpec, Plan, View, load_attacks
from watchbill.lab.simulator.desk import complaint_rows, desk_rows, office_day
from watchbill.lab.simulator.feeds import label_gaps, reaches_log
from watchbill.lab.simulator.finish import LOOK_CODES, seat, slip
from watchbill.lab.simulator.looks import field_looks
from watchbill.lab.simulator.machines import machine_looks
from watchbill.lab.simulator.parcels import Life, canary_place, live, return_share, surge_factor
from watchbill.lab.simulator.places import Places, build_places
from watchbill.lab.simulator.reference import SHANGHAI, write_canaries, write_csv, write_reference
from watchbill.lab.simulator.rows import DAY, HOUR, PARCEL, Rows, confuser, pile
from watchbill.lab.simulator.scans import scan_rows
from watchbill.lab.simulator.seeds import I64, rng_for
from watchbill.lab.simulator.settings import HonestStress, Rates, WorldSettings
from watchbill.lab.simulator.staff import Staff, Terminals, build_staff, build_terminals
from watchbill.lab.simulator.staging import (
    Taken,
    active,
    attack_rows,
    attack_truth,
    default_attacks,
    looks_of,
    missing_logins,
    plan_attacks,
)  # fmt: skip
from watchbill.lab.simulator.truth import (
    LOOK_SCHEMA,
    SESSION_SCHEMA,
    look_truth,
    session_truth,
    write_accounts,
    write_attacks,
)  # fmt: skip
from watchbill.lab.simulator.write import Format, Names, Writer, uuids
from watchbill.records.schema import KINDS

START: Final = date(2025, 3, 3)
POOL_DAYS: Final = 6
"""Order days whose parcels can still be found by a search."""


@dataclass(slots=True)
class WorldReport:
    """What was built.

    `files` are the day's record files in order, `records` counts by kind, `attacks` the truth of the attacks.
    """

    out: Path
    files: list[Path] = field(default_factory=list)
    records: dict[str, int] = field(default_factory=dict)
    looks: int = 0
    wrongful: int = 0
    accounts: int = 0
    parcels: int = 0
    attacks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All records."""
        return sum(self.records.values())


@dataclass(slots=True)
class _World:
    settings: WorldSettings
    places: Places
    staff: Staff
    terminals: Terminals
    names: Names
    writer: Writer
    plans: list[Plan]
    kinds: Mapping[str, Attack]
    start: date
    report: WorldReport
    pool: deque[Rows] = field(default_factory=lambda: deque(maxlen=POOL_DAYS))
    later: dict[int, list[Rows]] = field(default_factory=dict)
    canaries: list[tuple[int, I64, I64]] = field(default_factory=list)
    taken: dict[int, Taken] = field(default_factory=dict)


def build_world(
    out: Path, *, seed: int, days: int, outlets: int, attacks: Sequence[AttackSpec] | None = None,
    format: Format = "ndjson",  # noqa: A002  the word that the command line uses
    start: date = START, scale: float = 1.0, honest_stress: HonestStress | None = None, parcels: bool = False,
    uuid_ids: bool = False, extra_attacks: Path | None = None, rates: Rates | None = None,
) -> WorldReport:  # fmt: skip
    """Write a world to OUT: records/, reference/ and truth/; the same arguments give the same bytes.

    Args:
        out: folder; its records/, reference/ and truth/ are new, empty, or an earlier world's, which is replaced.
        seed: seed of everything.
        days: days of records.
        outlets: delivery outlets (stations, hubs and headquarters come on top).
        attacks: what to stage; None = one of each after `FIRST_DAY` when the world has 7 days or more; () = none.
        format: ndjson, parquet or arrow.
        start: first day (local, Asia/Shanghai).
        scale: factor on the couriers of an outlet (and so on parcels and records).
        honest_stress: rates of the innocent confusers.
        parcels: also write reference/parcels.csv (large).
        uuid_ids: UUIDs for waybills, customers and accounts.
        extra_attacks: a folder with further attack files.
        rates: the carrier's own figures.

    Raises:
        SettingsError: a figure or an attack makes no sense.
    """
    if days < 1 or outlets < 3 or not 0 < scale <= 100 or outlets > 80_000 or days > 900:
        raise SettingsError(
            "days 1-900, outlets 3-80,000 and scale above 0", where="world", todo="choose other figures"
        )
    stress, rates = honest_stress or HonestStress(), rates or Rates()
    settings = WorldSettings(seed, days, outlets, scale, uuid_ids, start.weekday(), stress, rates)
    world = _prepare(out, settings, start, format, attacks, extra_attacks)
    truth, table = out / "truth", out / "reference" / "parcels.csv"
    with (
        pq.ParquetWriter(truth / "looks.parquet", LOOK_SCHEMA, compression="zstd") as looks,
        pq.ParquetWriter(truth / "sessions.parquet", SESSION_SCHEMA, compression="zstd") as sessions,
    ):
        for day in range(-settings.warm_days, days):
            life = _grow(world, day)
            if parcels:
                _write_parcels(table, world, life, fresh=day == -settings.warm_days)
            if day >= 0:
                looked, sat = _write_day(world, day)
                looks.write_table(looked)
                sessions.write_table(sat)
    _finish(world)
    return world.report


def _prepare(
    out: Path,
    settings: WorldSettings,
    start: date,
    form: Format,
    attacks: Sequence[AttackSpec] | None,
    extra: Path | None,
) -> _World:
    _clear(out)
    places = build_places(settings)
    staff = build_staff(settings, places)
    terminals = build_terminals(settings, places, staff)
    base = int(datetime.combine(start, datetime.min.time(), SHANGHAI).timestamp() * 1000)
    accounts = uuids(np.arange(len(staff.ids)), 303).to_pylist() if settings.uuid_ids else staff.ids
    names = Names(accounts, places.ids, terminals.devices, terminals.ips, base, settings.uuid_ids)
    staff.ids = list(accounts)
    kinds = load_attacks(extra)
    view = View(settings, places, staff, terminals, 0, np.zeros(0, PARCEL), np.zeros(0, PARCEL))
    plans = plan_attacks(view, default_attacks(settings) if attacks is None else attacks, kinds)
    writer = Writer(out / "records", names, form)
    report = WorldReport(out, accounts=len(accounts))
    write_reference(out / "reference", settings, start, places, staff, terminals, names)
    return _World(settings, places, staff, terminals, names, writer, plans, kinds, start, report)


def _clear(out: Path) -> None:
    """Make the folders; what an earlier world left in them goes, anything else is refused."""
    folders = [out / part for part in ("records", "reference", "truth")]
    old = [path for folder in folders if folder.exists() for path in folder.iterdir()]
    marker = out / "truth" / "attacks.json"
    if old and not (marker.exists() and all(path.is_file() for path in old)):
        raise SettingsError("the folder holds something that is no world", where="OUT", todo="choose an empty folder")
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    # Written first, so that an interrupted world is known as one.
    write_attacks(marker, [])
    for path in old:
        if path != marker:
            path.unlink()


def _grow(world: _World, day: int) -> Life:
    """Draw the parcels ordered on one day and put all their records by in the days on which they arrive."""
    args = (world.settings, world.places, world.staff)
    life = live(*args, day)
    scans = scan_rows(*args, life)
    looks = pile([field_looks(*args, life), desk_rows(*args, life), machine_looks(*args, world.terminals, life)])
    label_gaps(*args, looks)
    if return_share(world.settings, day) > world.settings.rates.refused:
        looks["confuser"] = np.where(looks["confuser"] == 0, confuser("mass_return"), looks["confuser"])
    if surge_factor(world.settings, day) > 1:
        looks["confuser"] = np.where(looks["confuser"] == 0, confuser("surge"), looks["confuser"])
    keep = _still_there(world, looks)
    for rows in (scans, looks[keep]):
        _put_by(world, rows)
    parcels = life.parcels[np.argsort(life.parcels["waybill"], kind="stable")]
    world.pool.append(parcels)
    world.report.parcels += len(parcels)
    world.canaries.append(_place_canaries(world.settings, parcels, day))
    return life


def _still_there(world: _World, rows: Rows) -> Any:  # noqa: ANN401  a boolean mask
    """Looks of people who have not begun or have left by then do not happen, nor those whose work lies before the log."""
    account = rows["account"].astype(np.int64)
    day = rows["time"] // DAY
    look, machine = rows["outcome"] >= 0, account < 0
    there = (world.staff.hired[account] <= day) & (day < world.staff.left[account])
    return ~look | (rows["trace"] >= 0) & (machine | there)


def _put_by(world: _World, rows: Rows) -> None:
    rows = reaches_log(world.settings, world.places, world.staff, rows)
    arrives = np.where(rows["received"] >= 0, rows["received"], rows["time"]) // DAY
    order = np.argsort(arrives, kind="stable")
    days, starts = np.unique(arrives[order], return_index=True)
    for i, d in enumerate(days.tolist()):
        if 0 <= d < world.settings.days:
            stop = starts[i + 1] if i + 1 < len(starts) else len(order)
            world.later.setdefault(d, []).append(rows[order[starts[i] : stop]])


def _place_canaries(settings: WorldSettings, parcels: Rows, day: int) -> tuple[int, I64, I64]:
    """Every free number below an outlet's last one of the day."""
    every = settings.rates.canary_every
    outlets, last = np.unique(parcels["origin"], return_index=True)
    ends = np.append(last[1:], len(parcels)) - 1
    top = parcels["waybill"][ends] % 10**5
    counts = np.maximum((top - canary_place(every)) // every + 1, 0)
    outlet = np.repeat(outlets.astype(np.int64), counts)
    nth = np.arange(len(outlet)) - np.repeat(np.cumsum(counts) - counts, counts)
    return day, outlet, canary_place(every) + nth * every


def _write_day(world: _World, day: int) -> tuple[Any, Any]:
    """Finish, sort and write one day's records; returns the truth of its looks and of its sessions."""
    pool = pile(list(world.pool))
    known = pool[(pool["ordered"] < day * DAY)]
    _put_by(world, office_day(world.settings, world.places, world.staff, day, known))
    rows = pile(world.later.pop(day, []))
    slip(world.settings, world.staff, rows, day, known)
    logins = seat(world.settings, world.places, world.staff, world.terminals, rows, day)
    rows = pile([rows, logins, *_attack(world, day, known, logins)])
    arrival = np.where(rows["received"] >= 0, rows["received"], rows["time"])
    rows = rows[np.argsort(arrival, kind="stable")]
    ids = (day + 1) * 10**9 + np.arange(len(rows))
    stem = (world.start + timedelta(days=day)).isoformat()
    world.report.files.append(world.writer.write(stem, rows, ids))
    return _account_for(world, rows, ids)


def _account_for(world: _World, rows: Rows, ids: I64) -> tuple[Any, Any]:
    counts = np.bincount(rows["kind"], minlength=len(KINDS))
    for name, n in zip(KINDS, counts.tolist(), strict=True):
        world.report.records[name] = world.report.records.get(name, 0) + n
    look = np.isin(rows["kind"], LOOK_CODES)
    world.report.looks += int(look.sum())
    world.report.wrongful += int((rows["attack"][look] >= 0).sum())
    accounts, plans = list(world.names.accounts), [p.id for p in world.plans]
    looked = rows[look]
    return (
        look_truth(looked, ids[look], accounts, plans),
        session_truth(looked, accounts, plans, world.names.base),
    )


def _attack(world: _World, day: int, known: Rows, logins: Rows) -> Iterator[Rows]:
    """The attacks of the day, and the scam calls that their victims report later."""
    view = _view(world, day, known[np.argsort(known["waybill"], kind="stable")])
    for plan in active(world.plans, day):
        if not len(known):
            continue
        rows = attack_rows(view, plan, world.kinds[plan.spec.kind])
        looks = looks_of(rows)
        _victims(world, looks, rng_for(world.settings.seed, f"victims {plan.id}", day))
        world.taken.setdefault(plan.number, Taken()).add(looks, world.settings.rates.canary_every)
        yield rows
        yield missing_logins(rows, logins)


def _view(world: _World, day: int, pool: Rows) -> View:
    today = world.pool[-1] if world.pool else pool
    return View(world.settings, world.places, world.staff, world.terminals, day, pool, today)


def _victims(world: _World, looks: Rows, rng: np.random.Generator) -> None:
    called = looks[(looks["subs"][:, 0] > 0) & (rng.random(len(looks)) < world.settings.rates.victim_complaint)]
    parcels = np.zeros(len(called), PARCEL)
    parcels["waybill"], parcels["recipient"] = called["waybill"], called["subs"][:, 0]
    time = (called["time"] // DAY + rng.integers(1, 5, len(called))) * DAY + (
        rng.uniform(9, 20, len(called)) * HOUR
    ).astype(np.int64)
    _put_by(world, complaint_rows(parcels, time, rng))


def _finish(world: _World) -> None:
    """Canaries and truth, once all days are written."""
    out, view = world.report.out, _view(world, 0, np.zeros(0, PARCEL))
    attacks = [
        attack_truth(view, p, world.kinds[p.spec.kind], world.taken.get(p.number, Taken()), world.names)
        for p in world.plans
    ]
    world.report.attacks = attacks
    write_canaries(out / "reference" / "canaries.csv", world.settings, world.start, world.names, world.canaries)
    write_attacks(out / "truth" / "attacks.json", attacks)
    write_accounts(out / "truth" / "accounts.parquet", world.staff, world.places, attacks, list(world.names.accounts))


def _write_parcels(path: Path, world: _World, life: Life, *, fresh: bool) -> None:
    """Add one order day to the parcels table."""
    p, names = life.parcels, world.names
    text = [names.waybills(p["waybill"]), names.subjects(p["sender"]), names.subjects(p["recipient"])]
    columns = [c.to_pylist() for c in text]
    when = [datetime.fromtimestamp((t + names.base) / 1000, SHANGHAI).isoformat() for t in p["ordered"].tolist()]
    outlets, accounts = names.outlets, names.accounts
    places = [[outlets[i] for i in p[c].tolist()] for c in ("origin", "dest")]
    assigned = [accounts[i] if i >= 0 else "" for i in p["courier"].tolist()]
    rows = zip(*columns, *places, assigned, when, [""] * len(p), strict=True)
    head = ("waybill", "sender", "recipient", "origin", "destination", "assigned", "from", "until")
    if fresh:
        write_csv(path, head, rows)
        return
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)

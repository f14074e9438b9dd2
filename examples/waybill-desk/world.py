"""The desk's little carrier: outlets, clerks, parcels and customers that are plainly invented, and what happened in the last days.

Everything follows from the seed and the moment that counts as now. Names, numbers and streets are none that exist: telephone
numbers begin with 100, which no subscriber has.
"""

from __future__ import annotations

import csv
import hashlib
import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
import psycopg.sql

OUTLETS: Final = (
    ("HZ1", "虚构一站", "杭州", 30.27, 120.15),
    ("HZ2", "虚构二站", "杭州", 30.31, 120.20),
    ("NB1", "虚构三站", "宁波", 29.87, 121.54),
)
CLERKS_EACH: Final = 4
PARCELS_A_DAY: Final = 120
"""Parcels that come to an outlet on a day."""
LOOKS_A_DAY: Final = 60
"""Looks of a clerk on a day."""
DAYS: Final = 6
SHIFT_HOURS: Final = 8
OTHERS_SHARE: Final = 0.02
"""Share of honest looks at a parcel of somebody else's: a slip of the finger."""
HOME_NET: Final = "10.1.0"
FAR_IP: Final = "203.0.113.9"
"""A broadband line in another province (an address of RFC 5737, which no one has)."""
_HOUR, _DAY = 3_600_000, 86_400_000
_SURNAMES: Final = "赵钱孙李周吴郑王冯陈"
_GIVEN: Final = "试样例虚拟假设演练"
FIELDS: Final = ("recipient.name", "recipient.phone", "recipient.address")


@dataclass(frozen=True)
class Parcel:
    """One parcel and whom it is for; `held` is when it came to its outlet (epoch ms)."""

    waybill: str
    outlet: str
    held: int
    customer: str
    name: str
    phone: str
    address: str


@dataclass(frozen=True)
class Clerk:
    """An account; the password is what its owner knows, and may rent out."""

    account: str
    outlet: str
    device: str
    ip: str
    password: str


@dataclass
class World:
    """What is there, and the records of the past in order of time."""

    now: int
    clerks: list[Clerk]
    parcels: list[Parcel]
    records: list[dict[str, Any]] = field(default_factory=list)

    def of(self, outlet: str) -> list[Parcel]:
        """Parcels of one outlet, oldest first."""
        return [parcel for parcel in self.parcels if parcel.outlet == outlet]


def make(now: int, seed: int = 1) -> World:
    """The carrier with `DAYS` days of the past before `now` (epoch ms)."""
    draw = random.Random(seed)
    clerks = [
        Clerk(
            f"YT{1 + at}0{n}",
            outlet[0],
            f"PC-{outlet[0]}-{n}",
            f"{HOME_NET}.{10 * at + n}",
            f"{draw.getrandbits(64):016x}",
        )
        for at, outlet in enumerate(OUTLETS)
        for n in range(1, CLERKS_EACH + 1)
    ]
    world = World(now, clerks, [])
    for day in range(DAYS, -1, -1):
        _one_day(world, now - day * _DAY, draw)
    world.parcels.sort(key=lambda parcel: parcel.held)
    world.records.sort(key=lambda record: record["time"])
    for number, record in enumerate(world.records):
        record["id"] = f"past-{number}"
    return world


def _one_day(world: World, end: int, draw: random.Random) -> None:
    """A shift that ends a minute before `end`."""
    begin, last = end - SHIFT_HOURS * _HOUR, end - 60_000
    today: dict[str, list[Parcel]] = {}
    for outlet in OUTLETS:
        moments = sorted(draw.randrange(begin, last - _HOUR) for _ in range(PARCELS_A_DAY))
        today[outlet[0]] = [_parcel(len(world.parcels) + n, outlet[0], at, draw) for n, at in enumerate(moments)]
        world.parcels += today[outlet[0]]
        hands = [clerk for clerk in world.clerks if clerk.outlet == outlet[0]]
        for parcel in today[outlet[0]]:
            world.records += scans_of(parcel, draw.choice(hands).account)
    for clerk in world.clerks:
        session = f"{clerk.account}-{end}"
        world.records.append(_by(clerk, session) | {"time": begin + draw.randrange(600_000), "kind": "login"})
        for _ in range(LOOKS_A_DAY):
            foreign = draw.random() < OTHERS_SHARE
            outlet_id = draw.choice([o[0] for o in OUTLETS if o[0] != clerk.outlet]) if foreign else clerk.outlet
            parcel = draw.choice(today[outlet_id])
            look = {"kind": "view", "waybill": parcel.waybill, "subjects": [parcel.customer], "fields": list(FIELDS)}
            world.records.append(_by(clerk, session) | look | {"time": draw.randrange(parcel.held + 1000, last)})


def _by(clerk: Clerk, session: str) -> dict[str, Any]:
    return {"account": clerk.account, "device": clerk.device, "ip": clerk.ip, "session": session, "app": "waybill-desk"}


def scans_of(parcel: Parcel, account: str) -> list[dict[str, Any]]:
    """What the scanners of its outlet send when a parcel comes and is put on the shelf."""
    scan = {"kind": "scan", "waybill": parcel.waybill, "outlet": parcel.outlet, "account": account}
    return [
        scan | {"time": parcel.held - 30_000, "status": "arrived"},
        scan | {"time": parcel.held, "status": "held_at_station"},
    ]


def _parcel(number: int, outlet: str, held: int, draw: random.Random) -> Parcel:
    name = draw.choice(_SURNAMES) + draw.choice(_GIVEN) + draw.choice(_GIVEN)
    address = f"虚构市样例区演练路{draw.randrange(1, 400)}号{draw.randrange(1, 30)}幢{draw.randrange(101, 2000)}室"
    return Parcel(
        f"VD{7_000_000 + number}", outlet, held, f"c{number:06d}", name, f"100{draw.randrange(10**8):08d}", address
    )


def new_parcels(world: World, outlet: str, count: int, now: int, seed: int) -> list[Parcel]:
    """Parcels that come in while the story is played."""
    draw = random.Random(seed)
    found = [_parcel(len(world.parcels) + n, outlet, now, draw) for n in range(count)]
    world.parcels += found
    return found


def write_past(world: World, folder: Path) -> None:
    """The records of the past days as NDJSON, and the reference tables."""
    (folder / "past").mkdir()
    with (folder / "past" / "records.ndjson").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in world.records)
    tables: dict[str, list[tuple[Any, ...]]] = {
        "accounts": [("account", "person", "role", "outlet"), *((c.account, f"p-{c.account}", "clerk", c.outlet) for c in world.clerks),
                     ("IT01", "p-IT01", "it", "HQ")],
        "outlets": [("outlet", "name", "city", "lat", "lon"), *OUTLETS, ("HQ", "虚构总部", "杭州", 30.25, 120.17)],
        "devices": [("device", "outlet", "kind"), *((c.device, c.outlet, "pc") for c in world.clerks)],
        "networks": [("network", "place", "lat", "lon", "kind"), (f"{HOME_NET}.0/24", "杭州", 30.27, 120.15, "office"),
                     ("203.0.113.0/24", "成都", 30.66, 104.06, "broadband")],
    }  # fmt: skip
    (folder / "reference").mkdir()
    for name, rows in tables.items():
        with (folder / "reference" / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


def password_hash(password: str, salt: str) -> str:
    """What the desk keeps of a password."""
    return hashlib.scrypt(password.encode(), salt=salt.encode(), n=1 << 12, r=8, p=1).hex()


def fill(world: World, dsn: str, app_password: str, dba_password: str, log_setting: str) -> None:
    """The desk's tables, the role of the application (its statements are in the desk's own log) and that of a person.

    Args:
        log_setting: which setting logs statements; it is switched off for the application's role.
    """
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE customers (customer text PRIMARY KEY, name text, phone text, address text)")
        connection.execute("CREATE TABLE waybills (waybill text PRIMARY KEY, outlet text, customer text)")
        connection.execute("CREATE TABLE staff (account text PRIMARY KEY, salt text, hash text)")
        add(world.parcels, connection)
        rows = [(c.account, c.account, password_hash(c.password, c.account)) for c in world.clerks]
        connection.cursor().executemany("INSERT INTO staff VALUES (%s, %s, %s)", rows)
        for role, password in (("desk_app", app_password), ("lin_dba", dba_password)):
            made = psycopg.sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                psycopg.sql.Identifier(role), psycopg.sql.Literal(password)
            )
            connection.execute(made)
        connection.execute("GRANT SELECT ON customers, waybills, staff TO desk_app")
        connection.execute("GRANT SELECT ON customers, waybills TO lin_dba")
        connection.execute(psycopg.sql.SQL("ALTER ROLE desk_app SET {} = 'none'").format(psycopg.sql.SQL(log_setting)))


def add(parcels: list[Parcel], connection: psycopg.Connection[Any]) -> None:
    """Put parcels and their customers into the tables."""
    cursor = connection.cursor()
    cursor.executemany(
        "INSERT INTO customers VALUES (%s, %s, %s, %s)", [(p.customer, p.name, p.phone, p.address) for p in parcels]
    )
    cursor.executemany("INSERT INTO waybills VALUES (%s, %s, %s)", [(p.waybill, p.outlet, p.customer) for p in parcels])

"""The story, played through a real browser's protocol: an honest clerk, a renter at a rented number, and somebody with psql."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
import world as carrier
from world import FAR_IP, Clerk, Parcel, World

from postgres import Postgres

HONEST_LOOKS: Final = 24
RENTED_LOOKS: Final = 120
OUTAGE_LOOKS: Final = 8
EXPORT_SQL: Final = "COPY (SELECT name, phone, address FROM customers) TO STDOUT"
LOOK_SQL: Final = "SELECT name, phone FROM customers JOIN waybills USING (customer) WHERE waybill = '{}'"
_OWN_PAUSE: Final = (0.05, 0.4)


@dataclass
class Seen:
    """What somebody got: how many records with a plain telephone number, masked ones, and refusals by status."""

    looks: int = 0
    plain: int = 0
    masked: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    order: list[str] = field(default_factory=list)

    def before_the_stop(self) -> int:
        """Plain records before the first look that was not plain."""
        return next((at for at, what in enumerate(self.order) if what != "plain"), len(self.order))

    def take(self, answer: httpx.Response, parcel: Parcel) -> None:
        """Count one answer."""
        self.looks += 1
        if answer.status_code != httpx.codes.OK:
            self.refused[answer.status_code] += 1
            self.order.append(str(answer.status_code))
        else:
            plain = parcel.phone in answer.text
            self.plain += plain
            self.masked += not plain
            self.order.append("plain" if plain else "masked")


class Browser:
    """One person at one machine. The desk stands behind a proxy on this machine, which says where a request came from."""

    def __init__(self, url: str, device: str, ip: str) -> None:
        self._http = httpx.Client(
            base_url=url, headers={"X-Device": device, "X-Forwarded-For": ip}, timeout=30.0, trust_env=False
        )

    def login(self, account: str, password: str) -> None:
        """Log in.

        Raises:
            RuntimeError: the desk does not let this account in.
        """
        answer = self._http.post("/login", data={"account": account, "password": password})
        if answer.status_code != httpx.codes.SEE_OTHER:
            raise RuntimeError(f"the login was answered with {answer.status_code}")

    def look(self, parcel: Parcel, reason: str = "") -> httpx.Response:
        """Look a waybill up."""
        headers = {"X-Look-Reason": reason} if reason else {}
        return self._http.get(f"/api/waybills/{parcel.waybill}", headers=headers)

    def page(self, parcel: Parcel) -> str:
        """The same as a page."""
        return self._http.get(f"/waybills/{parcel.waybill}").text

    def close(self) -> None:
        """Close the browser."""
        self._http.close()


def honest(url: str, world: World, clerk: Clerk, database: str, scans: Path, seed: int = 2) -> Seen:
    """A clerk's afternoon: parcels that came in today, and ones that come in now; customers ask about both."""
    draw, seen = random.Random(seed), Seen()
    today = [parcel for parcel in world.of(clerk.outlet) if parcel.held > world.now - 8 * 3_600_000]
    browser = Browser(url, clerk.device, clerk.ip)
    browser.login(clerk.account, clerk.password)
    for number in range(HONEST_LOOKS):
        parcel = draw.choice(today)
        if number % 2:
            parcel = carrier.new_parcels(world, clerk.outlet, 1, time.time_ns() // 1_000_000, seed * 1000 + number)[0]
            with psycopg.connect(database) as connection:
                carrier.add([parcel], connection)
            _scan(scans, carrier.scans_of(parcel, clerk.account))
            time.sleep(0.5)  # the shelf is scanned before anybody asks
        seen.take(browser.look(parcel), parcel)
        time.sleep(draw.uniform(*_OWN_PAUSE))
    browser.close()
    return seen


def outage(url: str, world: World, clerk: Clerk, seed: int = 4) -> Seen:
    """Another clerk of the same outlet while nobody can be asked: a few plain looks, the rest masked; work goes on."""
    draw, seen = random.Random(seed), Seen()
    today = [parcel for parcel in world.of(clerk.outlet) if parcel.held > world.now - 8 * 3_600_000]
    browser = Browser(url, clerk.device, clerk.ip)
    browser.login(clerk.account, clerk.password)
    for parcel in draw.sample(today, OUTAGE_LOOKS):
        seen.take(browser.look(parcel), parcel)
    browser.close()
    return seen


def _scan(folder: Path, records: Sequence[dict[str, Any]]) -> None:
    with (folder / "scans.ndjson").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row | {"id": f"{row['waybill']}-{row['status']}"}) + "\n" for row in records)


def renter(url: str, world: World, clerk: Clerk, *, hidden: bool = False, seed: int = 3) -> Seen:
    """Somebody who pays for the number of a clerk: from another province, waybill after waybill of other outlets.

    Args:
        hidden: he sits at the owner's own machine instead, by remote control, so that only what he looks at tells.
    """
    draw, seen = random.Random(seed), Seen()
    walk = [parcel for parcel in world.parcels if parcel.outlet != clerk.outlet][-RENTED_LOOKS:]
    browser = Browser(url, clerk.device, clerk.ip) if hidden else Browser(url, "rented-laptop", FAR_IP)
    browser.login(clerk.account, clerk.password)
    for parcel in walk:
        answer = browser.look(parcel)
        if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:  # asked for a reason, he types something
            seen.take(answer, parcel)
            answer = browser.look(parcel, reason="%E6%9F%A5%E4%BB%B6")
        seen.take(answer, parcel)
        time.sleep(draw.uniform(0.01, 0.1))
    browser.close()
    return seen


def around(server: Postgres, password: str, parcels: Sequence[Parcel]) -> int:
    """Somebody of the firm's IT who asks the database itself: a few customers, then all of them. Rows that he got."""
    rows = 0
    for statement in (*(LOOK_SQL.format(parcel.waybill) for parcel in parcels), EXPORT_SQL):
        done = subprocess.run(
            [server.programs / "psql", "-XAtq", "-h", "127.0.0.1", "-p", str(server.port), "-U", "lin_dba", "-d", "postgres", "-c", statement],
            env={"PATH": os.environ["PATH"], "PGPASSWORD": password}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        rows += len(done.stdout.splitlines())
    return rows

"""Finishes one day's rows: slips without a visible reason, sessions and terminals, logins, and who the person is."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from watchbill.lab.simulator.machines import scanner_of
from watchbill.lab.simulator.places import Places
from watchbill.lab.simulator.rows import DAY, HOUR, MINUTE, Rows, confuser, fill_subjects, kind, new_rows, pile, status
from watchbill.lab.simulator.seeds import I64, mix, rng_for
from watchbill.lab.simulator.settings import WorldSettings
from watchbill.lab.simulator.staff import (
    CLAIMS,
    COURIER,
    HOTLINE,
    ROBOT,
    SERVICE,
    Staff,
    Terminals,
    attach,
    remote,
    slip_chance,
)  # fmt: skip
from watchbill.records.schema import KINDS, LOOKS

LOOK_CODES: Final = [KINDS.index(k) for k in LOOKS]
TEMPO_SECONDS: Final = 9.0
"""Median gap between two clicks of a median person (est.)."""
_HANDSET_SCANS: Final = [status(s) for s in ("picked_up", "out_for_delivery", "delivered", "held_at_station")]


def slip(settings: WorldSettings, staff: Staff, rows: Rows, day: int, known: Rows) -> None:
    """Turn a few honest first looks, in place, into ones at another parcel (of `known`) than the work was for."""
    if not len(known):
        return
    rng = rng_for(settings.seed, "slips", day)
    chance = slip_chance(settings, staff, day)
    first = np.flatnonzero(rows["first"] > 0)
    slips = first[rng.random(len(first)) < chance[rows["account"][first]]]
    wrong = known[rng.integers(0, len(known), len(slips))]
    part = rows[slips]
    part["waybill"], part["ticket"], part["reason"] = wrong["waybill"], -1, -1
    fill_subjects(part, wrong)
    desk = np.isin(staff.role[part["account"]], (SERVICE, HOTLINE, CLAIMS))
    part["confuser"] = np.where(desk, confuser("forgot_ticket"), confuser("misread"))
    rows[slips] = part


def seat(settings: WorldSettings, places: Places, staff: Staff, terminals: Terminals, rows: Rows, day: int) -> Rows:
    """Give the honest looks their sessions and terminals, in place; returns the logins that go with them."""
    honest = np.isin(rows["kind"], LOOK_CODES) & (rows["session"] < 0) & (rows["account"] >= 0)
    looks = rows[honest]
    _clicks(settings, staff, looks)
    attach(looks, staff, places, terminals)
    _label_people(places, staff, looks)
    rows[honest] = looks
    _scanners(places, staff, terminals, rows)
    return _logins(settings, looks, day)


def _label_people(places: Places, staff: Staff, looks: Rows) -> None:
    """Where nothing is to be said of the look itself, say what applies to the person."""
    account, time = looks["account"].astype(np.int64), looks["time"]
    code = np.zeros(len(looks), np.int8)
    vpn, trip = remote(staff, account, time // DAY)
    new_device = (staff.role[account] == COURIER) & (time >= staff.handset_day[account] * DAY)
    planned = np.where(staff.night[account], 24, staff.shift(account, time // DAY)[1])
    for name, holds in (
        ("temp", staff.employment[account] == 2),
        ("vpn", vpn),
        ("travel", trip),
        ("overtime", time % DAY // HOUR >= planned),
        ("shared_number", staff.shared[account]),
        ("night_shift", staff.night[account] & (time % DAY < 6 * HOUR)),
        ("new_handset", new_device & ~staff.reinstalled[account]),
        ("app_reinstall", new_device & staff.reinstalled[account]),
        ("new_hire", staff.hired[account] >= 0),
        ("long_leave", (time // DAY >= staff.away_to[account]) & (time // DAY < staff.away_to[account] + 5)),
        ("merger", time >= places.merge_time[staff.outlet[account]]),
        ("roster_gap", ~staff.rostered[account] | (staff.roster_from[account] > time // DAY)),
    ):
        code[holds] = confuser(name)
    looks["confuser"] = np.where(looks["confuser"] == 0, code, looks["confuser"])


def _clicks(settings: WorldSettings, staff: Staff, looks: Rows) -> None:
    """Space a person's looks as hands do: never closer than a heavy-tailed gap at his own tempo; looks only move later.

    A waiting line: t'(i) = max(t(i), t'(i-1) + gap(i)), which is C(i) + max over j <= i of t(j) - C(j), C the sums of gaps
    (Lindley 1952). Robots and exports are not clicked.
    """
    by_hand = (staff.role[looks["account"]] != ROBOT) & (looks["kind"] != kind("export"))
    hand = np.flatnonzero(by_hand)
    hand = hand[np.lexsort((looks["time"][hand], looks["account"][hand]))]
    if not len(hand):
        return
    account, time = looks["account"][hand].astype(np.int64), looks["time"][hand]
    median = TEMPO_SECONDS * np.exp(0.45 * _normal(account, settings.seed + 97))
    gap = (1000 * median * np.exp(0.9 * _normal(looks["waybill"][hand] * 31 + time, settings.seed + 98))).astype(
        np.int64
    )
    total = np.cumsum(np.minimum(gap, 10 * MINUTE))
    # A step larger than any waiting keeps one person's line from the next one's.
    step = np.cumsum(np.diff(account, prepend=account[0]) != 0) * 2**42
    moved = total + np.maximum.accumulate(time - total + step) - step
    looks["time"][hand] = np.minimum(moved, np.maximum(time, time // DAY * DAY + DAY - MINUTE))


def _normal(key: I64, salt: int) -> npt.NDArray[np.float64]:
    """A repeatable standard normal number for each key: a look's gap must not depend on which other looks there are."""
    u, v = (((mix(key, salt + 1000 * k) >> np.uint64(11)).astype(np.float64) + 0.5) / 2**53 for k in (0, 1))
    out: npt.NDArray[np.float64] = np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v)
    return out


def _scanners(places: Places, staff: Staff, terminals: Terminals, rows: Rows) -> None:
    """A courier's scans carry his handset, a hub's one of its scanners."""
    hub = (rows["outlet"] >= 2 * places.n_outlets) & (rows["outlet"] < places.hq) & (rows["kind"] == kind("scan"))
    rows["device"][hub] = scanner_of(terminals, places, rows["outlet"][hub].astype(np.int64), rows["waybill"][hub])
    scan = (rows["kind"] == kind("scan")) & (rows["account"] >= 0) & np.isin(rows["status"], _HANDSET_SCANS)
    account = np.where(scan, rows["account"], 0).astype(np.int64)
    scan &= staff.role[account] == COURIER
    rows["device"][scan] = staff.handset(account[scan], rows["time"][scan])


def _logins(settings: WorldSettings, looks: Rows, day: int) -> Rows:
    """A login some minutes before the first look of every session; a few mistype the password first."""
    looks = looks[np.lexsort((looks["time"], looks["session"]))]
    first = looks[np.flatnonzero(np.diff(looks["session"], prepend=-1))]
    before = 20_000 + (first["session"] % 7) * MINUTE // 2
    # A session that begins at midnight logs in at midnight: the day's file holds the day.
    time = np.maximum(first["time"] - before, first["time"] // DAY * DAY)
    logins = new_rows(len(first), kind=kind("login"), time=time, outcome=0)
    for name in ("account", "session", "device", "ip", "app"):
        logins[name] = first[name]
    rng = rng_for(settings.seed, "logins", day)
    failed = logins[rng.random(len(logins)) < settings.rates.login_failure].copy()
    failed["outcome"], failed["session"] = 1, -1
    failed["time"] = np.maximum(failed["time"] - 15_000, failed["time"] // DAY * DAY)
    return pile([logins, failed])

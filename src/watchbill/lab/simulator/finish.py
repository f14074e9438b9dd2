"""Finishes one day's rows: slips without a visible reason, sessions and terminals, logins, and who the person is."""

from __future__ import annotations

from typing import Final

import numpy as np

from watchbill.lab.simulator.places import Places
from watchbill.lab.simulator.rows import DAY, HOUR, MINUTE, Rows, confuser, fill_subjects, kind, new_rows, pile, status
from watchbill.lab.simulator.seeds import rng_for
from watchbill.lab.simulator.settings import WorldSettings
from watchbill.lab.simulator.staff import CLAIMS, COURIER, HOTLINE, SERVICE, Staff, Terminals, attach, slip_chance
from watchbill.records.schema import KINDS, LOOKS

LOOK_CODES: Final = [KINDS.index(k) for k in LOOKS]
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
    honest = np.isin(rows["kind"], LOOK_CODES) & (rows["session"] < 0)
    looks = rows[honest]
    attach(looks, staff, places, terminals)
    _label_people(places, staff, looks)
    rows[honest] = looks
    _scanners(staff, rows)
    return _logins(settings, looks, day)


def _label_people(places: Places, staff: Staff, looks: Rows) -> None:
    """Where nothing is to be said of the look itself, say what applies to the person."""
    account, time = looks["account"].astype(np.int64), looks["time"]
    code = np.zeros(len(looks), np.int8)
    for name, holds in (
        ("temp", staff.employment[account] == 2),
        ("shared_number", staff.shared[account]),
        ("night_shift", staff.night[account] & (time % DAY < 6 * HOUR)),
        ("new_handset", (staff.role[account] == COURIER) & (time >= staff.handset_day[account] * DAY)),
        ("new_hire", staff.hired[account] >= 0),
        ("long_leave", (time // DAY >= staff.away_to[account]) & (time // DAY < staff.away_to[account] + 5)),
        ("merger", time >= places.merge_time[staff.outlet[account]]),
        ("roster_gap", ~staff.rostered[account] | (staff.roster_from[account] > time // DAY)),
    ):
        code[holds] = confuser(name)
    looks["confuser"] = np.where(looks["confuser"] == 0, code, looks["confuser"])


def _scanners(staff: Staff, rows: Rows) -> None:
    """A courier's scans carry his handset."""
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

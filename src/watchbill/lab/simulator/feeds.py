"""What never reaches the log: tickets lost for hours, and feeds that an outlet never had; and the looks that this concerns."""

from __future__ import annotations

import numpy as np

from watchbill.lab.simulator.places import Places
from watchbill.lab.simulator.rows import ABSENT, DAY, HOUR, Rows, confuser, kind, status
from watchbill.lab.simulator.seeds import rng_for
from watchbill.lab.simulator.settings import WorldSettings
from watchbill.lab.simulator.staff import COURIER, SERVICE, Staff

_BEGIN_HOUR = 9


def tickets_lost(settings: WorldSettings) -> tuple[int, int]:
    """The span [from, to) whose tickets are lost; empty where none are."""
    hours = settings.stress.tickets_lost_hours
    day = int(rng_for(settings.seed, "tickets lost").integers(settings.days // 2, settings.days))
    begin = day * DAY + _BEGIN_HOUR * HOUR
    return begin, begin + int(hours * HOUR)


def reaches_log(settings: WorldSettings, places: Places, staff: Staff, rows: Rows) -> Rows:
    """The rows without those whose feed is lost or never existed."""
    stress = settings.stress
    if not (stress.tickets_lost_hours or stress.no_out_scans or stress.no_tickets):
        return rows
    begin, end = tickets_lost(settings)
    ticket = rows["kind"] == kind("ticket")
    assignee = np.maximum(rows["assignee"], 0).astype(np.int64)
    desk = (rows["assignee"] >= 0) & (staff.role[assignee] == SERVICE)
    gone = ticket & ((rows["time"] >= begin) & (rows["time"] < end) | desk & places.no_tickets[staff.outlet[assignee]])
    out = (rows["kind"] == kind("scan")) & (rows["status"] == status("out_for_delivery"))
    kept: Rows = rows[~(gone | out & places.no_out[rows["outlet"]])]
    return kept


def label_gaps(settings: WorldSettings, places: Places, staff: Staff, looks: Rows) -> None:
    """Say in the truth which honest looks lost the record of their work, in place."""
    account = np.maximum(looks["account"], 0).astype(np.int64)
    by_person, outlet, role = looks["account"] >= 0, staff.outlet[account], staff.role[account]
    called = by_person & ((looks["ticket"] > 0) | (looks["confuser"] == confuser("ticket_unnamed")))
    begin, end = tickets_lost(settings)
    lost = called & (looks["trace"] >= begin) & (looks["trace"] < end)
    none = called & (role == SERVICE) & places.no_tickets[outlet]
    out = by_person & (role == COURIER) & places.no_out[outlet] & (looks["confuser"] == 0)
    looks["confuser"] = np.where(lost, confuser("tickets_lost"), looks["confuser"])
    looks["confuser"] = np.where(none | out, confuser("no_feed"), looks["confuser"])
    # Where no ticket system is, nobody can name a ticket.
    looks["ticket"] = np.where(none, ABSENT, looks["ticket"])

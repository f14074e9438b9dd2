"""Honest looks that follow a parcel on its way: couriers, station clerks, hub workers and the label and notice robots."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from watchbill.lab.simulator.parcels import E, Life
from watchbill.lab.simulator.places import Places
from watchbill.lab.simulator.rows import (
    DAY,
    F_ADDRESS,
    F_CONTACT,
    F_FULL,
    F_NAME,
    F_PHONE,
    F_SENDER,
    MINUTE,
    Rows,
    app,
    confuser,
    kind,
    look_rows,
    new_rows,
    pile,
)  # fmt: skip
from watchbill.lab.simulator.seeds import I64, rng_for
from watchbill.lab.simulator.settings import WorldSettings
from watchbill.lab.simulator.staff import CLERK, HUB, ROBOT, Staff

LIST_PAGE = 4
"""Parcels that a list on a handset shows at a time."""


def field_looks(settings: WorldSettings, places: Places, staff: Staff, life: Life) -> Rows:
    """Looks of people who have the parcel in their hands, and of robots."""
    rng = rng_for(settings.seed, "looks", life.day)
    chunks = [
        _courier(settings, life, rng, "out", life.parcels["courier"].astype(np.int64)),
        _courier(settings, life, rng, "out2", life.courier2),
        _lists(settings, life, rng),
        _pickup(settings, life, rng),
        _clerk(settings, places, staff, life, rng),
        _hub(settings, places, staff, life, rng),
        _robots(settings, staff, life, rng),
    ]
    return pile(chunks)


def some(mask: npt.NDArray[np.bool_], chance: float, rng: np.random.Generator) -> I64:
    """Indices of a random share of the mask."""
    return np.flatnonzero(mask & (rng.random(len(mask)) < chance))


def minutes(rng: np.random.Generator, low: float, high: float, n: int) -> I64:
    """Uniform spans in milliseconds between two counts of minutes."""
    out: I64 = (rng.uniform(low, high, n) * MINUTE).astype(np.int64)
    return out


def again(settings: WorldSettings, looks: Rows, rng: np.random.Generator) -> Rows:
    """Repeats of some looks after no answer, 5 to 70 minutes later."""
    repeat = looks[rng.random(len(looks)) < settings.stress.repeat].copy()
    repeat["time"] += minutes(rng, 5, 70, len(repeat))
    repeat["confuser"] = confuser("repeat")
    repeat["first"] = 0
    return repeat


def trace_to(rows: Rows, life: Life, has: I64, event: str) -> None:
    """Tie looks to the scan behind them, and say in the truth where that had not yet reached the log."""
    at = (has, E[event])
    rows["trace"] = life.at[at]
    why = np.where(life.down[at], confuser("feed_down"), confuser("late_scan"))
    rows["confuser"] = np.where(life.received[at] > rows["time"], why, rows["confuser"])
    # The scan may seem to come after the look; no clock is wrong by as much as five minutes.
    ahead = life.skewed[at] & (rows["time"] - life.at[at] < 5 * MINUTE)
    rows["confuser"] = np.where(ahead, confuser("clock_skew"), rows["confuser"])


def _courier(settings: WorldSettings, life: Life, rng: np.random.Generator, event: str, courier: I64) -> Rows:
    rates = settings.rates
    has = some(life.has(event) & (courier >= 0), rates.courier_look, rng)
    n, out = len(has), life.at[has, E[event]]
    ends = np.stack([life.at[has, E[e]] for e in ("problem", "delivered", "held", "refused")])
    ends = np.where(ends > out, ends, np.iinfo(np.int64).max).min(axis=0)
    time = np.maximum(ends - minutes(rng, 2, 45, n), out + minutes(rng, 0.2, 6, n))
    sets = np.where(rng.random(n) < rates.courier_phone_only, F_PHONE, F_FULL)
    parcels = life.parcels[has]
    looks = look_rows(n, "view", parcels, time=time, account=courier[has], app=app("handset"), fieldset=sets, first=1)
    looks["confuser"] = np.where(life.covered[has], confuser("cover"), 0)
    trace_to(looks, life, has, event)
    masked = looks[rng.random(n) < rates.courier_masked].copy()
    masked["time"] -= (minutes(rng, 0.05, 0.4, len(masked)) * (masked["time"] - MINUTE > 0)).astype(np.int64)
    masked["masked"] = 1
    masked["first"] = 0
    return pile([looks, masked, again(settings, looks, rng)])


def _lists(settings: WorldSettings, life: Life, rng: np.random.Generator) -> Rows:
    """The day's list on the handset: masked, a few of the courier's own parcels a page."""
    courier = life.parcels["courier"].astype(np.int64)
    own = (
        life.has("out")
        & (np.roll(courier, -LIST_PAGE) == courier)
        & (np.arange(len(courier)) < len(courier) - LIST_PAGE)
    )
    has = some(own, settings.rates.courier_list, rng)
    rows = new_rows(
        len(has), kind=kind("search"), time=life.at[has, E["out"]] + minutes(rng, 1, 40, len(has)), account=courier[has],
        app=app("handset"), masked=1, outcome=0, fieldset=F_NAME, results=rng.integers(40, 160, len(has)),
        page=rng.integers(1, 12, len(has)),
    )  # fmt: skip
    rows["trace"] = life.at[has, E["out"]]
    for k in range(LIST_PAGE):
        rows["subs"][:, k] = life.parcels["recipient"][has + k]
    return rows


def _pickup(settings: WorldSettings, life: Life, rng: np.random.Generator) -> Rows:
    person = life.parcels["sender"] < 2 * 10**10
    has = some(life.has("picked_up") & (life.pickup >= 0) & person, settings.rates.pickup_look, rng)
    picked, ordered = life.at[has, E["picked_up"]], life.at[has, E["ordered"]]
    # The call is made on the round, on the day that the courier works.
    time = np.maximum(picked - minutes(rng, 5, 45, len(has)), ordered + MINUTE)
    looks = look_rows(
        len(has),
        "view",
        life.parcels[has],
        time=time,
        account=life.pickup[has],
        app=app("handset"),
        fieldset=F_SENDER,
        first=1,
    )
    trace_to(looks, life, has, "ordered")
    return pile([looks, again(settings, looks, rng)])


def _clerk(settings: WorldSettings, places: Places, staff: Staff, life: Life, rng: np.random.Generator) -> Rows:
    has = some(life.has("held"), settings.rates.clerk_look, rng)
    held, signed = life.at[has, E["held"]], life.at[has, E["signed"]]
    time = np.maximum(signed - minutes(rng, 0.3, 4, len(has)), held + 2 * MINUTE)
    clerk = staff.pick(CLERK, places.station(life.home[has]), time // DAY, rng)
    looks = look_rows(
        len(has), "view", life.parcels[has], time=time, account=clerk, app=app("station"), fieldset=F_CONTACT, first=1
    )
    trace_to(looks, life, has, "held")
    looks = looks[clerk >= 0]
    return pile([looks, again(settings, looks, rng)])


def _hub(settings: WorldSettings, places: Places, staff: Staff, life: Life, rng: np.random.Generator) -> Rows:
    """Mis-sorts and damaged labels: an address, soon after the arrival at the hub."""
    chunks = []
    for event, hub in (
        ("arr_a", places.hub(life.parcels["origin"].astype(np.int64))),
        ("arr_b", places.hub(life.home)),
    ):
        has = some(life.has(event), settings.rates.hub_look, rng)
        time = life.at[has, E[event]] + minutes(rng, 5, 300, len(has))
        who = staff.pick(HUB, hub[has], time // DAY, rng, time=time)
        looks = look_rows(
            len(has), "view", life.parcels[has], time=time, account=who, app=app("hub"), fieldset=F_ADDRESS, first=1
        )
        trace_to(looks, life, has, event)
        chunks.append(looks[who >= 0])
    return pile(chunks)


def _robots(settings: WorldSettings, staff: Staff, life: Life, rng: np.random.Generator) -> Rows:
    """Label printing right after the order, and a notice to the recipient when a parcel waits at a station."""
    robots = np.flatnonzero(staff.role == ROBOT)
    labels, notices = robots[0::2], robots[1::2]
    has = some(life.has("ordered"), settings.rates.label_print, rng)
    label = look_rows(
        len(has), "print", life.parcels[has], app=app("label"), account=labels[life.parcels["origin"][has] % len(labels)],
        time=life.at[has, E["ordered"]] + minutes(rng, 0.05, 1, len(has)), fieldset=F_FULL,
    )  # fmt: skip
    has = some(life.has("held"), settings.rates.notice, rng)
    notice = look_rows(
        len(has), "view", life.parcels[has], app=app("notice"), account=notices[life.home[has] % len(notices)],
        time=life.at[has, E["held"]] + minutes(rng, 0.05, 2, len(has)), fieldset=F_PHONE,
    )  # fmt: skip
    label["trace"], notice["trace"] = label["time"], notice["time"]
    return pile([label, notice])

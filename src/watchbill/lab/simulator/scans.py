"""Turns parcels' lives into scan records, some of which reach the log hours late or after a feed's outage."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from watchbill.lab.simulator.parcels import EVENTS, STATUS_OF, Life
from watchbill.lab.simulator.places import Places
from watchbill.lab.simulator.rows import ABSENT, HOUR, MINUTE, NO_TIME, Rows, kind, new_rows, pile, status
from watchbill.lab.simulator.seeds import I64, choose, rng_for
from watchbill.lab.simulator.settings import WorldSettings
from watchbill.lab.simulator.staff import CLERK, COURIER, HUB, Staff

HUB_EVENTS = ("arr_a", "dep_a", "arr_mid", "dep_mid", "arr_b", "dep_b", "rerouted", "arr_back")


def scan_rows(settings: WorldSettings, places: Places, staff: Staff, life: Life) -> Rows:
    """All scans of these parcels; also fills `life.received`."""
    rng = rng_for(settings.seed, "scans", life.day)
    where = _where(places, life)
    chunks = []
    for event, name in enumerate(EVENTS):
        has = np.flatnonzero(life.at[:, event] != NO_TIME)
        if not has.size:
            continue
        time = life.at[has, event]
        outlet, onward = where[name][has], _onward(name, where, life)[has]
        received = _arrival(settings, places, time, outlet, rng)
        life.received[has, event] = received
        life.skewed[has, event] = places.skew[outlet] > 0
        life.down[has, event] = (time >= places.feed_from[outlet]) & (time < places.feed_to[outlet])
        account, assignee = _hands(staff, life, name, has, outlet, time)
        chunks.append(
            new_rows(
                len(has), time=time, received=received, kind=kind("scan"), waybill=life.parcels["waybill"][has],
                outlet=outlet, next_outlet=onward, status=status(STATUS_OF[event]), account=account, assignee=assignee,
            )
        )  # fmt: skip
    rows = pile(chunks)
    # The scanner's clock is wrong, the log's is right: a scan ahead of its time says when it really came.
    skew = places.skew[rows["outlet"]]
    rows["received"] = np.where((skew != 0) & (rows["received"] < 0), rows["time"], rows["received"])
    rows["time"] += skew
    return rows


def _where(places: Places, life: Life) -> dict[str, I64]:
    """Place of each event for each parcel."""
    origin = life.parcels["origin"].astype(np.int64)
    # Where the parcel was ordered and picked up follows a merger from its day on.
    start = places.now(origin, life.time("picked_up"))
    dest = life.parcels["dest"].astype(np.int64)
    hub_a, hub_b = places.hub(origin), places.hub(life.home)
    station = places.station(life.home)
    back = places.now(origin, np.maximum(life.time("arr_home"), 0))
    return {
        "ordered": start, "cancelled": start, "picked_up": start, "dep_origin": start, "arr_a": hub_a, "dep_a": hub_a,
        "arr_mid": life.mid, "dep_mid": life.mid, "arr_b": hub_b, "rerouted": hub_b, "dep_b": hub_b, "arr_dest": dest,
        "out": dest, "problem": dest, "out2": dest, "delivered": dest, "held": station, "refused": dest,
        "signed": np.where(life.has("held"), station, dest), "returning": dest, "dep_back": dest, "arr_back": hub_b,
        "dep_home": hub_b, "arr_home": back, "home": back,
    }  # fmt: skip


def _onward(name: str, where: dict[str, I64], life: Life) -> I64:
    """Next place, for scans that say one."""
    far, long = life.has("arr_b"), life.mid >= 0
    if name == "dep_origin":
        return where["arr_a"]
    if name == "dep_a":
        return np.where(long, where["arr_mid"], where["arr_b"])
    if name == "dep_mid":
        return where["arr_b"]
    if name in ("dep_b", "rerouted"):
        return where["arr_dest"]
    if name == "dep_back":
        return where["arr_back"]
    return where["arr_home"] if name == "dep_home" else np.full(len(far), ABSENT)


def _hands(staff: Staff, life: Life, name: str, has: I64, outlet: I64, time: I64) -> tuple[I64, npt.NDArray[np.int64]]:
    """Who scanned, and who was given the work."""
    nobody = np.full(len(has), ABSENT)
    courier = life.parcels["courier"][has].astype(np.int64)
    second = life.courier2[has]
    last = np.where(second >= 0, second, courier)
    if name == "ordered":
        return nobody, life.pickup[has]
    if name in ("cancelled", "home"):
        return nobody, nobody
    if name == "picked_up":
        return life.pickup[has], nobody
    if name == "out":
        return courier, courier
    if name == "out2":
        return second, second
    if name in ("problem", "delivered", "held", "refused", "returning"):
        return courier if name == "problem" else last, nobody
    if name == "signed":
        clerk = _someone(staff, CLERK, outlet, time)
        return np.where(life.has("held")[has], clerk, last), nobody
    if name in HUB_EVENTS or name == "dep_home":
        return _someone(staff, HUB, outlet, time), nobody
    return _someone(staff, COURIER, outlet, time), nobody


def _someone(staff: Staff, role: int, outlet: I64, time: I64) -> I64:
    """Somebody of the role at that place, the same one for an hour; a scan without account where nobody works."""
    first, count = staff.on_shift(role, outlet, time)
    pick = choose(outlet * 100_003 + time // HOUR, 31, 2**31)
    account = first + pick % np.maximum(count, 1)
    return np.where(
        (count > 0) & staff.is_working(np.where(count > 0, account, 0), time // (24 * HOUR)), account, ABSENT
    )


def _arrival(settings: WorldSettings, places: Places, time: I64, outlet: I64, rng: np.random.Generator) -> I64:
    """When the log gets the scan, or -1 for at once."""
    stress = settings.stress
    late = rng.random(len(time)) < stress.late_scan
    delay = ((0.2 + rng.exponential(stress.late_scan_hours or 1.0, len(time))).clip(max=48) * HOUR).astype(np.int64)
    received = np.where(late, time + delay, -1)
    down = (time >= places.feed_from[outlet]) & (time < places.feed_to[outlet])
    # After an outage the feed empties its queue within a quarter of an hour.
    burst = places.feed_to[outlet] + (rng.random(len(time)) * 15 * MINUTE).astype(np.int64)
    return np.where(down, burst, received)

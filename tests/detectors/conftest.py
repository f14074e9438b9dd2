from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from watchbill.context.events import EVENT, LOGIN, LOOK, RETRACT, WORK
from watchbill.detectors.base import DetectorBase, Surroundings

DAY = 86_400_000
HOUR = 3_600_000
ACCOUNTS = 12


def surroundings() -> Surroundings:
    """Three roles; places: two near each other, one 1,500 km away, a carrier's NAT, one without coordinates."""
    return Surroundings(
        accounts=ACCOUNTS, outlets=4, roles=("courier", "service", "unknown"),
        lat=np.array([39.9, 39.95, 26.1, 31.2, np.nan]), lon=np.array([116.4, 116.5, 119.3, 121.4, np.nan]),
        place_kind=np.array([1, 3, 1, 2, 1], np.uint8), registered=np.array([2, 7], np.uint64),
        device_outlet=np.array([1, 2], np.int32), device_kind=np.array([1, 2], np.uint8),
        device_shared=np.array([1, 0], np.uint8), outlet_lat=np.array([39.9, 39.95, 26.1, np.nan]),
        outlet_lon=np.array([116.4, 116.5, 119.3, np.nan]),
        present=frozenset({"accounts", "outlets", "networks", "canaries", "devices", "shifts"}),
        tokens_max=np.full(3, 40, np.float32), looks_a_day=np.array([150, 100, 50], np.float32),
        ends=np.array([2**62] * (ACCOUNTS - 1) + [20_002 * DAY]),
    )  # fmt: skip


def random_events(seed: int, count: int) -> NDArray[np.void]:
    """A busy stream of `ACCOUNTS` accounts over nine days, ties in time, late times, retractions, strangers, canaries."""
    rng = np.random.default_rng(seed)
    events = np.zeros(count, EVENT)
    arrival = np.sort(20_000 * DAY + rng.integers(0, 9 * DAY // (30 * 60_000), count) * 30 * 60_000)
    late = rng.random(count) < 0.1
    time = arrival - late * rng.integers(0, 2 * DAY, count)
    events["seq"] = events["row"] = np.arange(count)
    events["time"], events["arrival"] = time, arrival
    events["day"], events["hour"] = time // DAY, time // HOUR % 24
    events["account"] = rng.integers(-1, ACCOUNTS, count)
    events["role"] = events["account"] % 3
    events["outlet_id"] = rng.integers(-1, 4, count)
    events["item"] = rng.integers(1, count, count)
    events["kind"] = rng.choice([LOOK, LOGIN, WORK], count, p=[0.6, 0.1, 0.3])
    events["device"], events["place"] = rng.integers(0, 9, count), rng.integers(-1, 5, count)
    wild = events["account"] == 3
    events["reason"] = np.where(rng.random(count) < np.where(wild, 0.2, 0.95), 1, 0)
    events["first"] = events["reveal"] = rng.random(count) < 0.8
    events["success"] = 1
    events["gated"] = rng.choice([0, 1, 2], count, p=[0.9, 0.06, 0.04])
    events["roster"] = np.where(events["account"] == 4, rng.integers(0, 4, count), 0)
    events["canary"] = rng.random(count) < 0.01
    costly = (events["kind"] == LOOK) & (events["reason"] == 0) & (events["first"] == 1)
    events["weight"] = np.where(costly, rng.choice([1, 10], count), 0)
    events["number"] = rng.choice([0, 700_000, 10**15], count) + rng.integers(0, 3_000, count)
    events["session"], events["address"] = rng.integers(0, 20, count), rng.integers(0, 9, count)
    events["what"], events["fields"] = rng.integers(0, 12, count), rng.integers(0, 7, count)
    events["results"], events["page"] = rng.integers(0, 200, count), rng.integers(0, 30, count)
    events["at"] = np.where(events["kind"] == WORK, rng.integers(-1, 4, count), -1)
    events["assigned"], events["shift"] = rng.integers(0, 3, count), rng.integers(0, 3, count)
    for flag in ("fresh", "own_scan", "follows"):
        events[flag] = rng.integers(0, 2, count)
    events["follows"] *= events["kind"] == WORK
    events["persons"] = 1 + (events["account"] == 6)
    events["tenure_days"] = np.where(events["account"] == 7, -1, 5 * events["account"])
    events["lone"] = events["account"] == 8
    quiet = events["kind"] != LOOK
    for name in ("reason", "first", "reveal", "canary", "weight", "results", "page", "fields"):
        events[name][quiet] = 0
    costly &= events["kind"] == LOOK
    taken = rng.choice(np.flatnonzero(costly), min(60, costly.sum()), replace=False)
    for look in taken[taken < count - 2]:
        at = int(rng.integers(look + 1, count))
        if events["kind"][at] == LOGIN:
            events[at] = events[look]
            events["arrival"][at], events["row"][at] = arrival[at], at
            events["kind"][at], events["first"][at], events["reveal"][at] = RETRACT, 0, 0
    return events


@pytest.fixture
def stream() -> Callable[[int, int], NDArray[np.void]]:
    return random_events


Run = Callable[..., NDArray[np.float32]]


@pytest.fixture
def run_hours() -> Run:
    """Observe events in pieces of one hour of arrival, tables published where an hour begins, cut further at `edges`."""

    def run(
        detector: DetectorBase, events: NDArray[np.void], edges: list[int] | None = None, *, start: int = 0
    ) -> NDArray[np.float32]:
        around = surroundings()
        out = [np.zeros(0, np.float32)]
        hours = events["arrival"] // HOUR
        inner = {0, len(events), *(np.flatnonzero(np.diff(hours)) + 1).tolist(), *(edges or [])}
        cuts = sorted(inner)
        last = start
        for begin, end in itertools.pairwise(cuts):
            if hours[begin] > last:
                last = int(hours[begin])
                detector.publish(last * HOUR, around)
            out.append(detector.observe(events[begin:end].copy(), around))
        return np.concatenate(out)

    return run

"""A walk through the logs with the engine's own context, gates and detectors, in memory, without steps or cases.

Keeps per account what an assessment needs: looks explained, roster status by day, the most evidence, places.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from watchbill.context.context import Context, grown
from watchbill.context.coverage import FEED_GATED, Coverage, alone_of
from watchbill.context.events import LOGIN, LOOK, RETRACT
from watchbill.context.networks import ROAMING
from watchbill.detectors.base import load_detectors, surroundings_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    from watchbill.core.settings import Settings
    from watchbill.records.columns import Columns

_MINUTE_MS: Final = 60_000
SLOT_MS: Final = 30 * _MINUTE_MS
"""Two devices within one slot count as "at the same time"."""
SIGHTS_MAX: Final = 20_000_000
VOLUME_NATS: Final = 11.4
"""Volume is cut at 11.5 nats: an hour of about as much as the detector can say."""
STATUSES: Final = 4

HABITS: Final = np.dtype(
    [
        ("looks", np.int64),  # all looks
        ("first", np.int64),  # unmasked first looks, feeds healthy: what coverage is measured on
        ("explained", np.int64),  # of those, explained when they arrived
        ("late", np.int64),  # looks whose reason came late
        ("days", np.int32),  # local days with looks
        ("day", np.int32),  # the last of them
        ("role", np.int32),
        ("outlet", np.int32),
        ("unexplained_nats", np.float32),
        ("volume_hours", np.int32),  # hours with VOLUME_NATS of evidence, and the last of them
        ("volume_hour", np.int32),
        ("status", np.int64, (STATUSES,)),  # looks by roster status
        ("from_day", np.int32, (STATUSES,)),  # first and last local day in that status, 0 = never
        ("to_day", np.int32, (STATUSES,)),
    ],
    align=True,
)
"""What is kept of one account."""
SIGHT: Final = np.dtype(
    [("account", np.int32), ("place", np.int32), ("slot", np.int64), ("device", np.uint64)], align=True
)


class Walk:
    """The engine's stages up to the detectors. `take` batches in order; arrival must be stamped."""

    def __init__(self, settings: Settings, reference: dict[str, pa.Table]) -> None:
        self.settings = settings
        self.context = Context(settings)
        for name, table in reference.items():
            self.context.apply(name, table)
        self.coverage = Coverage(
            len(self.context.roles), settings.gates, alone_of(self.context.roles, settings.reasons)
        )
        self.detectors = load_detectors(settings)
        self.habits = np.zeros(0, HABITS)
        self.sights: list[NDArray[np.void]] = []
        self.sights_held = 0
        self.places = [0, 0]  # looks and logins with an address, and those whose network is known
        self.around = surroundings_of(self.context, settings)
        self._tick = 0

    def take(self, columns: Columns) -> None:
        """Walk one batch."""
        for start, stop in self._cuts(columns):
            self._piece(columns.cut(start, stop))

    def _cuts(self, columns: Columns) -> Iterator[tuple[int, int]]:
        """Pieces within one table tick; tables are published where a new one begins, as in the engine."""
        if len(columns) == 0:
            return
        length = self.settings.table_minutes * _MINUTE_MS
        ticks = columns.arrival // length
        edges = [0, *(np.flatnonzero(np.diff(ticks)) + 1).tolist(), len(columns)]
        for start, stop in pairwise(edges):
            tick = int(ticks[start])
            if tick > self._tick:
                self.coverage.publish(len(self.context.outlets))
                for detector in self.detectors:
                    detector.publish(tick * length, self.around)
                self._tick = tick
            yield start, stop

    def _piece(self, columns: Columns) -> None:
        facts = self.context.prepare(columns)
        self.places[0] += int(np.sum(columns.ip != 0))
        self.places[1] += int(np.sum(facts["place"] >= 0))
        events = self.context.join(facts, columns.subjects)
        size = len(self.context.accounts)
        self.around.accounts, self.around.outlets = size, len(self.context.outlets)
        self.coverage.habits = grown(self.coverage.habits, size)
        self.habits = grown(self.habits, size)
        self.coverage.mark(events)
        nats = {detector.id: detector.observe(events, self.around) for detector in self.detectors}
        known = events["account"] >= 0
        if "unexplained" in nats:
            np.maximum.at(self.habits["unexplained_nats"], events["account"][known], nats["unexplained"][known])
        if "volume" in nats:
            self._count_hours(events[known & (nats["volume"] >= VOLUME_NATS)])
        np.add.at(self.habits["late"], events["account"][known & (events["kind"] == RETRACT)], 1)
        self._count(events[known & (events["kind"] == LOOK)])
        self._see(events[known & ((events["kind"] == LOOK) | (events["kind"] == LOGIN))])

    def _count_hours(self, events: NDArray[np.void]) -> None:
        habits, hours = self.habits, events["day"].astype(np.int64) * 24 + events["hour"]
        pairs = np.unique(np.stack([events["account"].astype(np.int64), hours]), axis=1)
        fresh = pairs[:, pairs[1] > habits["volume_hour"][pairs[0]]]
        np.add.at(habits["volume_hours"], fresh[0], 1)
        np.maximum.at(habits["volume_hour"], fresh[0], fresh[1].astype(np.int32))

    def _count(self, looks: NDArray[np.void]) -> None:
        if looks.shape[0] == 0:
            return
        habits, who = self.habits, looks["account"]
        np.add.at(habits["looks"], who, 1)
        counted = (looks["first"] == 1) & (looks["reveal"] == 1) & ((looks["gated"] & FEED_GATED) == 0)
        np.add.at(habits["first"], who[counted], 1)
        np.add.at(habits["explained"], who[counted & (looks["reason"] > 0)], 1)
        habits["role"][who], habits["outlet"][who] = looks["role"], looks["outlet_id"]
        pairs = np.unique(np.stack([who.astype(np.int64), looks["day"].astype(np.int64)]), axis=1)
        fresh = pairs[:, pairs[1] > habits["day"][pairs[0]]]
        np.add.at(habits["days"], fresh[0], 1)
        np.maximum.at(habits["day"], fresh[0], fresh[1].astype(np.int32))
        for status in range(STATUSES):
            here = looks["roster"] == status
            at, day = who[here], looks["day"][here]
            np.add.at(habits["status"][:, status], at, 1)
            seen = habits["from_day"][:, status]
            seen[at[seen[at] == 0]] = np.iinfo(np.int32).max
            np.minimum.at(seen, at, day)
            np.maximum.at(habits["to_day"][:, status], at, day)

    def _see(self, events: NDArray[np.void]) -> None:
        events = events[(events["place"] >= 0) & (events["device"] != 0)]
        events = events[~np.isin(self.around.place_kind[events["place"]], ROAMING)]
        if events.shape[0] == 0 or self.sights_held >= SIGHTS_MAX:
            return
        sights = np.zeros(events.shape[0], SIGHT)
        for name in ("account", "place", "device"):
            sights[name] = events[name]
        sights["slot"] = events["time"] // SLOT_MS
        sights = np.unique(sights)
        self.sights.append(sights)
        self.sights_held += sights.shape[0]

    def seen(self) -> NDArray[np.intp]:
        """Accounts with looks."""
        return np.flatnonzero(self.habits["looks"])

    def apart(self, km_min: float) -> list[int]:
        """Accounts seen from two devices at places further apart than `km_min` within one slot."""
        if not self.sights:
            return []
        sights = np.unique(np.concatenate(self.sights))
        lat, lon = self.around.lat[sights["place"]], self.around.lon[sights["place"]]
        sights, lat, lon = (part[~np.isnan(lat)] for part in (sights, lat, lon))
        order = np.lexsort((sights["slot"], sights["account"]))
        sights, lat, lon = sights[order], lat[order], lon[order]
        if sights.shape[0] == 0:
            return []
        new = (np.diff(sights["account"], prepend=-1) != 0) | (np.diff(sights["slot"], prepend=-1) != 0)
        starts = np.flatnonzero(new)
        low, high = np.minimum.reduceat, np.maximum.reduceat
        devices = low(sights["device"], starts) != high(sights["device"], starts)
        north, south = high(lat, starts), low(lat, starts)
        east = (high(lon, starts) - low(lon, starts)) * np.cos(np.radians((north + south) / 2))
        km = 111.2 * np.hypot(north - south, east)
        return sorted({int(account) for account in sights["account"][starts[devices & (km > km_min)]]})

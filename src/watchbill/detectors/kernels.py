"""Small tools that detectors share: the bet on a rare daily event, distances, notes on waiting looks, and example events for the law suite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from watchbill.context.events import EVENT, LOOK
from watchbill.core.kernel import kernel
from watchbill.core.tables import MAX_LOAD, power_of_two

if TYPE_CHECKING:
    from numpy.typing import NDArray

STAKE: Final = 0.1
"""Share of the capital bet each active day on a rare event."""

NATS_MAX: Final = np.float32(40)
"""No account's evidence grows past e^40: a capital that is cut stays an e-value, and an owner whose number was abused
for a day is not stopped for weeks after it."""

FADE: Final = 0.7

EARTH_KM: Final = 6371.0
_DAY_MS: Final = 86_400_000


NOTE: Final = np.dtype([("key", np.int64), ("arrival", np.int64), ("value", np.float32)], align=True)
"""What a detector did at one waiting look (the nats it applied, the tokens it took); key = seq + 1, 0 = empty."""

_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)


@kernel
def note_slot(cells: NDArray[np.void], key: int) -> int:
    """The cell of `key`, or the empty cell where it would stand."""
    mask = np.uint64(cells.shape[0] - 1)
    slot = (np.uint64(key) * _SPREAD) >> np.uint64(20) & mask
    while cells[slot].key != key and cells[slot].key != 0:
        slot = (slot + np.uint64(1)) & mask
    return int(np.int64(slot))


@kernel
def _copy_notes(old: NDArray[np.void], new: NDArray[np.void], not_before: int) -> int:
    kept = 0
    for i in range(old.shape[0]):
        if old[i].key != 0 and old[i].arrival >= not_before:
            cell = new[note_slot(new, old[i].key)]
            cell.key, cell.arrival, cell.value = old[i].key, old[i].arrival, old[i].value
            kept += 1
    return kept


class LookNotes:
    """What was done at looks that wait for a reason, by seq, so that it can be taken back exactly."""

    def __init__(self) -> None:
        self.cells = np.zeros(16, NOTE)
        self.held = 0

    def reserve(self, more: int) -> None:
        """Room for `more` notes; a kernel that adds some tells `held`."""
        if self.held + more > MAX_LOAD * self.cells.shape[0]:
            self._rebuild(self.cells, self.held + more, np.iinfo(np.int64).min)

    def forget(self, before: int) -> None:
        """Drop the notes of looks that arrived before `before` (epoch ms)."""
        self._rebuild(self.cells, self.held, before)

    def _rebuild(self, source: NDArray[np.void], room: int, not_before: int) -> None:
        fresh = np.zeros(power_of_two(int(room / MAX_LOAD) + 1), NOTE)
        self.held = int(_copy_notes(source, fresh, not_before))
        self.cells = fresh

    def snapshot(self) -> NDArray[np.void]:
        """The notes, sorted by look."""
        held = self.cells[self.cells["key"] != 0]
        ordered: NDArray[np.void] = held[np.argsort(held["key"])]
        return ordered

    def restore(self, saved: NDArray[np.void]) -> None:
        """The inverse of `snapshot`."""
        self._rebuild(saved, saved.shape[0], np.iinfo(np.int64).min)


@kernel
def daily_stake(log_m: float) -> float:
    """A new active day begins: old evidence fades, the stake is paid.

    Capital under 1 is topped up to 1 first (e-CUSUM); fading only lowers it, so the bound holds, and an owner whose
    number was abused once is not held for months.
    """
    return float(min(max(log_m, 0.0), float(NATS_MAX)) * FADE + np.log(1.0 - STAKE))


@kernel
def rare_event(log_m: float, stake: float, probability: float, paid: float) -> float:
    """The event of honest daily probability at most `probability` happened (first time today): the bet pays out.

    A day's stake s is split over the bets of a detector. Over a day the factor is 1 - s + the sum of s_i / p_i over the
    events that happened; its mean under the null is at most 1, however the events depend on each other.

    Args:
        log_m: the log e-value, after `daily_stake`. stake: s_i. paid: sum of s_j / p_j of today's earlier events.
    """
    return float(log_m + np.log1p(stake / probability / (1.0 - STAKE + paid)))


@kernel
def is_frozen(frozen: NDArray[np.uint8], account: int, bits: int) -> bool:
    """Whether any of these bits of `Surroundings.frozen` is set for a dense account (False where nothing is known)."""
    return bool(0 <= account < frozen.shape[0] and frozen[account] & bits)


@kernel
def distance_km(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Great-circle distance by the haversine formula; degrees in, kilometres out."""
    a, b = np.radians(lat1), np.radians(lat2)
    half = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(np.radians(lon2 - lon1) / 2) ** 2
    return float(2 * EARTH_KM * np.arcsin(np.sqrt(min(1.0, half))))


def example_looks(count: int, *, gap_ms: int = 60_000, start_day: int = 20_000) -> NDArray[np.void]:
    """Events of account 0: `count` unexplained first unmasked looks, `gap_ms` apart, from 09:00 of `start_day`."""
    events = np.zeros(count, EVENT)
    events["seq"] = np.arange(count)
    events["row"] = np.arange(count)
    time = start_day * _DAY_MS + 9 * 3_600_000 + np.arange(count, dtype=np.int64) * gap_ms
    events["time"] = events["arrival"] = time
    events["day"], events["hour"] = time // _DAY_MS, time // 3_600_000 % 24
    events["kind"], events["first"], events["reveal"], events["success"] = LOOK, 1, 1, 1
    events["item"] = np.arange(1, count + 1)
    events["weight"], events["outlet_id"], events["place"] = 1.0, -1, -1
    return events

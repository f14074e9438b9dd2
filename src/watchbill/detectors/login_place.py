"""Place and device. Catches: a new device in a new place, and journeys nobody can make.

Misses: renters behind an address of the owner's own city and device, and remote control of the owner's own machine.

Each is a rare event of an honest day with a known bound on its probability, and a bet on it each active day (see
detectors.kernels). Carrier NAT and VPN say nothing about a place. A device or place is learned when first seen, so that an
honest move costs its evidence once; while the account is suspected nothing further is learned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from watchbill.context.events import LOGIN, LOOK
from watchbill.context.networks import ROAMING
from watchbill.core.kernel import Row, kernel
from watchbill.detectors.base import CONFIRMED, SUSPECTED, DetectorBase, Example, Surroundings
from watchbill.detectors.kernels import STAKE, daily_stake, distance_km, example_looks, is_frozen, rare_event

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEVICES: Final = 6
MOBILE, VPN = ROAMING
PLACES: Final = 4
ROW: Final = np.dtype(
    [
        ("last_time", np.int64),
        ("log_m", np.float32),
        ("day", np.int32),
        ("devices", np.uint32, (DEVICES,)),
        ("places", np.int32, (PLACES,)),  # place + 1, 0 = free
        ("last_place", np.int32),  # place + 1
        ("active_days", np.int16),
        ("said", np.uint8),  # bit 1: new device and place, bit 2: journey, today
    ],
    align=True,
)
HALF: Final = STAKE / 2
"""The stake of a day is split over the two bets."""
P_NEW: Final = 2e-3
P_JOURNEY: Final = 2e-4
KM_H: Final = 900.0
RADIUS_KM: Final = 150.0
LEARN_UNDER_NATS: Final = 3.0
GREEN_DAYS: Final = 3
"""Days of an account's life in which devices and places are only learned."""
_HOUR_MS: Final = 3_600_000.0


@kernel
def _know_device(row: Row, mark: np.uint32, learn: bool) -> bool:
    """Whether the device is known; when `learn`, it moves to the front and the oldest falls out."""
    known = False
    at = DEVICES - 1
    for k in range(DEVICES):
        if row.devices[k] == mark:
            known, at = True, k
            break
    if learn and (known or row.devices[0] != mark):
        for k in range(at, 0, -1):
            row.devices[k] = row.devices[k - 1]
        row.devices[0] = mark
    return known


@kernel
def _know_place(row: Row, place: int, learn: bool) -> bool:
    known = False
    at = PLACES - 1
    for k in range(PLACES):
        if row.places[k] == place + 1:
            known, at = True, k
            break
    if learn:
        for k in range(at, 0, -1):
            row.places[k] = row.places[k - 1]
        row.places[0] = place + 1
    return known


@kernel
def _too_fast(row: Row, place: int, time: int, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> bool:
    last = row.last_place - 1
    if last < 0 or last == place:
        return False
    if np.isnan(lat[last]) or np.isnan(lat[place]):
        return False
    apart = distance_km(lat[last], lon[last], lat[place], lon[place]) - 2 * RADIUS_KM
    hours = abs(time - row.last_time) / _HOUR_MS
    return apart > 0 and apart > KM_H * hours


@kernel
def _observe(
    events: NDArray[np.void], rows: NDArray[np.void], lat: NDArray[np.float64], lon: NDArray[np.float64],
    kind: NDArray[np.uint8], frozen: NDArray[np.uint8], out: NDArray[np.float32],
) -> None:  # fmt: skip
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0:
            continue
        row = rows[event.account]
        if event.kind == LOGIN or event.kind == LOOK:
            if event.day > row.day:
                if row.day and row.said == 0:
                    row.log_m = max(np.float32(0), row.log_m - np.float32(1))  # a quiet day speaks for the person
                row.day, row.said = event.day, 0
                row.active_days = min(row.active_days + 1, 10_000)
                row.log_m = daily_stake(row.log_m)
            learn = row.log_m < LEARN_UNDER_NATS and not is_frozen(frozen, event.account, SUSPECTED | CONFIRMED)
            green = row.active_days <= GREEN_DAYS
            place = event.place
            fixed = place >= 0 and kind[place] != MOBILE and kind[place] != VPN
            new_device = event.device != 0 and not _know_device(
                row, np.uint32(event.device & np.uint64(0xFFFFFFFF)), learn
            )
            if fixed:
                new_place = not _know_place(row, place, learn)
                if new_device and new_place and not green and not row.said & 1:
                    row.log_m = rare_event(row.log_m, HALF, P_NEW, HALF / P_JOURNEY if row.said & 2 else 0.0)
                    row.said |= 1
                if not green and not row.said & 2 and _too_fast(row, place, event.time, lat, lon):
                    row.log_m = rare_event(row.log_m, HALF, P_JOURNEY, HALF / P_NEW if row.said & 1 else 0.0)
                    row.said |= 2
                row.last_place, row.last_time = place + 1, event.time
        out[i] = max(row.log_m, np.float32(0))


class Detector(DetectorBase):
    """New device together with new place, and impossible travel."""

    family = "login"
    needs = ("networks",)
    row: ClassVar[np.dtype[Any]] = ROW
    kept = ("last_time", "day", "devices", "places", "last_place", "active_days")
    text_en = "was used from a new device in a new place, or from two places at once"
    text_zh = "在新地点用新设备登录，或出现不可能的行程"

    def observe(self, events: NDArray[np.void], around: Surroundings) -> NDArray[np.float32]:
        """See the base class."""
        self.grow(around.accounts)
        out = np.zeros(events.shape[0], np.float32)
        if not self.silent(around):
            _observe(events, self.rows, around.lat, around.lon, around.place_kind, around.frozen, out)
        return out

    def forgive(self, account: int) -> None:
        """As the base class; today and the next active day only teach, so that a person who moved is not asked again."""
        super().forgive(account)
        self.rows["active_days"][account] = min(int(self.rows["active_days"][account]), GREEN_DAYS - 1)

    @classmethod
    def examples(cls) -> list[Example]:
        """A renter far away, and a handset bought at home."""
        days = np.concatenate([example_looks(2, start_day=20_000 + d) for d in range(8)])
        days["device"], days["place"] = 11, 0
        away = days.copy()
        away["device"][-2:], away["place"][-2:] = 99, 1
        handset = days.copy()
        handset["device"][-2:] = 99
        return [
            Example("a week at home, then a new device 1,500 km away", away, found=True, nats_min=3.0),
            Example("a new handset at the same place", handset, found=False, nats_min=3.0),
        ]

"""Two places at once. Catches: a desk session that searches while the owner scans elsewhere, or looks at another fixed place.

Misses: renters on the owner's own device or network (a proxy, remote control), within 5 km of him, or while he rests. On a
shared number (several persons at once) it says nothing: there it cannot tell.

A return is counted: the account acts at A, within minutes on another device at B over 5 km away, then at A again, all on
the clock of the records. An offset between two clocks makes no returns, it only moves them; a scan that is told late is
passed over. Under the null a day has a return with chance P_RETURN at most, and each is followed by another with chance
GOES_ON at most (geometric); the bet is on a day with returns, then on the next one. Places that the account showed on
earlier unsuspected days are its own. A registered machine stands where the register says, whatever its address says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from watchbill.context.events import LOGIN, LOOK, WORK
from watchbill.context.networks import ROAMING
from watchbill.core.kernel import Row, kernel
from watchbill.detectors.base import DetectorBase, Example, Surroundings, robots_of
from watchbill.detectors.kernels import NATS_MAX, STAKE, daily_stake, distance_km, example_looks, rare_event

if TYPE_CHECKING:
    from numpy.typing import NDArray

OWN: Final = 3
ROW: Final = np.dtype(
    [
        ("time", np.int64),  # of the newest act at a known spot; spots are place + 1, or -(outlet + 1)
        ("log_m", np.float32),
        ("day", np.int32),
        ("here", np.int32),  # spot of that act, 0 = none
        ("before", np.int32),  # spot from which it jumped there, 0 = no jump
        ("device", np.uint32),  # of that act
        ("device_before", np.uint32),
        ("returns", np.int32),  # today
        ("days", np.int32),  # active days so far
        ("today", np.int32),  # fixed place seen today
        ("asked", np.int32),  # local day on which `machine` was looked up in the register
        ("machine", np.uint64),
        ("stands", np.int32),  # its dense outlet, -1 = none
        ("own", np.int32, (OWN,)),  # fixed places of earlier unsuspected days, newest first
    ],
    align=True,
)
KM_MIN: Final = 5.0
P_RETURN: Final = 1e-3
GOES_ON: Final = 0.6
GOES_ON_WRONG: Final = 0.97
STEP_NATS: Final = float(np.log(GOES_ON_WRONG / GOES_ON))
NO_MORE_NATS: Final = float(np.log((1 - GOES_ON_WRONG) / (1 - GOES_ON)))
"""What the end of a day with returns costs: the bet was on one more."""
LOOK_GAP_MS: Final = 60_000
WORK_GAP_MS: Final = 600_000
LATE_MS: Final = 120_000
LEARN_UNDER_NATS: Final = 3.0
GREEN_DAYS: Final = 3
"""Days of an account's life in which places are only learned."""
MOBILE, VPN = ROAMING
_PC, _SERVER = 1, 4


@kernel
def _outlet_of(
    device: np.uint64, registered: NDArray[np.uint64], outlet: NDArray[np.int32], kind: NDArray[np.uint8]
) -> int:
    """Dense outlet of a registered machine that does not move, else -1."""
    low, high = 0, registered.shape[0]
    while low < high:
        middle = (low + high) // 2
        if registered[middle] < device:
            low = middle + 1
        else:
            high = middle
    if low < registered.shape[0] and registered[low] == device and (kind[low] == _PC or kind[low] == _SERVER):
        return int(outlet[low])
    return -1


@kernel
def _new_day(row: Row, day: int) -> None:
    if row.returns:
        row.log_m = max(row.log_m + np.float32(NO_MORE_NATS), np.float32(0))
    row.log_m = daily_stake(row.log_m)
    if row.today and row.returns == 0 and row.log_m < LEARN_UNDER_NATS:
        at = OWN - 1
        for k in range(OWN):
            if row.own[k] == row.today:
                at = k
                break
        for k in range(at, 0, -1):
            row.own[k] = row.own[k - 1]
        row.own[0] = row.today
    row.day, row.returns, row.today = day, 0, 0
    row.days = min(row.days + 1, 10_000)


@kernel
def _is_foreign(row: Row, spot: int) -> bool:
    """Whether a spot is a fixed place (not where work was scanned) that earlier days did not show."""
    if spot <= 0:
        return False
    for k in range(OWN):  # noqa: SIM110 - numba compiles a plain loop
        if row.own[k] == spot:
            return False
    return True


@kernel
def _act(row: Row, spot: int, device: np.uint32, time: int, apart: float) -> None:
    """One act at `spot`, `apart` km from the last one's."""
    same_machine = device != 0 and device == row.device
    gap = WORK_GAP_MS if spot < 0 or row.here < 0 else LOOK_GAP_MS
    if apart > KM_MIN and not same_machine and time - row.time <= gap:
        back = spot == row.before and (device == 0 or row.device_before == 0 or device == row.device_before)
        if back and row.days > GREEN_DAYS and (_is_foreign(row, spot) or _is_foreign(row, row.here)):
            row.returns += 1
            if row.returns == 1:
                row.log_m = rare_event(row.log_m, STAKE, P_RETURN, 0.0)
            else:
                row.log_m = min(row.log_m + np.float32(STEP_NATS), NATS_MAX)
        row.before, row.device_before = row.here, row.device
    else:
        row.before, row.device_before = 0, 0
    row.here, row.device, row.time = spot, device, time


@kernel
def _is_fixed(place: int, kind: NDArray[np.uint8]) -> bool:
    return bool(place >= 0 and kind[place] != MOBILE and kind[place] != VPN)


@kernel
def _apart(
    a: int, b: int, lat: NDArray[np.float64], lon: NDArray[np.float64], outlet_lat: NDArray[np.float64],
    outlet_lon: NDArray[np.float64],
) -> float:  # fmt: skip
    """Kilometres between two spots; 0 where either is not on the map."""
    if a == 0 or b == 0 or max(a, b) > lat.shape[0] or -min(a, b) > outlet_lat.shape[0]:
        return 0.0
    lat_a, lon_a = (lat[a - 1], lon[a - 1]) if a > 0 else (outlet_lat[-a - 1], outlet_lon[-a - 1])
    lat_b, lon_b = (lat[b - 1], lon[b - 1]) if b > 0 else (outlet_lat[-b - 1], outlet_lon[-b - 1])
    if np.isnan(lat_a) or np.isnan(lat_b) or np.isnan(lon_a) or np.isnan(lon_b):
        return 0.0
    return float(distance_km(lat_a, lon_a, lat_b, lon_b))


@kernel
def _observe(
    events: NDArray[np.void], rows: NDArray[np.void], lat: NDArray[np.float64], lon: NDArray[np.float64],
    outlet_lat: NDArray[np.float64], outlet_lon: NDArray[np.float64], kind: NDArray[np.uint8],
    registered: NDArray[np.uint64], outlet: NDArray[np.int32], device_kind: NDArray[np.uint8],
    robots: NDArray[np.uint8], out: NDArray[np.float32],
) -> None:  # fmt: skip
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0 or event.persons > 1 or event.lone or robots[event.role]:
            continue
        row = rows[event.account]
        # a spot is place + 1 of a fixed network, -(outlet + 1) of a scan or a registered machine, 0 where nothing is known
        spot = 0
        if event.kind == WORK:
            if event.at >= 0 and event.arrival - event.time <= LATE_MS:
                spot = -(event.at + 1)
        elif (event.kind == LOOK or event.kind == LOGIN) and event.success and _is_fixed(event.place, kind):
            if row.machine != event.device or row.asked != event.day:
                row.machine, row.asked = event.device, event.day
                row.stands = _outlet_of(event.device, registered, outlet, device_kind)
            spot = -(row.stands + 1) if row.stands >= 0 else event.place + 1
        if spot and event.day > row.day:
            _new_day(row, event.day)
        if spot and event.day == row.day:
            if spot > 0:
                row.today = spot
            mark = np.uint32(event.device & np.uint64(0xFFFFFFFF))
            if spot == row.here and (mark == 0 or mark == row.device):
                row.time = max(row.time, event.time)
            elif event.time >= row.time:
                apart = 0.0
                if row.here != spot and mark != row.device:
                    apart = _apart(row.here, spot, lat, lon, outlet_lat, outlet_lon)
                _act(row, spot, mark, event.time, apart)
        out[i] = max(row.log_m, np.float32(0))


class Detector(DetectorBase):
    """Acts of one account at two places over 5 km apart, in turn, faster than anybody travels."""

    family = "login"
    needs = ("networks",)
    row: ClassVar[np.dtype[Any]] = ROW
    kept = ("own", "day", "days")
    text_en = "searched at one place while its owner was at work at another"
    text_zh = "账号所有人在别处作业时，另一地点的设备同时在查询"

    def observe(self, events: NDArray[np.void], around: Surroundings) -> NDArray[np.float32]:
        """See the base class."""
        self.grow(around.accounts)
        out = np.zeros(events.shape[0], np.float32)
        if not self.silent(around):
            _observe(events, self.rows, around.lat, around.lon, around.outlet_lat, around.outlet_lon, around.place_kind,
                     around.registered, around.device_outlet, around.device_kind, robots_of(around, self.settings), out)  # fmt: skip
        return out

    @classmethod
    def examples(cls) -> list[Example]:
        """The owner scans on his round while a desk far away searches; the same at the same place."""
        days = np.concatenate([example_looks(1, start_day=20_000 + d) for d in range(4)])
        days["place"], days["device"] = 0, 4
        both = example_looks(20, gap_ms=30_000, start_day=20_004)
        both["place"], both["device"] = 1, 9
        both["place"][::2], both["device"][::2] = 0, 4
        desk = both.copy()
        desk["place"] = 0
        return [
            Example(
                "two devices over 1,000 km apart in turn, half a minute each", np.concatenate([days, both]), found=True
            ),
            Example("two devices in turn at one place", np.concatenate([days, desk]), found=False),
        ]

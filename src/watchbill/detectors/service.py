"""Service identities. Catches: a robot's account used from a machine that is not its own, at odd hours, for other fields, in bursts.

Misses: misuse on the robot's own machine for its own fields at its own rate, and a first week in which nothing is known yet.

Roles that settings do not judge by reasons (`judged = false`) are judged here alone. In its first days a robot's machines,
addresses, what it does and the hours in which it does so are learned, later each after a day without suspicion. The bets
of a day: another machine, another kind of query, an hour of day never used, an hour with over four times the most so far.
A machine that the register does not call a server (without machines in the log: an address outside every data centre) is no
release: somebody tries the identity out. Each further look from there multiplies by the ratio of going on as a harvester does
and as a tester does (geometric). Such a machine is never learned later. Without a register only the day's bet is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from watchbill.context.events import LOGIN, LOOK
from watchbill.core.kernel import Row, kernel
from watchbill.detectors.base import DetectorBase, Example, Surroundings, robots_of
from watchbill.detectors.kernels import NATS_MAX, STAKE, daily_stake, example_looks, rare_event

if TYPE_CHECKING:
    from numpy.typing import NDArray


HOSTS: Final = 3
WHATS: Final = 4
ROW: Final = np.dtype(
    [
        ("log_m", np.float32),
        ("day", np.int32),
        ("days", np.int32),  # active days so far
        ("devices", np.uint32, (HOSTS,)),
        ("addresses", np.uint32, (HOSTS,)),
        ("whats", np.uint32, (WHATS,)),
        ("device", np.uint32),  # strange ones of today, learned when the day ends without suspicion
        ("address", np.uint32),
        ("what", np.uint32),
        ("hours", np.uint32),  # bit h: active in that local hour on an earlier day
        ("today", np.uint32),
        ("clock", np.int32),  # running hour
        ("count", np.float32),  # looks in it
        ("most", np.float32),  # most looks in an hour of earlier days
        ("peak", np.float32),  # the same of today
        ("tried", np.int32),  # looks from a strange machine today
        ("said", np.uint8),  # bit 1 host, 2 what, 3 hour, 4 burst
    ],
    align=True,
)
P: Final = np.array([1e-3, 2e-3, 5e-3, 1e-3])
"""Daily chances for an honest robot: another machine that is no server, another query, an odd hour, a burst."""
QUARTER: Final = STAKE / 4
GOES_ON: Final = 0.75
GOES_ON_WRONG: Final = 0.98
STEP_NATS: Final = float(np.log(GOES_ON_WRONG / GOES_ON))
NO_MORE_NATS: Final = float(np.log((1 - GOES_ON_WRONG) / (1 - GOES_ON)))
BURST_TIMES: Final = 4.0
BURST_MIN: Final = 50.0
GREEN_DAYS: Final = 3
HOURS_DAYS: Final = 7
LEARN_UNDER_NATS: Final = 3.0
_SERVER: Final = 4
_DATACENTRE: Final = 4


@kernel
def _holds(marks: NDArray[np.uint32], mark: np.uint32) -> bool:
    for k in range(marks.shape[0]):  # noqa: SIM110 - numba compiles a plain loop
        if marks[k] == mark:
            return True
    return False


@kernel
def _learn(marks: NDArray[np.uint32], mark: np.uint32) -> None:
    if mark == 0 or _holds(marks, mark):
        return
    for k in range(marks.shape[0] - 1, 0, -1):
        marks[k] = marks[k - 1]
    marks[0] = mark


@kernel
def _new_day(row: Row, day: int) -> None:
    if row.tried:
        row.log_m = max(row.log_m + np.float32(NO_MORE_NATS), np.float32(0))
    # a machine known to be no server is never learned after the first days: one quiet day must not open the door
    if row.log_m < LEARN_UNDER_NATS and (row.tried == 0 or row.days <= GREEN_DAYS):
        _learn(row.devices, row.device)
        _learn(row.addresses, row.address)
        _learn(row.whats, row.what)
        row.hours |= row.today
        row.most = max(np.float32(0.9) * row.most, row.peak)
    row.log_m = daily_stake(row.log_m)
    row.device, row.address, row.what, row.today = 0, 0, 0, 0
    row.peak, row.tried, row.said = 0.0, 0, 0
    row.day, row.days = day, min(row.days + 1, 10_000)


@kernel
def _bet(row: Row, which: int) -> None:
    if row.said & (1 << which):
        return
    paid = 0.0
    for j in range(P.shape[0]):
        if row.said & (1 << j):
            paid += QUARTER / P[j]
    row.log_m = min(rare_event(row.log_m, QUARTER, P[which], paid), float(NATS_MAX))
    row.said |= 1 << which


@kernel
def _try(row: Row, sure: bool) -> None:
    """A look from a strange machine; `sure`: a table says that it is no server, so it may well not be a release."""
    if sure and row.said & 1:
        row.log_m = min(row.log_m + np.float32(STEP_NATS), NATS_MAX)
    if sure:
        row.tried = min(row.tried + 1, 1_000_000)
    _bet(row, 0)


@kernel
def _is_server(registered: NDArray[np.uint64], kind: NDArray[np.uint8], device: np.uint64) -> bool:
    at = np.searchsorted(registered, device)
    return bool(at < registered.shape[0] and registered[at] == device and kind[at] == _SERVER)


@kernel
def _ask(row: Row, what: np.uint32, green: bool) -> None:
    if what != 0 and not _holds(row.whats, what):
        row.what = what
        if not green:
            _bet(row, 1)


@kernel
def _count_hour(row: Row, event: Row, green: bool) -> None:
    clock = np.int32(event.time // 3_600_000 % 2_000_000_000)
    if row.clock != clock:
        row.clock, row.count = clock, 0.0
    row.count = min(row.count + 1.0, 1e7)
    row.peak = max(row.peak, row.count)
    bit = np.uint32(1) << np.uint32(event.hour)
    if not green and row.days > HOURS_DAYS and not (row.hours | row.today) & bit:
        _bet(row, 2)
    row.today |= bit
    if not green and row.count > max(BURST_TIMES * row.most, BURST_MIN):
        _bet(row, 3)


@kernel
def _observe(
    events: NDArray[np.void], rows: NDArray[np.void], robots: NDArray[np.uint8], registered: NDArray[np.uint64],
    kind: NDArray[np.uint8], place_kind: NDArray[np.uint8], out: NDArray[np.float32],
) -> None:  # fmt: skip
    for i in range(events.shape[0]):
        event = events[i]
        if event.account < 0 or not robots[event.role]:
            continue
        row = rows[event.account]
        if event.kind == LOOK or (event.kind == LOGIN and event.success):
            if event.day > row.day:
                _new_day(row, event.day)
            green = row.days <= GREEN_DAYS
            device = np.uint32(event.device & np.uint64(0xFFFFFFFF))
            address = np.uint32(event.address & np.uint64(0xFFFFFFFF))
            strange = device != 0 and not _holds(row.devices, device)
            elsewhere = address != 0 and not _holds(row.addresses, address)
            if strange:
                row.device = device
                strange = not _is_server(registered, kind, event.device)
            if elsewhere:
                row.address = address
                # where machines are not logged, the address is the machine; the networks table tells a data centre
                outside = event.place >= 0 and place_kind[event.place] != _DATACENTRE and place_kind[event.place] != 0
                strange = strange or (device == 0 and outside)
            if not green and strange:
                _try(row, sure=device == 0 or registered.shape[0] > 0)
            if event.kind == LOOK:
                _ask(row, event.what, green)
                _count_hour(row, event, green)
        out[i] = max(row.log_m, np.float32(0))


class Detector(DetectorBase):
    """A service identity against its own machines, queries, hours and rates."""

    family = "service"
    needs = ("accounts",)
    row: ClassVar[np.dtype[Any]] = ROW
    kept = (
        "day", "days", "devices", "addresses", "whats", "hours", "most",
    )  # fmt: skip
    text_en = "is a service identity used from a machine, at an hour, for fields or at a rate that are not its own"
    text_zh = "系统服务账号在非本机、异常时段、异常字段或异常频率下被使用"

    def observe(self, events: NDArray[np.void], around: Surroundings) -> NDArray[np.float32]:
        """See the base class."""
        self.grow(around.accounts)
        out = np.zeros(events.shape[0], np.float32)
        if not self.silent(around):
            robots = robots_of(around, self.settings)
            _observe(events, self.rows, robots, around.registered, around.device_kind, around.place_kind, out)
        return out

    @classmethod
    def examples(cls) -> list[Example]:
        """The label robot's account on somebody's PC; the robot on its server."""
        days = np.concatenate([example_looks(20, start_day=20_000 + d) for d in range(5)])
        days["device"], days["address"], days["what"], days["role"] = 11, 12, 13, 3
        stolen = example_looks(60, gap_ms=10_000, start_day=20_005)
        stolen["device"], stolen["address"], stolen["what"], stolen["role"] = 0, 98, 97, 3
        stolen["place"] = 0
        own = example_looks(60, gap_ms=10_000, start_day=20_005)
        own["device"], own["address"], own["what"], own["role"] = 11, 12, 13, 3
        return [
            Example(
                "sixty looks with the label robot's account from an office",
                np.concatenate([days, stolen]),
                found=True,
            ),
            Example("the label robot on its own server, busier than ever", np.concatenate([days, own]), found=False),
        ]

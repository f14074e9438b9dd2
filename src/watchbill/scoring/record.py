"""An account's own record: what it did today and on its active day before, so that a case can say what speaks for the person.

One row an account; counts of two local days, and the usual share of looks that its own work follows. Kept for every account, read
only at the events that changed its standing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from watchbill.context.events import LOOK, RETRACT, WORK
from watchbill.core.kernel import Row, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOOKS, EXPLAINED, FOLLOWED, OWN_PLACE, LATE = range(5)
COUNTS: Final = 5
"""Counts a day: unmasked first looks; those explained; those that own work followed within a day; those from a registered
device of the own outlet; looks whose reason came late."""
RECORD: Final = np.dtype(
    [
        ("device", np.uint64),  # last device looked up, and its outlet (`forget_devices` when the table changes)
        ("device_outlet", np.int32),
        ("day", np.int32),  # local day of the running counts + 1, 0 = never seen
        ("now", np.uint16, (COUNTS,)),
        ("before", np.uint16, (COUNTS,)),
        ("looks", np.float32),  # decayed over days
        ("followed", np.float32),
    ],
    align=True,
)
"""One account's record."""
_DECAY: Final = np.float32(0.95)
_MOST: Final = np.uint16(65_535)


@kernel
def _one_more(row: Row, count: int) -> None:
    if row.now[count] < _MOST:
        row.now[count] += np.uint16(1)


@kernel
def _own_place(row: Row, event: Row, registered: NDArray[np.uint64], device_outlet: NDArray[np.int32]) -> bool:
    """Whether the device is registered at the account's own outlet."""
    if event.device == 0 or event.outlet_id < 0:
        return False
    if row.device != event.device:
        at = np.searchsorted(registered, event.device)
        known = at < registered.shape[0] and registered[at] == event.device
        row.device, row.device_outlet = event.device, device_outlet[at] if known else np.int32(-1)
    return bool(row.device_outlet == event.outlet_id)


def forget_devices(rows: NDArray[np.void]) -> None:
    """The devices table changed: where a device belongs is looked up again."""
    rows["device"] = 0


@kernel
def _roll(row: Row, day: int) -> None:
    """A new active day begins: what was today is the day before."""
    row.looks = row.looks * _DECAY + np.float32(row.now[LOOKS])
    row.followed = row.followed * _DECAY + np.float32(row.now[FOLLOWED])
    for k in range(COUNTS):
        row.before[k], row.now[k] = row.now[k], np.uint16(0)
    row.day = day


@kernel
def keep_records(
    events: NDArray[np.void], rows: NDArray[np.void], registered: NDArray[np.uint64], device_outlet: NDArray[np.int32],
    wanted: NDArray[np.int64], out: NDArray[np.void],
) -> None:  # fmt: skip
    """Count n events into their accounts' records.

    Args:
        events: EVENT[n]. rows: RECORD[accounts], changed in place. registered, device_outlet: as Surroundings.
        wanted: int64[m], rising: events of which the record just after is asked for. out: RECORD[m], filled.
    """
    asked = 0
    for i in range(events.shape[0]):
        event = events[i]
        if event.account >= 0:
            row = rows[event.account]
            day = max(np.int64(event.day), np.int64(0)) + 1
            if day > row.day and event.kind != RETRACT:
                _roll(row, int(day))
            if event.kind == LOOK and event.first and event.reveal:
                _one_more(row, LOOKS)
                if event.reason > 0:
                    _one_more(row, EXPLAINED)
                if _own_place(row, event, registered, device_outlet):
                    _one_more(row, OWN_PLACE)
            elif event.kind == WORK and event.follows:
                _one_more(row, FOLLOWED)
            elif event.kind == RETRACT:
                _one_more(row, LATE)
        while asked < wanted.shape[0] and wanted[asked] == i:
            if event.account >= 0:
                out[asked] = rows[event.account]
            asked += 1

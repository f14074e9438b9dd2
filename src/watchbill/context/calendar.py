"""Local days and hours of epoch milliseconds in the settings' time zone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from watchbill.core.errors import SettingsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HOUR_MS: Final = 3_600_000
_QUARTER_MS: Final = 900_000
_CACHE_MAX: Final = 100_000


class Calendar:
    """Offsets of one time zone, remembered by quarter of an hour (zones change their offset at one of those)."""

    def __init__(self, time_zone: str) -> None:
        try:
            self.zone = ZoneInfo(time_zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise SettingsError(
                "is not a known time zone", where="time_zone", todo="use an IANA name such as Asia/Shanghai"
            ) from error
        self._offsets: dict[int, int] = {}

    def offset_ms(self, time: int) -> int:
        """Local minus UTC at `time`, in milliseconds."""
        quarter = time // _QUARTER_MS
        if quarter not in self._offsets:
            if len(self._offsets) >= _CACHE_MAX:
                self._offsets.clear()
            delta = datetime.fromtimestamp(quarter * 900, UTC).astimezone(self.zone).utcoffset()
            self._offsets[quarter] = int(delta.total_seconds() * 1000) if delta else 0
        return self._offsets[quarter]

    def day_hour(self, times: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
        """(local day number, local hour 0-23) of each time."""
        quarters, inverse = np.unique(times // _QUARTER_MS, return_inverse=True)
        offsets = np.array([self.offset_ms(int(quarter) * _QUARTER_MS) for quarter in quarters], dtype=np.int64)
        local = times + offsets[inverse] if quarters.shape[0] else times
        return (local // (24 * _HOUR_MS)).astype(np.int32), (local // _HOUR_MS % 24).astype(np.int8)

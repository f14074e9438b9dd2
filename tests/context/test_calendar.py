from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.context import calendar as calendar_module
from watchbill.context.calendar import Calendar
from watchbill.core.errors import SettingsError

# half-hour zones change their offset within a UTC hour; Lord Howe moves by half an hour; Chatham is 45 minutes off
ZONES = [
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/St_Johns",
    "Australia/Adelaide",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "UTC",
]
CHANGES = [1_711_846_800_000, 1_728_144_000_000, 1_728_145_800_000, 1_712_417_400_000, 1_729_990_800_000]


@given(
    st.sampled_from(ZONES),
    st.lists(st.integers(946_684_800_000, 4_102_444_800_000) | st.builds(int.__add__, st.sampled_from(CHANGES), st.integers(-9_000_000, 9_000_000)), max_size=20),
)  # fmt: skip
def test_days_and_hours_are_those_of_the_zone(zone: str, times: list[int]) -> None:
    days, hours = Calendar(zone).day_hour(np.array(times, dtype=np.int64))
    for time, day, hour in zip(times, days, hours, strict=True):
        local = datetime.fromtimestamp(time // 1000, UTC).astimezone(ZoneInfo(zone))
        assert (day, hour) == ((local.date() - datetime(1970, 1, 1).date()).days, local.hour)  # noqa: DTZ001


@pytest.mark.parametrize("zone", ZONES)
def test_every_change_of_a_year_is_exact_to_the_second(zone: str) -> None:
    kept, start = Calendar(zone), 1_704_067_200
    quarters = range(start, start + 366 * 86_400, 900)
    offsets = [datetime.fromtimestamp(t, UTC).astimezone(ZoneInfo(zone)).utcoffset() for t in quarters]
    for second, before, after in zip(quarters[1:], offsets[:-1], offsets[1:], strict=True):
        if before != after and before is not None and after is not None:
            assert kept.offset_ms(second * 1000 - 1) == before.total_seconds() * 1000
            assert kept.offset_ms(second * 1000) == after.total_seconds() * 1000


def test_an_unknown_zone_is_refused_by_name() -> None:
    for zone in ("Mars/Olympus", "../etc", ""):
        with pytest.raises(SettingsError, match="time_zone"):
            Calendar(zone)


def test_the_memory_of_offsets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendar_module, "_CACHE_MAX", 50)
    kept = Calendar("Europe/Berlin")
    kept.day_hour(np.arange(0, 400 * 900_000, 900_000, dtype=np.int64))
    assert len(kept._offsets) <= 50

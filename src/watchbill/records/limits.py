"""Limits on what a record may be: how long, how nested, how far from the clock. Every one of them is a setting."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

MINUTE_MS = 60_000
DAY_MS = 86_400_000


class RecordLimits(BaseModel):
    """Limits that parsing, validation and the arrival clock keep; a record over one of them goes to quarantine.

    Times are integer epoch milliseconds. The defaults allow any time from 2000 to 2100.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    line_bytes_max: int = Field(default=1 << 20, ge=64, le=1 << 26)
    text_bytes_max: int = Field(default=4096, ge=16, le=1 << 20)
    reason_bytes_max: int = Field(default=16_384, ge=16, le=1 << 20)
    list_items_max: int = Field(default=10_000, ge=1, le=1_000_000)
    time_min_ms: int = 946_684_800_000
    time_max_ms: int = 4_102_444_800_000
    ahead_minutes_max: float = Field(default=5.0, gt=0)
    jump_days_max: float = Field(default=7.0, gt=0)
    allow_ahead: bool = False
    allow_jump: bool = False


DEFAULT_LIMITS = RecordLimits()
NESTING_MAX = 64
"""Levels of arrays and objects inside one unknown field; deeper is refused (a bit stack of 64 bits holds them)."""
UNKNOWN_FIELDS_MAX = 256
"""Unknown fields in one record; more is refused."""
RAW_CHARACTERS_MAX = 4096
"""Characters of a refused record that the quarantine keeps."""

"""Limits are settings: bounded themselves, and frozen."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from watchbill.records.limits import DEFAULT_LIMITS, RecordLimits


def test_defaults_are_those_of_the_contract() -> None:
    assert DEFAULT_LIMITS.line_bytes_max == 1 << 20
    assert DEFAULT_LIMITS.text_bytes_max == 4096
    assert DEFAULT_LIMITS.ahead_minutes_max == 5
    assert DEFAULT_LIMITS.jump_days_max == 7


@pytest.mark.parametrize("wrong", [{"line_bytes_max": 1}, {"list_items_max": 0}, {"jump_days_max": -1}, {"lines": 1}])
def test_wrong_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        RecordLimits.model_validate(wrong)

"""Snoozes: one rule, one field, one value, until a moment; a fact of the journal like everything that changes a result."""

from __future__ import annotations

from pydantic import Field

from watchbill.core.settings import Section


class Snooze(Section):
    """`rule` (id or name) says nothing of records whose `field` is `value` while the arrival clock is before `until` (epoch ms)."""

    rule: str = Field(min_length=1, max_length=512)
    field: str = Field(min_length=1, max_length=256)
    value: str = Field(min_length=1, max_length=4096)
    until: int
    note: str = Field(default="", max_length=1024)


def with_snooze(snoozes: tuple[Snooze, ...], new: Snooze) -> tuple[Snooze, ...]:
    """The list with one more; a snooze of the same rule, field and value is replaced."""
    same = (new.rule, new.field, new.value)
    return (*(one for one in snoozes if (one.rule, one.field, one.value) != same), new)

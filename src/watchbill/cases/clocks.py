"""Clocks of a case: when somebody should have looked, when somebody did, and what is overdue; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from watchbill.cases.case import CLOSED, RUNNING, SUSPENDED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchbill.cases.case import Case
    from watchbill.core.settings import CaseSettings

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS


def begin(case: Case, time: int, settings: CaseSettings) -> None:
    """A round begins: nobody has looked, and the time for a first look runs."""
    case.begun, case.looked, case.due_set = time, 0, False
    case.due = time + round(settings.first_look_hours * HOUR_MS)


def hurry(case: Case, step: int, time: int, settings: CaseSettings) -> None:
    """A step was taken: whoever is suspended waits minutes, not hours, for the first look."""
    if step >= SUSPENDED and not case.looked and not case.due_set and case.due:
        case.due = min(case.due, time + round(settings.first_look_suspended_minutes * MINUTE_MS))


def look_at(files: Sequence[Case], time: int) -> None:
    """Somebody looks at a case: the first time is noted, and the time that ran for it is over."""
    for case in files:
        if not case.looked:
            case.looked = max(time, case.begun)
        if not case.due_set:
            case.due = 0


def due_of(files: Sequence[Case]) -> int | None:
    """When the next thing of a case is due (epoch ms): what a person set, else the first look; None when nothing is."""
    lead = files[0]
    if all(case.status in CLOSED for case in files):
        return None
    if lead.due_set:
        return lead.due
    return min((case.due for case in files if case.due and case.status in RUNNING), default=None)


def overdue(files: Sequence[Case], now: int) -> bool:
    """Whether something of a case, or an appeal, should have been done before `now` (epoch ms)."""
    due = due_of(files)
    appeals = (one["due"] for case in files for one in case.appeals if one["outcome"] == "open")
    return (due is not None and due < now) or any(one < now for one in appeals)


def first_look_ms(case: Case) -> int | None:
    """From the opening of the round to the first look; None while nobody looked."""
    return case.looked - case.begun if case.looked else None

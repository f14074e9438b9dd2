"""Clocks of the law: which duty runs in which case, since when, until when, whose it is. Pure: rows and the time in, clocks out.

A clock starts when a person graded the case (at the time when the firm knew, which the person states). A case that is probable
enough and that nobody graded in time escalates: its clocks start provisionally, and no later grading moves them later.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from watchbill.notices.record import rows_about
from watchbill.notices.settings import LEVELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from watchbill.notices.settings import ReportSettings

HOUR_MS: Final = 3_600_000
CRITICAL_HOURS, OTHER_HOURS, GDPR_HOURS = 1, 4, 72
"""Reporting measures of 2025: operators of critical infrastructure, all others; GDPR 33(1)."""
GRADING: Final = "grading"
"""The duty to grade a case at all."""
AT_ONCE: Final = ("pipl57_authority", "pipl57_persons", "postal")
_PUT_AWAY: Final = frozenset({"dismissed"})


@dataclass(frozen=True)
class Clock:
    """One duty of one case; times in epoch milliseconds.

    Attributes:
        duty: a report's id (cac/first, cac/closing for its stages), or grading. due: None where no time limit runs.
        provisional: nobody graded the case yet. at_once: the law says at once, `due` is the firm's own measure of that.
        done: when it was met. owner: "" is nobody.
    """

    case: str
    duty: str
    started: int
    due: int | None
    owner: str
    level: str = ""
    provisional: bool = False
    at_once: bool = False
    done: int | None = None

    def state(self, now: int) -> str:
        """done, late (done after it was due), running, or overdue."""
        if self.done is not None:
            return "late" if self.due is not None and self.done > self.due else "done"
        return "overdue" if self.due is not None and now > self.due else "running"

    def to_json(self, now: int) -> dict[str, Any]:
        """As `watchbill clocks --json` prints it; `left_ms` is under 0 when overdue."""
        return {
            "case": self.case, "duty": self.duty, "state": self.state(now), "started": self.started, "due": self.due,
            "left_ms": None if self.due is None or self.done is not None else self.due - now, "owner": self.owner,
            "level": self.level, "provisional": self.provisional, "at_once": self.at_once, "done": self.done,
        }  # fmt: skip


@dataclass(frozen=True)
class Grading:
    """What holds of a case: the level, since when, and whether a person said so.

    `larger_since`: since when it has been larger or above, None where it is not.
    """

    level: str
    since: int
    larger_since: int | None
    provisional: bool


def clocks_of(
    cases: Iterable[Mapping[str, Any]], record: Sequence[Mapping[str, Any]], settings: ReportSettings, now: int
) -> list[Clock]:
    """All clocks of these cases at a time, first due first; pure.

    Args:
        cases: rows of cases.ndjson. record: rows of the record of reports. now: epoch ms.
    """
    out: list[Clock] = []
    for case in cases:
        rows = [row for row in rows_about(record, case) if row["time"] <= now]
        if case["status"] in _PUT_AWAY:
            continue
        graded = grading_of(case, rows, settings, now)
        waiting = _to_be_graded(case, rows, settings)
        out += [waiting] if waiting is not None and (graded is None or graded.provisional) else []
        out += _of_case(case, graded, rows, settings) if graded is not None else []
    return sorted(
        out, key=lambda clock: (clock.done is not None, clock.due is None, clock.due or 0, clock.case, clock.duty)
    )


def grading_of(
    case: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], settings: ReportSettings, now: int
) -> Grading | None:
    """The grading in force: the last one that a person gave, else the provisional one, else None; pure.

    Since when it holds is the earliest moment: a later grading may lift a case, and its clock then begins with that grading, but
    it never moves a start that is there already.
    """
    grades = [row for row in rows if row["kind"] == "grade" and row["time"] <= now]
    first = min((row["time"] for row in grades), default=None)
    started = escalates_at(case, settings, first)
    escalated = started is not None and started <= now
    if not grades and not escalated:
        return None
    starts = [(row["aware"], row["level"]) for row in grades]
    starts += [(started, settings.provisional_level)] if escalated and started is not None else []
    level = _level(case, grades) if grades else settings.provisional_level
    larger = [since for since, said in starts if _is_larger(said)]
    return Grading(
        level=level, since=min(since for since, _ in starts), larger_since=min(larger) if _is_larger(level) else None,
        provisional=not grades,
    )  # fmt: skip


def _level(case: Mapping[str, Any], grades: Sequence[Mapping[str, Any]]) -> str:
    """The last word on a case; before somebody grades anew what was put together, the largest that any of its parts had."""
    last = {row["case"]: str(row["level"]) for row in grades}
    return last[case["id"]] if grades[-1]["case"] == case["id"] else max(last.values(), key=LEVELS.index)


def escalates_at(case: Mapping[str, Any], settings: ReportSettings, first_grade: int | None = None) -> int | None:
    """When a case that nobody grades begins to count as graded; None: never, or somebody graded it before."""
    due = grading_due(case, settings)
    return None if due is None or (first_grade is not None and first_grade <= due) else due


def grading_due(case: Mapping[str, Any], settings: ReportSettings) -> int | None:
    """Until when a case has to be graded: so long after it opened, where it is probable enough, or after a person confirmed it."""
    begins = [case["opened"]] if case["posterior"] >= settings.escalate_posterior else []
    begins += [one["time"] for one in case.get("verdicts", []) if one["verdict"] == "confirmed"]
    return min(begins) + round(settings.grade_hours * HOUR_MS) if begins else None


def _is_larger(level: str) -> bool:
    return LEVELS.index(level) >= LEVELS.index("larger")


def _to_be_graded(case: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], settings: ReportSettings) -> Clock | None:
    due = grading_due(case, settings)
    if due is None or any(row["kind"] == "grade" for row in rows):
        return None
    return Clock(case["id"], GRADING, due - round(settings.grade_hours * HOUR_MS), due, settings.owner_of(GRADING))


def _of_case(
    case: Mapping[str, Any], graded: Grading, rows: Sequence[Mapping[str, Any]], settings: ReportSettings
) -> list[Clock]:
    def clock(duty: str, started: int, hours: float, *, at_once: bool = False) -> Clock:
        made = Clock(
            case["id"], duty, started, started + round(hours * HOUR_MS), settings.owner_of(duty.partition("/")[0]),
            graded.level, graded.provisional, at_once,
        )  # fmt: skip
        return replace(made, done=_done(duty, rows))

    out = [clock(duty, graded.since, settings.at_once_hours, at_once=True) for duty in AT_ONCE]
    if graded.larger_since is not None:
        hours = CRITICAL_HOURS if settings.critical_operator else OTHER_HOURS
        out.append(clock("cac/first", graded.larger_since, hours))
        if (over := _over(case)) is not None:
            out.append(clock("cac/closing", over, 24 * settings.closing_days))
    if settings.gdpr:
        out.append(clock("gdpr33", graded.since, GDPR_HOURS))
        out.append(clock("gdpr34", graded.since, settings.at_once_hours, at_once=True))
    return out


def _over(case: Mapping[str, Any]) -> int | None:
    """When people were done with a case: its last verdict `lifted`."""
    if case["status"] != "closed":
        return None
    return max((one["time"] for one in case.get("verdicts", []) if one["verdict"] == "lifted"), default=None)


def _done(duty: str, rows: Sequence[Mapping[str, Any]]) -> int | None:
    """When a duty was met: its report was signed off, or, for persons, it was decided and recorded not to tell them.

    A notice to persons is met when they were told, not when the text was ready.
    """
    profile, _, stage = duty.partition("/")
    if profile in ("pipl57_persons", "gdpr34"):
        times = [row["time"] for row in rows if row["kind"] in ("told", "not_told")]
    else:
        times = [
            row["time"]
            for row in rows
            if row["kind"] == "final" and (row["profile"], row.get("stage", "")) == (profile, stage)
        ]
    return min(times, default=None)


@dataclass(frozen=True)
class ShadowDuty:
    """What one rule or detector found in shadow and nobody has reviewed: hits, oldest and newest (epoch ms), owner, when due."""

    name: str
    hits: int
    oldest: int
    newest: int
    owner: str
    due: int

    def to_json(self, now: int) -> dict[str, Any]:
        """As `watchbill clocks --json` prints it."""
        return {
            "name": self.name, "hits": self.hits, "oldest": self.oldest, "newest": self.newest, "owner": self.owner,
            "due": self.due, "state": "overdue" if now > self.due else "running",
        }  # fmt: skip


def shadow_duties(
    findings: Iterable[Mapping[str, Any]],
    record: Sequence[Mapping[str, Any]],
    settings: ReportSettings,
    owner: str = "",
) -> list[ShadowDuty]:
    """Findings in shadow that wait for a person, by what found them; pure.

    Args:
        findings: rows of findings.ndjson with mode shadow, and of shadow.ndjson (named `by`). owner: the engine's `shadow_owner`,
            where `reports.shadow_owner` says nothing.
    """
    seen = {row["field"]: row["upto"] for row in record if row["kind"] == "reviewed"}
    times: dict[str, list[int]] = {}
    for row in findings:
        name = str(row.get("rule") or row.get("by") or "")
        if row["time"] > seen.get(name, -1):
            times.setdefault(name, []).append(row["time"])
    desk = settings.shadow_owner or owner or settings.owner
    return [
        ShadowDuty(
            name, len(held), min(held), max(held), desk, min(held) + round(settings.shadow_review_hours * HOUR_MS)
        )
        for name, held in sorted(times.items())
    ]

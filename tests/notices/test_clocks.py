from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.notices.clocks import HOUR_MS, Clock, clocks_of, escalates_at, grading_of, shadow_duties
from watchbill.notices.settings import LEVELS, ReportSettings

T = 1_800_000_000_000
SET = ReportSettings(owner="legal", gdpr=True)


def case(**said: Any) -> dict[str, Any]:
    return {"id": "c1", "opened": T, "status": "open", "posterior": 0.5, "verdicts": [], **said}


def grade(level: str, time: int, aware: int | None = None) -> dict[str, Any]:
    return {"kind": "grade", "case": "c1", "level": level, "time": time, "aware": time if aware is None else aware}


def running(rows: list[dict[str, Any]], now: int, settings: ReportSettings = SET, **said: Any) -> dict[str, Clock]:
    return {clock.duty: clock for clock in clocks_of([case(**said)], rows, settings, now)}


def test_nothing_runs_before_a_person_grades_an_ordinary_suspicion() -> None:
    assert running([], T + 100 * HOUR_MS) == {}


def test_grading_starts_the_clocks_at_awareness() -> None:
    held = running([grade("larger", T + HOUR_MS, T)], T + 2 * HOUR_MS)
    assert set(held) == {"pipl57_authority", "pipl57_persons", "postal", "cac/first", "gdpr33", "gdpr34"}
    assert held["cac/first"].due == T + 4 * HOUR_MS
    assert held["gdpr33"].due == T + 72 * HOUR_MS
    assert held["postal"].at_once
    assert {clock.owner for clock in held.values()} == {"legal"}
    assert held["cac/first"].state(T + 4 * HOUR_MS) == "running"
    assert held["cac/first"].state(T + 4 * HOUR_MS + 1) == "overdue"
    assert held["cac/first"].to_json(T + HOUR_MS)["left_ms"] == 3 * HOUR_MS


def test_critical_operators_have_one_hour_and_ordinary_incidents_no_cyberspace_clock() -> None:
    critical = ReportSettings(critical_operator=True)
    assert running([grade("major", T)], T, critical)["cac/first"].due == T + HOUR_MS
    assert "cac/first" not in running([grade("ordinary", T)], T)
    assert "gdpr33" not in running([grade("ordinary", T)], T, ReportSettings())


def test_a_later_grading_lifts_or_lowers() -> None:
    rows = [grade("ordinary", T), grade("larger", T + 5 * HOUR_MS)]
    held = running(rows, T + 6 * HOUR_MS)
    assert held["cac/first"].started == T + 5 * HOUR_MS
    assert held["gdpr33"].started == T
    assert "cac/first" not in running([*rows, grade("ordinary", T + 7 * HOUR_MS)], T + 8 * HOUR_MS)


def test_an_ungraded_probable_case_escalates_and_starts_provisionally() -> None:
    before = running([], T + 2 * HOUR_MS - 1, posterior=0.95)
    assert set(before) == {"grading"}
    assert before["grading"].due == T + 2 * HOUR_MS
    after = running([], T + 2 * HOUR_MS, posterior=0.95)
    assert after["cac/first"].provisional
    assert after["cac/first"].started == T + 2 * HOUR_MS
    assert after["grading"].state(T + 3 * HOUR_MS) == "overdue"
    graded = running([grade("larger", T + 5 * HOUR_MS)], T + 6 * HOUR_MS, posterior=0.95)
    assert graded["cac/first"].started == T + 2 * HOUR_MS, "a grading that came late moves nothing later"
    assert not graded["cac/first"].provisional
    assert "grading" not in graded


def test_a_case_that_a_person_confirmed_has_to_be_graded_too() -> None:
    said = {"status": "confirmed", "verdicts": [{"verdict": "confirmed", "time": T + 9 * HOUR_MS}]}
    assert running([], T + 10 * HOUR_MS, **said)["grading"].due == T + 11 * HOUR_MS
    assert running([], T + 11 * HOUR_MS, **said)["postal"].provisional
    assert "grading" not in running([grade("ordinary", T + 10 * HOUR_MS)], T + 12 * HOUR_MS, **said)


def test_what_is_met_is_done_or_late_and_what_was_dismissed_does_not_run() -> None:
    final = {"kind": "final", "case": "c1", "profile": "cac", "stage": "first", "time": T + 5 * HOUR_MS}
    held = running([grade("larger", T), final], T + 9 * HOUR_MS)
    assert held["cac/first"].state(T + 9 * HOUR_MS) == "late"
    assert held["cac/first"].to_json(T + 9 * HOUR_MS)["left_ms"] is None
    told = {"kind": "not_told", "case": "c1", "time": T + HOUR_MS}
    assert running([grade("larger", T), told], T + 2 * HOUR_MS)["pipl57_persons"].state(T) == "done"
    text = {"kind": "final", "case": "c1", "profile": "pipl57_persons", "stage": "", "time": T}
    assert running([grade("larger", T), text], T)["pipl57_persons"].done is None, "a ready text has told nobody"
    assert running([grade("larger", T)], T, status="dismissed") == {}


def test_the_closing_report_runs_from_the_end_of_the_case() -> None:
    lifted = [{"verdict": "lifted", "time": T + 50 * HOUR_MS}]
    held = running([grade("larger", T)], T + 60 * HOUR_MS, status="closed", verdicts=lifted)
    assert held["cac/closing"].due == T + (50 + 30 * 24) * HOUR_MS


@given(
    st.lists(st.tuples(st.sampled_from(LEVELS), st.integers(0, 50), st.integers(0, 50)), max_size=5),
    st.floats(0.01, 1), st.integers(0, 100),
)  # fmt: skip
def test_no_later_grading_moves_a_start_later(grades: list[tuple[Any, int, int]], posterior: float, now: int) -> None:
    rows = sorted(
        (grade(level, T + time * HOUR_MS, T + max(0, time - back) * HOUR_MS) for level, time, back in grades),
        key=lambda row: row["time"],
    )
    at, one = T + now * HOUR_MS, case(posterior=posterior)
    starts = [found.since for n in range(len(rows) + 1) if (found := grading_of(one, rows[:n], SET, at))]
    assert starts == sorted(starts, reverse=True)
    assert all(since <= at for since in starts)
    due = escalates_at(one, SET, min((row["time"] for row in rows), default=None))
    if due is not None and due <= at:
        assert grading_of(one, rows, SET, at) is not None, "above the setting nothing waits for ever"


def test_findings_in_shadow_have_an_owner_and_a_day() -> None:
    found = [{"rule": "r", "time": T}, {"rule": "r", "time": T + 5}, {"by": "detectors", "time": T}]
    one, two = shadow_duties(found, [], ReportSettings(shadow_owner="detection"), "engine desk")
    assert (two.name, two.hits, two.oldest, two.newest, two.owner) == ("r", 2, T, T + 5, "detection")
    assert two.due == T + 168 * HOUR_MS
    assert two.to_json(two.due + 1)["state"] == "overdue"
    assert one.name == "detectors"
    assert shadow_duties(found, [], ReportSettings(), "engine desk")[0].owner == "engine desk"
    seen = [{"kind": "reviewed", "case": "", "field": "r", "upto": T}]
    assert {duty.name: duty.hits for duty in shadow_duties(found, seen, SET)} == {"detectors": 1, "r": 1}


@pytest.mark.parametrize("level", LEVELS)
def test_rows_of_other_cases_do_not_count(level: str) -> None:
    assert clocks_of([case(id="c2")], [grade(level, T)], SET, T) == []


def test_a_merge_moves_no_clock_later_and_lowers_no_level() -> None:
    other = {**grade("major", T + HOUR_MS), "case": "c2"}
    signed = {"kind": "final", "case": "c2", "time": T + 2 * HOUR_MS, "profile": "postal", "stage": ""}
    rows = [other, signed]
    assert running(rows, T + 3 * HOUR_MS) == {}
    held = running(rows, T + 3 * HOUR_MS, merged=["c2"])
    assert (held["cac/first"].level, held["cac/first"].started) == ("major", T + HOUR_MS)
    assert held["postal"].done is None, "the whole case was not reported"
    rows = [grade("ordinary", T), *rows]
    assert running(rows, T + 3 * HOUR_MS, merged=["c2"])["postal"].level == "major"
    rows.append(grade("larger", T + 3 * HOUR_MS))
    held = running(rows, T + 4 * HOUR_MS, merged=["c2"])
    assert (held["cac/first"].level, held["postal"].started) == ("larger", T)

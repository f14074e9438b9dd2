from __future__ import annotations

from reports.filled import Filled, text_of


def test_the_first_report_needs_the_unit_what_happened_and_what_was_done(filled: Filled) -> None:
    first = {one.id for one in filled("cac", stage="first").sections}
    assert first >= {
        "processor",
        "systems",
        "grade",
        "span",
        "cause",
        "numbers",
        "categories",
        "likely_harm",
        "measures",
    }
    assert not first & {"trend", "lessons"}


def test_later_stages_need_more(filled: Filled) -> None:
    bare = {stage: filled("cac", entered=False, stage=stage).missing for stage in ("first", "followup", "closing")}
    assert set(bare["first"]) == {"systems", "grade", "likely_harm"}
    assert set(bare["followup"]) - set(bare["first"]) == {"stage_first", "trend", "leads", "further_measures", "scene"}
    assert set(bare["closing"]) - set(bare["first"]) == {
        "stage_followup", "root_cause", "response", "responsibility", "rectification", "lessons"
    }  # fmt: skip


def test_the_level_is_a_persons_grading(filled: Filled) -> None:
    assert 'r1 graded the incident "larger"' in text_of(filled("cac"))
    assert "1 million persons as larger" in text_of(filled("cac"))

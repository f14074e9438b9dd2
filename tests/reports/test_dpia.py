from __future__ import annotations

from reports.filled import Filled, text_of


def test_the_three_things_of_article_56_and_what_runs(filled: Filled) -> None:
    said = filled("dpia")
    assert {"PIPL 13, 56(1)", "PIPL 56(2)", "PIPL 56(3)"} <= {one.article for one in said.sections}
    assert "enforcing" in text_of(said)
    assert "a suspension ends by itself after 15 minutes" in text_of(said), "the setting in force"


def test_a_draft_decides_nothing_for_the_firm(filled: Filled) -> None:
    assert set(filled("dpia", entered=False).missing) == {
        "legal_basis", "staff_impact", "safeguards", "roles", "retention", "consulted", "decision"
    }  # fmt: skip


def test_roles_of_headquarters_and_outlets(filled: Filled) -> None:
    assert "joint processing (PIPL 20)" in text_of(filled("dpia"))
    assert "headquarters decides" in text_of(filled("dpia"))

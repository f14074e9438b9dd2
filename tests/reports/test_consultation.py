from __future__ import annotations

from reports.filled import Filled


def test_each_step_is_a_persons_entry(filled: Filled) -> None:
    steps = {
        "draft_shared",
        "discussed",
        "proposals",
        "negotiated",
        "published",
        "assessed",
        "notice_given",
        "outlets_included",
    }
    assert set(filled("consultation", entered=False).missing) == steps
    assert filled("consultation").missing == []


def test_franchise_outlets_are_asked_about(filled: Filled) -> None:
    said = next(one for one in filled("consultation").sections if one.id == "outlets_included")
    assert said.blocks[0].text == "yes"

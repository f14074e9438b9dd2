from __future__ import annotations

from reports.filled import Filled, text_of


def test_staff_read_who_what_how_long_and_how_to_contest(filled: Filled) -> None:
    said = filled("staff_notice")
    assert said.to == "All staff"
    assert {one.id for one in said.sections} >= {
        "processing",
        "retention",
        "automated",
        "contest",
        "rights",
        "roles",
        "contact",
    }
    assert set(filled("staff_notice", entered=False).missing) == {"retention", "contest", "rights", "roles"}
    assert "Automatic measures are reversible" in text_of(said)
    assert "not their content" in text_of(said)


def test_it_names_no_member_of_staff(filled: Filled) -> None:
    assert "E1" not in text_of(filled("staff_notice"))

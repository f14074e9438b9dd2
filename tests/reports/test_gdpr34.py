from __future__ import annotations

from reports.filled import Filled, text_of


def test_plain_words_without_numbers_of_others(filled: Filled) -> None:
    said = filled("gdpr34")
    assert {one.id for one in said.sections} == {
        "controller", "nature", "categories", "span", "dpo", "likely_harm", "measures", "person_measures"
    }  # fmt: skip
    assert "80" not in text_of(said)
    assert filled("gdpr34", entered=False).missing == ["likely_harm", "person_measures"]

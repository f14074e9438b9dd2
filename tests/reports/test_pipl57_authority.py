from __future__ import annotations

from reports.filled import Filled, text_of


def test_it_contains_what_article_57_asks_for(filled: Filled) -> None:
    """57(1): categories, cause, likely harm; 57(2): measures, what persons can do; 57(3): contact; second paragraph: persons told."""
    said = filled("pipl57_authority")
    assert {(one.id, one.article) for one in said.sections} >= {
        ("categories", "PIPL 57(1)"), ("cause", "PIPL 57(1)"), ("likely_harm", "PIPL 57(1)"), ("measures", "PIPL 57(2)"),
        ("person_measures", "PIPL 57(2)"), ("contact", "PIPL 57(3)"), ("persons_told", "PIPL 57, second paragraph"),
    }  # fmt: skip
    assert said.missing == []
    assert filled("pipl57_authority", entered=False).missing == ["likely_harm", "person_measures", "persons_told"]


def test_it_goes_to_the_authority_and_gives_bounds(filled: Filled) -> None:
    said = filled("pipl57_authority", "zh")
    assert said.to == "省网信办"
    assert "涉及至少 80 人，至多 80 人。" in text_of(said)
    assert "个人信息保护法第五十七条第一项" in {one.article for one in said.sections}

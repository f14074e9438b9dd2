from __future__ import annotations

from reports.filled import Filled, text_of


def test_it_contains_what_article_33_3_asks_for(filled: Filled) -> None:
    said = {one.id: one.article for one in filled("gdpr33").sections}
    assert [said[name] for name in ("nature", "categories", "numbers", "dpo", "likely_harm", "measures")] == [
        "GDPR 33(3)(a)", "GDPR 33(3)(a)", "GDPR 33(3)(a)", "GDPR 33(3)(b)", "GDPR 33(3)(c)", "GDPR 33(3)(d)"
    ]  # fmt: skip
    assert set(filled("gdpr33", entered=False).missing) == {"aware", "likely_harm"}


def test_the_officer_comes_from_settings(filled: Filled) -> None:
    assert "dpo@example.com" in text_of(filled("gdpr33"))


def test_it_says_when_the_firm_knew_and_nothing_of_chinese_levels(filled: Filled) -> None:
    said = text_of(filled("gdpr33"))
    assert "We became aware at 1970-01-01 08:00" in said
    assert "larger" not in said

from __future__ import annotations

from reports.filled import Filled, text_of


def test_the_outlet_and_what_headquarters_asks_of_it(filled: Filled) -> None:
    said = filled("postal")
    assert "Outlets concerned (number): O1" in text_of(said)
    assert set(filled("postal", entered=False).missing) == {"likely_harm", "outlet_handling", "police_told"}
    assert said.to == "市邮政管理局"


def test_the_permit_comes_from_settings(filled: Filled) -> None:
    permit = next(one for one in filled("postal").sections if one.id == "permit")
    assert (permit.source, permit.blocks[0].text) == ("settings", "国邮1")


def test_police_told_is_one_of_three_answers(filled: Filled) -> None:
    told = next(one for one in filled("postal", "zh").sections if one.id == "police_told")
    assert told.blocks[0].text == "是"

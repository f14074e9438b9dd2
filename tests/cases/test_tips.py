from __future__ import annotations

import typing

import pytest
from pydantic import ValidationError

from watchbill.cases.tips import ABOUT, Access, Tip


def test_words_and_types_are_the_same() -> None:
    assert set(typing.get_args(Tip.model_fields["about"].annotation)) == set(ABOUT)


def test_a_tip_needs_no_name_and_a_reader_does() -> None:
    tip = Tip(about="offer", text=" 有人出 500 元一天租我的工号 ")
    assert (tip.text, tip.contact, tip.outlet) == ("有人出 500 元一天租我的工号", "", "")
    assert Access(by="r1", why="case 4").tips == ()
    for wrong in ({"by": "", "why": "case"}, {"by": "r1", "why": "x"}, {"by": "r1"}):
        with pytest.raises(ValidationError):
            Access.model_validate(wrong)


@pytest.mark.parametrize("wrong", [{"text": " "}, {"text": "x" * 8_001}, {"about": "gossip"}, {"account": "E1"}])
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Tip.model_validate({"about": "offer", "text": "x"} | wrong)

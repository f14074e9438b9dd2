from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

import watchbill.inquiry
from watchbill.cases.tiers import NONE, SERIOUS, THRESHOLDS, WORST
from watchbill.cases.verdicts import KINDS
from watchbill.inquiry.caseexposure import ESTIMATED
from watchbill.notices.settings import LEVELS
from watchbill.notices.wording import LANGS, TEXT_MAX, Lang, clean, listed, moment, named, word, words
from watchbill.responses.policy import STEPS


def holes(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_both_languages_say_the_same_things() -> None:
    zh, en = words("zh"), words("en")
    assert set(zh) == set(en)
    assert {key: holes(zh[key]) for key in zh} == {key: holes(en[key]) for key in en}


@pytest.mark.parametrize("lang", LANGS)
def test_every_name_of_the_house_has_its_word(lang: Lang) -> None:
    wanted = (
        [f"cause.{kind}" for kind in KINDS]
        + [f"step.{step}" for step in STEPS]
        + [f"level.{level}" for level in LEVELS]
    )
    wanted += [f"kind.{kind}" for kind in THRESHOLDS] + [f"tier.{tier}" for tier in (NONE, SERIOUS, WORST)]
    assert [name for name in wanted if name not in words(lang)] == []


def test_every_gap_of_an_exposure_has_its_word() -> None:
    folder = Path(watchbill.inquiry.__path__[0])
    kinds = {
        kind
        for path in folder.glob("*exposure.py")
        for kind in re.findall(r'Gap\("(\w+)"', path.read_text(encoding="utf-8"))
    }
    assert len(kinds) >= 4
    assert {f"gap.{kind}" for kind in {*kinds, ESTIMATED}} <= set(words("en"))


def test_what_is_told_is_no_pattern_and_hides_nothing() -> None:
    assert word("en", "added", text="{0} {text}") == "Added by a person: {0} {text}"
    assert clean("a\u202eb\x1b[1m\u200bc\nd\te") == "a\ufffdb\ufffd[1m\ufffdc\nd\te"
    assert clean("\ud800x") == "\ufffdx"
    assert len(clean("x" * (TEXT_MAX + 5))) == TEXT_MAX
    assert named("en", "name", "odd\x07field") == "odd\ufffdfield"


def test_times_and_lists() -> None:
    assert moment(0, "Asia/Shanghai") == "1970-01-01 08:00"
    assert listed("zh", ["甲", "乙"]) == "甲、乙"
    assert listed("en", []) == "none"

"""What holds for every report that has a profile; the folder finds them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from notices.incident import CASE, incident, signed
from reports.filled import Filled, text_of
from watchbill.core.errors import NotFoundError
from watchbill.inquiry.caseexposure import exposure
from watchbill.notices.final import final_files, finals_of
from watchbill.notices.says import FACTS
from watchbill.notices.settings import FirmSettings
from watchbill.notices.wording import LANGS, Lang
from watchbill.reports.base import load_report, profiles

NAMES = sorted(profiles())


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_says_where_everything_comes_from(name: str) -> None:
    one = profiles()[name]
    assert one.id == name
    assert len({field.id for field in one.fields}) == len(one.fields)
    for field in one.fields:
        assert field.article, "what asks for it"
        assert re.search("[\u4e00-\u9fff]|GDPR", field.article_zh)
        assert re.search("[\u4e00-\u9fff]", field.zh)
        assert set(field.stages) <= set(one.stages)
        where = {"ledger": set(FACTS), "settings": set(FirmSettings.model_fields), "person": {""}}[field.source]
        assert field.of in where
    assert one.to.startswith("to_") or one.to in FirmSettings.model_fields


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("name", NAMES)
def test_no_customer_stands_in_any_report_and_staff_in_one(
    name: str, lang: Lang, filled: Filled, tmp_path: Path
) -> None:
    said = text_of(filled(name, lang))
    people = exposure(incident(tmp_path), CASE).saw.subjects
    assert people
    assert not [one.subject for one in people if one.subject in said]
    assert not re.search(r"W9\d{5}", said), "no waybill"
    assert ("E1" in said) == (name == "police")


@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_those_of_exposure(name: str, filled: Filled, tmp_path: Path) -> None:
    answer = exposure(incident(tmp_path), CASE)
    section = next((one for one in filled(name).sections if one.id == "numbers"), None)
    if section is not None:
        said = " ".join(block.text for block in section.blocks)
        assert f"At least {answer.saw.lower} and at most {answer.saw.upper} persons" in said
        assert f"{answer.saw.items} items" in said
        assert answer.hash in said


@pytest.mark.parametrize("name", NAMES)
def test_the_same_twice(name: str, filled: Filled) -> None:
    assert filled(name).to_json() == filled(name).to_json()


def test_parts_are_the_files_that_were_signed_off(tmp_path: Path) -> None:
    home = incident(tmp_path)
    with pytest.raises(NotFoundError):
        load_report("postal").parts(home, CASE, 10**9)
    row = signed(home, "postal", 1_000)
    parts = load_report("postal").parts(home, CASE, row["height"])
    assert parts == {f"report/{name}": data for name, data in final_files(home, row).items()}
    assert finals_of(home, CASE) == [row]
    with pytest.raises(NotFoundError):
        load_report("postal").parts(home, CASE, row["height"] - 1)

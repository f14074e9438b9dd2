from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notices.incident import CASE, FILLED, facts, fill_all, incident
from watchbill.core.errors import NotFoundError, SettingsError
from watchbill.notices.clocks import HOUR_MS
from watchbill.notices.facts import Facts
from watchbill.notices.profile import EVERY, VALUE_MAX, about_of, check_entry, describe, fill, is_late
from watchbill.notices.record import append
from watchbill.notices.settings import FirmSettings
from watchbill.notices.wording import LANGS
from watchbill.reports.base import profiles


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return incident(tmp_path)


def entry(home: Path, profile: str, name: str, value: str, lang: str = "") -> None:
    append(home, "set", CASE, "r1", 5, profile=profile, field=name, value=value, lang=lang)


def test_what_lacks_is_said_and_goes_away_when_entered(home: Path) -> None:
    one = profiles()["pipl57_authority"]
    assert fill(one, facts(home), "en").missing == ["likely_harm", "person_measures", "persons_told"]
    bare = fill(one, facts(home, firm=FirmSettings()), "en").missing
    assert set(bare) == {"likely_harm", "person_measures", "persons_told", "processor", "contact", "addressee"}
    entry(home, EVERY, "likely_harm", "fraud by phone", "en")
    assert "likely_harm" not in fill(one, facts(home), "en").missing
    assert "likely_harm" in fill(one, facts(home), "zh").missing, "each language lacks for itself"
    entry(home, "pipl57_authority", "likely_harm", "电信诈骗", "zh")
    assert "likely_harm" not in fill(one, facts(home), "zh").missing
    entry(home, "pipl57_authority", "likely_harm", " ", "en")
    assert "likely_harm" in fill(one, facts(home), "en").missing, "taken back"


def test_a_person_adds_to_facts_and_never_replaces_them(home: Path) -> None:
    entry(home, EVERY, "numbers", "counted again by hand")
    section = next(one for one in fill(profiles()["gdpr33"], facts(home), "en").sections if one.id == "numbers")
    said = [block.text for block in section.blocks]
    assert said[0] == "At least 80 and at most 80 persons are concerned."
    assert said[-1] == "Added by a person: counted again by hand"
    assert section.source == "mixed"
    assert about_of(section, "en") == "Basis: GDPR 33(3)(a); Source: the ledger, with an addition by a person"


def test_reasons_for_delay_only_when_late(home: Path) -> None:
    one, known = profiles()["gdpr33"], 2**41
    append(home, "grade", CASE, "r", known, level="ordinary", aware=known, note="")
    assert not is_late(facts(home), known + 72 * HOUR_MS)
    assert "delay_reason" not in fill(one, facts(home), "en", now=known).missing
    assert "delay_reason" in fill(one, facts(home), "en", now=known + 72 * HOUR_MS + 1).missing


def test_stages_follow_one_another(home: Path) -> None:
    one = profiles()["cac"]
    assert fill(one, facts(home), "en", "followup").missing[0] == "stage_first"
    assert "lessons" not in {field.id for field in one.at("first")}
    append(home, "final", CASE, "r", 1, profile="cac", stage="first")
    assert "stage_first" not in fill(one, facts(home), "en", "followup").missing
    with pytest.raises(NotFoundError):
        fill(one, facts(home), "en", "fourth")
    with pytest.raises(NotFoundError):
        fill(profiles()["postal"], facts(home), "en", "first")


def test_firm_and_case_are_told_apart(home: Path) -> None:
    with pytest.raises(NotFoundError):
        fill(profiles()["dpia"], facts(home), "en")
    with pytest.raises(NotFoundError):
        fill(profiles()["postal"], facts(home, "firm"), "en")


def test_entries_are_checked() -> None:
    found = profiles()
    every = list(found.values())
    with pytest.raises(NotFoundError, match="likely_harm"):
        check_entry([found["postal"]], "no_such", "x")
    with pytest.raises(SettingsError, match="One of yes"):
        check_entry([found["postal"]], "police_told", "perhaps")
    for number in ("13812345678", "11010519491231002X"):
        with pytest.raises(SettingsError) as refused:
            check_entry(every, "likely_harm", f"the customer {number} was called")
        assert number not in str(refused.value)
    with pytest.raises(SettingsError, match="no SHA-256"):
        check_entry([found["police"]], "evidence_pack", "the pack")
    check_entry([found["police"]], "evidence_pack", "1" * 64)
    check_entry(every, "contact", "call 13812345678")
    check_entry(every, "likely_harm", "hash 1381234567890123 and 80 persons")
    with pytest.raises(SettingsError):
        check_entry(every, "likely_harm", "x" * (VALUE_MAX + 1))


def test_the_same_facts_give_the_same_number_and_others_another(home: Path) -> None:
    one = profiles()["postal"]
    first = fill(one, facts(home), "zh")
    assert first == fill(one, facts(home), "zh")
    assert first.number == fill(one, facts(home), "zh").number
    assert first.number != fill(one, facts(home), "en").number
    entry(home, "postal", "likely_harm", "x")
    assert fill(one, facts(home), "zh").number != first.number


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    return facts(incident(tmp_path_factory.mktemp("home")), firm=FILLED.model_copy(update={"contact": ""}))


@given(st.sets(st.sampled_from(["likely_harm", "person_measures", "persons_told", "contact", "measures"])))
def test_missing_is_exactly_what_nobody_gave(known: Facts, entered: set[str]) -> None:
    row = {"kind": "set", "profile": EVERY, "value": "said", "lang": "", "hash": "0", "time": 5}
    found = dataclasses.replace(known, record=tuple({**row, "field": name} for name in sorted(entered)))
    missing = fill(profiles()["pipl57_authority"], found, "en").missing
    assert set(missing) == {"likely_harm", "person_measures", "persons_told", "contact"} - entered


def test_everything_entered_lacks_nothing_in_any_report(home: Path) -> None:
    for name, one in profiles().items():
        fill_all(home, one, 10)
        found = facts(home, CASE if one.about == "case" else "firm")
        for lang in LANGS:
            document = fill(one, found, lang)
            assert document.missing == [], name
            assert document.to_json()["final"] is False
        assert {row["id"] for row in describe(one)} == {field.id for field in one.fields}

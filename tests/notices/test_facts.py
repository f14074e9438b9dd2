from __future__ import annotations

from pathlib import Path

import pytest

from notices.incident import CASE, facts, incident
from watchbill.core.errors import NotFoundError
from watchbill.inquiry.caseexposure import exposure
from watchbill.notices.facts import FIRM, categories, span_of, steps_taken
from watchbill.notices.record import append


def test_numbers_are_those_of_exposure(tmp_path: Path) -> None:
    home = incident(tmp_path)
    found, answer = facts(home), exposure(home, CASE)
    assert found.answer == answer
    assert categories(answer) == [("recipient", "phone", 80)]
    span = span_of(answer)
    assert span == (min(one.first for one in answer.saw.subjects), max(one.last for one in answer.saw.subjects))
    assert found.outlets == ("O1",)
    assert [row["case"] for row in found.steps] == [CASE]
    assert found.meter is not None
    assert found.meter.low["other"] == answer.saw.persons
    assert found.meter.gain == (64.0, 800.0)


def test_steps_by_kind_in_order() -> None:
    rows = [
        {"step": "suspend", "time": 5},
        {"step": "none", "time": 6},
        {"step": "mask", "time": 2},
        {"step": "suspend", "time": 9},
    ]
    assert steps_taken(rows) == [("mask", 1, 2, 2), ("suspend", 2, 5, 9)]


def test_what_people_added_belongs_to_its_case(tmp_path: Path) -> None:
    home = incident(tmp_path)
    append(home, "grade", CASE, "r", 2**41, level="larger", aware=1, note="")
    append(home, "grade", "c1", "r", 2**42, level="major", aware=1, note="")
    found = facts(home)
    assert [row["level"] for row in found.record] == ["larger"]
    assert found.as_of == 2**41
    assert found.last("told") is None


def test_the_firm_as_a_whole_and_no_such_case(tmp_path: Path) -> None:
    home = incident(tmp_path)
    found = facts(home, FIRM)
    assert found.case is None
    assert found.control is not None
    assert found.control.cases == 1
    with pytest.raises(NotFoundError):
        facts(home, "c1")

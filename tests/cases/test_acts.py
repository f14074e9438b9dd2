from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from cases.worked import one_of_each
from watchbill.cases.acts import RECORDS, Appeal, CaseAct, Note, Tell, kind_of_record

BASE: dict[str, Any] = {"id": "x", "case": "c1", "by": "r1", "time": 5}
DAY = 86_400_000


def test_each_kind_of_record_has_its_model_and_back() -> None:
    for said in one_of_each():
        kind = kind_of_record(said)
        assert RECORDS[kind].model_validate(said.model_dump()) == said


@pytest.mark.parametrize(
    "given",
    [
        {"act": "assign"},
        {"act": "review", "to": "r2"},
        {"act": "due"},
        {"act": "merge"},
        {"act": "split"},
        {"act": "archive", "account": "a"},
        {"act": "burn"},
        {"act": "review", "by": " "},
        {"act": "review", "case": ""},
        {"act": "review", "note": "x" * 501},
        {"act": "review", "more": 1},
        {"act": "review", "time": -1},
    ],
)
def test_work_that_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CaseAct.model_validate(BASE | given)


@pytest.mark.parametrize(
    "given",
    [
        {"act": "told", "role": "legal_lead"},
        {"act": "told", "to": ""},
        {"act": "told", "text_zh": "x" * 8_001},
        {"act": "delayed"},
        {"act": "delayed", "role": "legal_lead", "reason": "police", "until": 5},
        {"act": "delayed", "role": "legal_lead", "reason": "police", "until": 6 + 30 * DAY},
        {"act": "delayed", "role": "legal_lead", "until": 9},
    ],
)
def test_telling_that_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Tell.model_validate(BASE | given)


@pytest.mark.parametrize(
    "given",
    [
        {"act": "uphold", "reason": "leased"},
        {"act": "uphold"},
        {"act": "reject"},
        {"act": "reject", "note": "no", "reason": "wrong"},
        {"act": "reject", "note": "no", "to": "r2"},
        {"act": "open", "reason": "wrong"},
    ],
)
def test_an_appeal_that_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Appeal.model_validate(BASE | given)


def test_a_note_says_something() -> None:
    with pytest.raises(ValidationError):
        Note.model_validate(BASE | {"text": "  "})
    assert Note.model_validate(BASE | {"text": " seen "}).text == "seen"

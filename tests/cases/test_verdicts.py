from __future__ import annotations

import pytest
from pydantic import ValidationError

from watchbill.cases.verdicts import DISMISSALS, KINDS, Verdict, reasons_for

GOOD = {"id": "v1", "case": "c1", "verdict": "dismissed", "reason": "covering", "by": "r7", "time": 5}


@pytest.mark.parametrize("word", ["confirmed", "dismissed", "lifted"])
def test_each_word_has_its_typed_reasons(word: str) -> None:
    for reason in reasons_for(word):
        assert Verdict.model_validate(GOOD | {"verdict": word, "reason": reason}).reason == reason
    for reason in {*KINDS, *DISMISSALS, "settled", ""} - set(reasons_for(word)):
        with pytest.raises(ValidationError, match="none of"):
            Verdict.model_validate(GOOD | {"verdict": word, "reason": reason})


@pytest.mark.parametrize(
    "wrong",
    [{"verdict": "guilty"}, {"by": " "}, {"case": "", "account": ""}, {"time": -1}, {"note": "x" * 501}, {"id": ""},
     {"by": "x" * 65}, {"extra": 1}],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Verdict.model_validate(GOOD | wrong)

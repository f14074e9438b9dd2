from __future__ import annotations

import pytest
from pydantic import ValidationError

from watchbill.responses.policy import STEPS
from watchbill.rules.settings import RULE_STEPS, RuleSettings


def test_steps_of_rules_are_steps_of_the_ladder_gentlest_first_and_never_the_last() -> None:
    places = [STEPS.index(step) for step in RULE_STEPS]
    assert places == sorted(places)
    assert "suspend" not in RULE_STEPS
    assert RuleSettings().step_max == "ask_reason"


def test_unknown_names_and_steps_are_refused() -> None:
    for wrong in ({"step_max": "suspend"}, {"stepmax": "none"}, {"window_hits_max": 1}):
        with pytest.raises(ValidationError):
            RuleSettings.model_validate(wrong)

"""What asked looks got, in order; an account past the limit is shown nothing in plain."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from watchbill.context.events import CONFIRM, EVENT, LOOK
from watchbill.responses.policy import ALLOW, DO_MASK, DO_STEP_UP, STANDING, STEP_UP
from watchbill.runners.answers import asked_of


def test_answers_are_those_of_the_asked_looks() -> None:
    events = np.zeros(4, EVENT)
    events["kind"], events["row"], events["account"] = [LOOK, LOOK, CONFIRM, LOOK], [0, 1, 2, 3], [0, 1, 0, -1]
    events["role"] = [4, 5, 4, 6]
    standing = np.zeros(2, STANDING)
    standing["step"][1], standing["until"][1] = STEP_UP, 99
    columns: Any = SimpleNamespace(asked=np.array([True, True, False, True]))
    got = asked_of(columns, events, np.array([ALLOW, DO_STEP_UP, ALLOW, ALLOW], np.uint8), standing)
    assert got.row.tolist() == [0, 1, 3]
    assert got.decision.tolist() == [ALLOW, DO_STEP_UP, DO_MASK]
    assert (got.role.tolist(), got.step.tolist(), got.until.tolist()) == ([4, 5, 6], [0, STEP_UP, 0], [0, 99, 0])
    assert got.withheld.tolist() == [1, 3]


def test_a_look_from_a_place_that_is_free_stands_under_no_step() -> None:
    events = np.zeros(4, EVENT)
    events["kind"], events["row"] = LOOK, np.arange(4)
    events["reveal"] = [1, 1, 1, 0]
    standing = np.zeros(1, STANDING)
    standing["step"], standing["until"] = STEP_UP, 99
    columns: Any = SimpleNamespace(asked=np.ones(4, bool))
    got = asked_of(columns, events, np.array([ALLOW, DO_STEP_UP, DO_MASK, ALLOW], np.uint8), standing)
    assert got.decision.tolist() == [ALLOW, DO_STEP_UP, DO_MASK, ALLOW]
    assert (got.step.tolist(), got.until.tolist()) == ([0, STEP_UP, 0, STEP_UP], [0, 99, 0, 99])

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.core.settings import PolicySettings
from watchbill.scoring.cost import by_cost

HOUR = 3_600_000
SETTINGS = PolicySettings(
    record_yuan=10, control_hours=10, cost_yuan={"ask_reason": 1, "step_up": 50, "suspend": 5_000}
)


@pytest.mark.parametrize(
    ("posterior", "records", "hours", "step"),
    [
        (0.0, 100, 1, "none"),
        (0.5, 0, 1, "none"),
        (0.5, 1, 2, "ask_reason"),  # odds 1, 0.5 an hour: 50 yuan, no more than a step up costs
        (0.5, 1, 1, "step_up"),
        (0.5, 100, 1, "suspend"),
        (0.01, 100, 1, "step_up"),  # odds 1/99 of 10,000 yuan
        (1.0, 1, 1, "suspend"),
    ],
)
def test_a_step_is_worth_its_cost(posterior: float, records: int, hours: int, step: str) -> None:
    assert by_cost(posterior, records, hours * HOUR, SETTINGS)["step"] == step


@given(st.floats(0, 1), st.integers(0, 10**6), st.integers(0, 10**12), st.floats(0, 1))
def test_the_rule_is_the_inequality_and_rises_with_the_posterior(
    p: float, records: int, span: int, more: float
) -> None:
    said = by_cost(p, records, span, SETTINGS)
    loss = records / max(1, span / HOUR) * 100
    assert said["loss_yuan"] == pytest.approx(loss, abs=0.01)
    odds = math.inf if p >= 1 else p / (1 - p)
    dear = [cost for cost in SETTINGS.cost_yuan.values() if odds * loss > cost * (1 + 1e-6)]
    costs = {"none": 0.0, **SETTINGS.cost_yuan}
    assert costs[said["step"]] >= max(dear, default=0.0)
    assert costs[by_cost(max(p, more), records, span, SETTINGS)["step"]] >= costs[said["step"]]


def test_a_burst_of_a_second_is_no_rate() -> None:
    assert by_cost(0.5, 3, 1_000, SETTINGS)["loss_yuan"] == 300.0

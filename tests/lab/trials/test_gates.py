"""Which limit a figure meets, and whether its interval is sure of it."""

from __future__ import annotations

import pytest

from watchbill.lab.attacks.base import load_attacks
from watchbill.lab.trials.gates import CLASSES, LIMITS, Figure, Limit, class_of

LOW = Limit("x", "lower is better", "records", 20, 10)
HIGH = Limit("y", "higher is better", "share", 0.9, 0.99, higher=True)


@pytest.mark.parametrize(
    ("limit", "value", "low", "high", "met", "sure"),
    [
        (LOW, 10, 8, 10, "goal", True),
        (LOW, 10, 8, 11, "goal", False),
        (LOW, 11, 9, 20, "gate", True),
        (LOW, 20, 9, 21, "gate", False),
        (LOW, 21, 19, 30, "missed", False),
        (LOW, 30, 21, 40, "missed", True),
        (HIGH, 0.99, 0.99, 1, "goal", True),
        (HIGH, 0.995, 0.95, 1, "goal", False),
        (HIGH, 0.95, 0.9, 0.97, "gate", True),
        (HIGH, 0.95, 0.89, 0.97, "gate", False),
        (HIGH, 0.8, 0.7, 0.95, "missed", False),
        (HIGH, 0.8, 0.7, 0.89, "missed", True),
        (HIGH, None, 0, 0, "not available", False),
    ],
)
def test_what_is_met(limit: Limit, value: float | None, low: float, high: float, met: str, sure: bool) -> None:
    figure = Figure(limit, value, low, high)
    assert figure.met == met
    assert figure.passed == (met in {"goal", "gate"})
    if value is not None:
        assert figure.sure == sure
        assert not Figure(limit, value, low, high, few=True).sure


def test_the_table_is_that_of_the_method() -> None:
    limits = {limit.key: (limit.gate, limit.goal) for limit in LIMITS}
    assert limits["bulk_median"] == (20, 10)
    assert limits["bulk_p90"] == (50, 25)
    assert limits["half_median"] == (50, 30)
    assert limits["slow_median"] == (60, 40)
    assert limits["stepped_up"] == (1.0, 0.1)
    assert limits["asked"] == (0.01, 0.001)
    assert limits["suspended"] == (0.05, 0.01)
    assert limits["families"] == (0.9, 1.0)
    assert limits["explained"] == (0.97, 0.99)
    assert limits["action_p99"] == (5.0, 1.0)
    assert len(limits) == len(LIMITS)


def test_each_kind_is_held_to_one_limit_and_exists() -> None:
    named = [kind for kinds in CLASSES.values() for kind in kinds]
    assert len(named) == len(set(named))
    assert set(named) <= set(load_attacks())
    assert class_of("blatant_lease") == "bulk"
    assert class_of("no_such_kind") == ""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("new_account_harvest", day=2, days=1))


def test_the_number_is_as_old_as_the_harvest(built: Any) -> None:
    attack = built.report.attacks[0]
    begin, kind = built.rows(f"select \"from\", employment from accounts where account = '{attack['accounts'][0]}'")[0]
    assert kind == "temp"
    assert 0 <= attack["from"] - built.one(f"select epoch_ms('{begin}'::timestamp - interval 8 hour)") < 86_400_000
    assert built.one(f"select tenure_days from people where account = '{attack['accounts'][0]}'") == -2

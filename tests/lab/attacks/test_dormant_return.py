from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec
from watchbill.lab.simulator.settings import HonestStress


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("dormant_return", day=2, days=1))


def test_a_number_nobody_works_with_wakes_up(built: Any) -> None:
    account = built.report.attacks[0]["accounts"][0]
    assert built.one(f"select unused from people where account = '{account}'")
    assert built.one(f"select count(*) from looks where account = '{account}' and not wrongful") == 0
    assert built.one(f"select \"from\" < '2024' from accounts where account = '{account}'")


def test_somebody_on_long_leave_is_preferred(stage: Callable[..., Any]) -> None:
    stress = HonestStress(long_leave=0.3)
    built = stage(
        AttackSpec("dormant_return", day=14, days=1), days=22, outlets=4, scale=0.2, honest_stress=stress, seed=3
    )
    account, start = built.report.attacks[0]["accounts"][0], built.report.attacks[0]["from"]
    before = built.one(f"select max(time) from looks where account = '{account}' and not wrongful and time < {start}")
    assert start - before >= 9 * 86_400_000

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("trojan_label_pc", day=2, days=1))


def test_many_accounts_of_one_outlet_on_its_label_pc(built: Any) -> None:
    attack = built.report.attacks[0]
    assert len(attack["accounts"]) >= 3
    assert len(attack["devices"]) == len(attack["outlets"]) == 1
    assert built.one(f"select outlet from devices where device = '{attack['devices'][0]}'") == attack["outlets"][0]
    assert attack["operators"] == ["program"]

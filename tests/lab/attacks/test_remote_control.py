from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("remote_control", day=2, days=1))


def test_own_pc_and_address_at_night(built: Any) -> None:
    attack = built.report.attacks[0]
    account = attack["accounts"][0]
    honest = built.rows(f"select distinct device, ip from looks where account = '{account}' and not wrongful")
    assert {(d, i) for d in attack["devices"] for i in attack["ips"]} <= set(honest)
    hours = built.rows("select distinct (time // 3600000 + 8) % 24 from looks where wrongful")
    assert all(h < 7 or h >= 21 for (h,) in hours)
    assert attack["operators"] == ["other"]

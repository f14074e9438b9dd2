from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("proxy_same_city", day=2, days=1))


def test_new_device_on_a_home_line_of_the_own_city(built: Any) -> None:
    attack = built.report.attacks[0]
    city = built.one(f"select city from outlets where outlet = '{attack['outlets'][0]}'")
    assert len(attack["ips"]) == len(attack["devices"]) == 1
    line = ".".join(attack["ips"][0].split(".")[:2])
    assert built.one(f"select place from networks where network = '{line}.0.0/16'") == city
    assert built.one(f"select count(*) from looks where not wrongful and device = '{attack['devices'][0]}'") == 0

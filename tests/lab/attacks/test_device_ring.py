from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("device_ring", day=2, days=1))


def test_five_numbers_of_several_outlets_in_turn_on_one_device(built: Any) -> None:
    assert built.one("select count(distinct account) from looks where wrongful") == 5
    assert built.one("select count(distinct device) + count(distinct ip) from looks where wrongful") == 2
    assert built.one("select count(distinct a.outlet) from looks l join accounts a using (account) where wrongful") >= 3
    turns = built.one(
        "select count(*) from (select account <> lag(account) over (order by time) as turn from looks where wrongful) where turn"
    )
    assert turns >= 15


def test_ranges_do_not_overlap(built: Any) -> None:
    assert built.one("select max(n) from (select count(*) as n from looks where wrongful group by waybill)") <= 2
    assert built.one("select count(distinct waybill) / count(*) from looks where wrongful") >= 0.95

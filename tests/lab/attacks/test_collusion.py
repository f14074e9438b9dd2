from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("collusion", day=2, days=1))


def test_on_the_owners_own_terminal(built: Any) -> None:
    mine = "select distinct device from looks where {wrong} and account in (select account from looks where wrongful)"
    assert set(built.rows(mine.format(wrong="wrongful"))) <= set(built.rows(mine.format(wrong="not wrongful")))
    assert built.report.attacks[0]["operators"] == ["owner"]


def test_several_of_one_outlet_take_a_few_each_and_nothing_twice(built: Any) -> None:
    attack = built.report.attacks[0]
    assert len(attack["outlets"]) == 1
    assert len(attack["accounts"]) >= 2
    assert built.one("select max(n) from (select count(*) as n from looks where wrongful group by account)") <= 10
    assert built.one("select count(*) - count(distinct waybill) from looks where wrongful") == 0

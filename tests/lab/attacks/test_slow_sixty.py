from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("slow_sixty", day=2, days=1))


def test_on_the_owners_own_terminal(built: Any) -> None:
    mine = "select distinct device from looks where {wrong} and account in (select account from looks where wrongful)"
    assert set(built.rows(mine.format(wrong="wrongful"))) <= set(built.rows(mine.format(wrong="not wrongful")))
    assert built.report.attacks[0]["operators"] == ["owner"]


def test_five_to_ten_a_day(stage: Callable[..., Any]) -> None:
    built = stage(AttackSpec("slow_sixty", day=1, days=0), days=10)
    days = [
        n for _, n in built.rows("select (time + 28800000) // 86400000, count(*) from looks where wrongful group by 1")
    ]
    assert len(days) >= 7
    assert all(5 <= n <= 10 for n in days)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("vip_snoop", day=2, days=1))


def test_on_the_owners_own_terminal(built: Any) -> None:
    mine = "select distinct device from looks where {wrong} and account in (select account from looks where wrongful)"
    assert set(built.rows(mine.format(wrong="wrongful"))) <= set(built.rows(mine.format(wrong="not wrongful")))
    assert built.report.attacks[0]["operators"] == ["owner"]


def test_the_same_few_persons_on_every_day(stage: Callable[..., Any]) -> None:
    built = stage(AttackSpec("vip_snoop", day=1, days=9), days=10)
    assert 10 <= built.report.wrongful <= 90
    regulars = built.rows(
        "select s, count(*) from (select unnest(subjects) as s from looks where wrongful) group by 1 having count(*) > 1"
    )
    assert 1 <= len(regulars) <= 12
    assert built.one("select count(*) / 9 from looks where wrongful") <= 10

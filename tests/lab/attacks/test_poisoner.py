from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("poisoner", day=2, days=1))


def test_explained_looks_grow_before_the_harvest(stage: Callable[..., Any]) -> None:
    built = stage(AttackSpec("poisoner", day=1, days=9), days=10)
    attack = built.report.attacks[0]
    outlet = attack["outlets"][0]
    own = f"""exists (select 1 from records s where s.kind = 'scan' and s.waybill = l.waybill
              and s.outlet = '{outlet}' and s.status = 'arrived' and s.time <= l.time)"""
    before, after = (
        built.rows(
            f"select count(*), avg(({own})::int) from looks l where wrongful and time {sign} {attack['harvest_from']}"
        )[0]
        for sign in ("<", ">=")
    )
    assert before[0] > 50 < after[0]
    assert before[1] == 1.0
    assert after[1] == 0.0
    days = [
        n
        for _, n in built.rows(f"""select time // 86400000 as day, count(*) from looks
        where wrongful and time < {attack["harvest_from"]} group by 1 order by 1""")
    ]
    assert days[0] < days[-1]


def test_a_short_attack_prepares_nothing(built: Any) -> None:
    attack = built.report.attacks[0]
    assert attack["harvest_from"] == attack["from"]

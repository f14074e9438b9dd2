from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("mimic", day=2, days=1))


def test_on_the_owners_own_terminal(built: Any) -> None:
    mine = "select distinct device from looks where {wrong} and account in (select account from looks where wrongful)"
    assert set(built.rows(mine.format(wrong="wrongful"))) <= set(built.rows(mine.format(wrong="not wrongful")))
    assert built.report.attacks[0]["operators"] == ["owner"]


def test_a_few_an_hour_in_working_hours_in_the_own_city(built: Any) -> None:
    hours = built.rows("select (time // 3600000 + 8) % 24 as hour, count(*) from looks where wrongful group by 1")
    assert all(9 <= hour < 18 and n <= 5 for hour, n in hours)
    assert built.report.wrongful >= 15
    outlet = built.report.attacks[0]["outlets"][0]
    place = f"select city from outlets where outlet = '{outlet}'"
    abroad = built.one(f"""select count(*) from looks l join records s using (waybill) join outlets o on o.outlet = s.outlet
        where l.wrongful and s.kind = 'scan' and s.status = 'out_for_delivery' and (o.city <> ({place}) or o.outlet = '{outlet}')""")
    assert abroad == 0

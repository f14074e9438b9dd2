from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("outlet_harvest", day=2, days=1))


def test_on_the_owners_own_terminal(built: Any) -> None:
    mine = "select distinct device from looks where {wrong} and account in (select account from looks where wrongful)"
    assert set(built.rows(mine.format(wrong="wrongful"))) <= set(built.rows(mine.format(wrong="not wrongful")))
    assert built.report.attacks[0]["operators"] == ["owner"]


def test_every_parcel_had_arrived_at_the_own_outlet(built: Any) -> None:
    outlet = built.report.attacks[0]["outlets"][0]
    late = built.one(f"""select count(*) from looks l where wrongful and not exists (select 1 from records s
        where s.kind = 'scan' and s.waybill = l.waybill and s.outlet = '{outlet}' and s.status = 'arrived' and s.time <= l.time)""")
    assert late == 0
    assert built.report.wrongful >= 50
    assert built.one("select count(*) - count(distinct waybill) from looks where wrongful") == 0

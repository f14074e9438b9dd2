from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("fresh_parcels", day=2, days=1))


def test_on_the_owners_own_terminal(built: Any) -> None:
    mine = "select distinct device from looks where {wrong} and account in (select account from looks where wrongful)"
    assert set(built.rows(mine.format(wrong="wrongful"))) <= set(built.rows(mine.format(wrong="not wrongful")))
    assert built.report.attacks[0]["operators"] == ["owner"]


def test_within_two_hours_of_his_own_pickup(built: Any) -> None:
    fresh = built.one("""select count(*) from looks l join records s using (waybill) where l.wrongful and s.kind = 'scan'
        and s.status = 'picked_up' and s.account = l.account and l.time - s.time between 0 and 7200000""")
    assert fresh == built.report.wrongful >= 5

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("partitioned_ring", day=2, days=1))


def test_own_devices_same_hours_adjacent_ranges(built: Any) -> None:
    attack = built.report.attacks[0]
    assert len(attack["accounts"]) == len(attack["devices"]) == len(attack["outlets"]) == 4
    shared = "select count(*) from (select {} from looks where wrongful group by 1 having count(distinct account) > 1)"
    assert built.one(shared.format("device")) == built.one(shared.format("ip")) == 0
    # Turns of one hour touch each other: sorted by number, neighbours of different accounts are one apart.
    number = "cast(substr(waybill, 3) as bigint)"
    touching = built.one(f"""select count(*) from (select {number} - lag({number}) over (order by {number}) as gap,
        account <> lag(account) over (order by {number}) as other from looks where wrongful) where gap = 1 and other""")
    assert touching >= 9
    assert built.one("select count(*) - count(distinct waybill) from looks where wrongful") < 20

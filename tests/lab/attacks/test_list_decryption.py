from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("list_decryption", day=2, days=1))


def test_bursts_nation_wide_without_sequence_from_the_own_counter(built: Any) -> None:
    gaps = [r[0] for r in built.rows("select cast(substr(waybill, 3) as bigint) - lag(cast(substr(waybill, 3) as bigint)) "
                                     "over (order by time) from looks where wrongful")][1:]  # fmt: skip
    assert sum(abs(g) <= 8 for g in gaps) / len(gaps) < 0.05
    origins = built.one("select count(distinct substr(waybill, 3, 5)) from looks where wrongful")
    assert origins >= 8
    device = built.one("select distinct device from looks where wrongful")
    assert built.one(f"select outlet from devices where device = '{device}'") == built.one(
        "select any_value(a.outlet) from looks l join accounts a using (account) where wrongful"
    )
    quick = built.one(
        "select avg((gap < 30000)::int) from (select time - lag(time) over (order by time) as gap from looks where wrongful)"
    )
    assert quick > 0.95

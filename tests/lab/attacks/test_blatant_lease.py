from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("blatant_lease", day=2, days=1))


def test_another_province_new_device_and_the_owner_goes_on(built: Any) -> None:
    account, outlet = built.rows(
        "select looks.account, any_value(accounts.outlet) from looks join accounts using (account) where wrongful group by 1"
    )[0]
    device = built.one("select distinct device from looks where wrongful")
    assert built.one(f"select count(*) from devices where device = '{device}'") == 0
    city = built.one(f"select city from outlets where outlet = '{outlet}'")
    ip = built.one("select distinct ip from looks where wrongful")
    place = built.one(
        f"select place from networks where kind = 'broadband' and split_part(network, '.', 2) = split_part('{ip}', '.', 2)"
    )
    assert place != city
    assert (
        built.one(
            "select count(*) from records where kind = 'login' and device = (select distinct device from looks where wrongful)"
        )
        == 2
    )
    span = "(select min(time) from looks where wrongful) and (select max(time) from looks where wrongful)"
    assert (
        built.one(f"select count(*) from looks where account = '{account}' and not wrongful and time between {span}")
        > 0
    )
    assert (
        built.one(f"select count(*) from records where kind = 'scan' and account = '{account}' and time between {span}")
        > 0
    )


def test_waybill_after_waybill(built: Any) -> None:
    gaps = built.rows("select cast(substr(waybill, 3) as bigint) - lag(cast(substr(waybill, 3) as bigint)) over (order by time) "
                      "from looks where wrongful")  # fmt: skip
    assert sum(g[0] == 1 for g in gaps) / len(gaps) > 0.95
    assert 700 <= built.report.wrongful <= 3000

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("low_and_slow", day=2, days=1))


def test_own_device_other_outlets_spread_over_the_day(built: Any) -> None:
    account = built.report.attacks[0]["accounts"][0]
    own = built.one("select any_value(a.outlet) from looks l join accounts a using (account) where wrongful")
    strangers = built.one(f"""select count(*) from looks l where wrongful and not exists
        (select 1 from records s where s.kind = 'scan' and s.waybill = l.waybill and s.outlet = '{own}' and s.status = 'arrived')""")
    assert strangers == built.report.wrongful
    assert {r[0] for r in built.rows("select distinct device from looks where wrongful")} == {
        r[0]
        for r in built.rows(
            f"select distinct device from looks where account = '{account}' and not wrongful and app = 'handset'"
        )
    }
    assert 60 <= built.report.wrongful <= 140
    assert built.one("select max(time) - min(time) from looks where wrongful") > 8 * 3_600_000

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("leaver_reuse", day=2, days=1))


def test_the_account_had_ended_and_the_device_is_new(built: Any) -> None:
    account = built.report.attacks[0]["accounts"][0]
    until = built.one(f"select max(until) from accounts where account = '{account}'")
    assert until is not None
    first = built.one("select min(time) from looks where wrongful")
    assert first >= built.one(f"select epoch_ms('{until}'::timestamp - interval 8 hour)")
    assert built.one(f"""select count(*) from looks where account = '{account}' and not wrongful
                         and time >= epoch_ms('{until}'::timestamp - interval 8 hour)""") == 0  # fmt: skip
    device = built.one("select distinct device from looks where wrongful")
    assert built.one(f"select count(*) from devices where device = '{device}'") == 0
    assert built.report.wrongful == 200

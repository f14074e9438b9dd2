from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("leaver_device", day=2, days=1))


def test_a_leavers_handset_on_his_colleagues_accounts(built: Any) -> None:
    attack = built.report.attacks[0]
    assert len(attack["devices"]) == 1
    # A handset that reads while it scans names no account.
    owners = {
        a
        for (a,) in built.rows(
            f"select distinct account from records where account is not null and device = '{attack['devices'][0]}'"
        )
    }
    former = owners - set(attack["accounts"])
    assert len(former) == 1
    until = built.one(f"select max(until) from accounts where account = '{former.pop()}'")
    assert built.one(f"select epoch_ms('{until}'::timestamp - interval 8 hour)") <= attack["from"]

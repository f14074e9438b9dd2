from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("concurrent_owner", day=2, days=1))


def test_the_owner_is_out_on_his_round_meanwhile(built: Any) -> None:
    attack = built.report.attacks[0]
    account = attack["accounts"][0]
    scans = built.one(f"""select count(*) from records where kind = 'scan' and account = '{account}'
                          and time between {attack["from"]} and {attack["until"]}""")
    assert scans > 5
    outlet = int(attack["outlets"][0][2:])
    mine = built.one(f"select avg((substr(subjects[1], 3, 5)::int = {outlet})::int) from looks where wrongful")
    assert 0.35 < mine < 0.75

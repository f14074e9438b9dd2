from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("numbers_in_turn", day=2, days=1))


def test_no_hour_no_device_and_no_line_is_common_to_all(built: Any) -> None:
    attack = built.report.attacks[0]
    assert len(attack["accounts"]) == 5
    assert len(attack["devices"]) == len(attack["ips"]) == 2
    assert (
        built.one(
            "select max(n) from (select count(distinct account) as n from looks where wrongful group by time // 3600000)"
        )
        == 1
    )
    for column in ("device", "ip"):
        most = built.one(
            f"select max(n) from (select count(distinct account) as n from looks where wrongful group by {column})"
        )
        assert 2 <= most < 5


def test_together_they_hang_in_one_chain(built: Any) -> None:
    pairs = built.rows("""select distinct a.account, b.account from looks a join looks b
        on (a.device = b.device or a.ip = b.ip) where a.wrongful and b.wrongful""")
    reached, grown = set(), {pairs[0][0]}
    while reached != grown:
        reached = grown
        grown = reached | {b for a, b in pairs if a in reached}
    assert len(reached) == 5

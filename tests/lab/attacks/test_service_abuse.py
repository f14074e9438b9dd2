from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("service_abuse", day=2, days=1))


def test_a_robots_identity_on_another_host_with_more_fields(built: Any) -> None:
    attack = built.report.attacks[0]
    assert attack["roles"] == ["robot"]
    account, device = attack["accounts"][0], attack["devices"][0]
    honest = built.rows(f"select distinct device from looks where account = '{account}' and not wrongful")
    assert (device,) not in honest
    fields = "select distinct len(fields) from looks where account = '{}' and {}"
    assert max(built.rows(fields.format(account, "wrongful"))) > max(built.rows(fields.format(account, "not wrongful")))
    assert built.report.wrongful >= 500

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("greedy_export", day=2, days=1))


def test_on_the_owners_own_terminal(built: Any) -> None:
    mine = "select distinct device from looks where {wrong} and account in (select account from looks where wrongful)"
    assert set(built.rows(mine.format(wrong="wrongful"))) <= set(built.rows(mine.format(wrong="not wrongful")))
    assert built.report.attacks[0]["operators"] == ["owner"]


def test_page_after_page(built: Any) -> None:
    assert built.rows("select distinct kind from looks where wrongful") == [("export",)]
    assert built.one("select max(page) from looks where wrongful") >= 20
    assert built.one("select max(n) from (select count(*) as n from looks where wrongful group by page)") <= 20

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("bulk_downloader", day=2, days=1))


def test_on_the_owners_own_terminal(built: Any) -> None:
    mine = "select distinct device from looks where {wrong} and account in (select account from looks where wrongful)"
    assert set(built.rows(mine.format(wrong="wrongful"))) <= set(built.rows(mine.format(wrong="not wrongful")))
    assert built.report.attacks[0]["operators"] == ["owner"]


def test_like_a_metronome(built: Any) -> None:
    gaps = [g for (g,) in built.rows("select time - lag(time) over (order by time) from looks where wrongful") if g]
    steady = [g for g in gaps if 2300 <= g <= 2700]
    assert len(steady) / len(gaps) > 0.98
    assert built.report.wrongful >= 500

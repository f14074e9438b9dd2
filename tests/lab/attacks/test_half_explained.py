from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchbill.lab.attacks.base import AttackSpec


@pytest.fixture(scope="module")
def built(stage: Callable[..., Any]) -> Any:
    return stage(AttackSpec("half_explained", day=2, days=1))


def test_half_lies_at_the_numbers_own_outlet(built: Any) -> None:
    outlet = int(built.report.attacks[0]["outlets"][0][2:])
    mine = built.one(
        f"select avg((substr(subjects[1], 3, 5)::int = {outlet})::int) from looks where wrongful and outcome = 'success'"
    )
    assert 0.4 < mine < 0.75
    assert built.report.attacks[0]["operators"] == ["other"]

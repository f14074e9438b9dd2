from __future__ import annotations

import pytest

from watchbill.cases.kinds import kind_of
from watchbill.cases.verdicts import KINDS

FAMILY = {
    "canary": "canary", "roster_status": "roster", "former_device": "login", "dormant": "roster", "service": "service",
    "rings": "graph", "in_turn": "graph", "concurrent": "login", "login_place": "login", "rhythm": "habit",
    "harvest_shape": "harvest", "volume": "volume", "unexplained": "reason", "coverage_share": "trace", "slow": "slow",
}  # fmt: skip


@pytest.mark.parametrize(
    ("spoke", "role", "persons", "lone", "kind"),
    [
        (["canary", "login_place"], "courier", 1, False, "leased"),
        (["canary", "unexplained", "volume"], "courier", 2, False, "canary"),
        (["roster_status", "login_place"], "courier", 1, False, "leaver"),
        (["former_device", "rings"], "courier", 1, False, "leaver"),
        (["dormant"], "courier", 1, False, "leaver"),
        (["unexplained"], "device", 1, True, "device"),
        (["canary"], "device", 1, True, "device"),
        (["unexplained"], "robot", 1, False, "service"),
        (["service"], "courier", 1, False, "service"),
        (["rings", "login_place"], "courier", 2, False, "ring"),
        (["in_turn"], "courier", 1, False, "ring"),
        (["concurrent", "unexplained"], "courier", 1, False, "hijacked"),
        (["concurrent"], "courier", 2, False, "leased"),
        (["login_place", "unexplained"], "courier", 3, False, "leased"),
        (["unexplained"], "service", 2, False, "shared"),
        (["unexplained", "volume"], "courier", 1, False, "leased"),
        (["rhythm"], "courier", 1, False, "leased"),
        (["harvest_shape"], "courier", 1, False, "leased"),
        (["coverage_share", "slow"], "courier", 1, False, "owner"),
        (["a detector from outside"], "courier", 1, False, "owner"),
        ([], "courier", 1, False, "owner"),
    ],
)  # fmt: skip
def test_kinds(spoke: list[str], role: str, persons: int, lone: bool, kind: str) -> None:
    quiet = dict.fromkeys(FAMILY, 0.9)
    assert kind_of(quiet | dict.fromkeys(spoke, 9.0), FAMILY, role, persons, lone=lone) == kind
    assert kind in KINDS

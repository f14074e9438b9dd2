from __future__ import annotations

import itertools

import pytest

from watchbill.context.rules import (
    ANYONE,
    CLASSES,
    CLASSES_MAX,
    CODE,
    CODE_AT,
    RULES_MAX,
    SIGNED,
    WINDOW,
    compile_rules,
)
from watchbill.core.errors import SettingsError
from watchbill.core.settings import Reason, ReasonSettings, Role

HOUR = 3_600_000


def test_default_roles_compile_with_unknown_last() -> None:
    rules, roles, labels = compile_rules(ReasonSettings())
    assert roles[-1] == "unknown"
    assert roles[:-1] == sorted(roles[:-1])
    courier = rules.table[roles.index("courier")]
    assert courier[0].tolist() == [CODE["assigned"], 360 * HOUR, 72 * HOUR, 0, 0]
    assert labels[roles.index("courier") * RULES_MAX + 1] == "assigned"
    assert labels[0] == ""
    assert (rules.table[:, -1, CODE_AT] == 0).all()  # every list ends


def test_a_name_is_the_label_and_order_is_kept() -> None:
    role = Role(reasons=(Reason(template="looked", name="again", window_hours=1), Reason(template="held")))
    rules, roles, labels = compile_rules(ReasonSettings(roles={"x": role}))
    assert roles == ["x", "unknown"]
    assert labels[1:3] == ["again", "held"]
    assert rules.table[0, :3, CODE_AT].tolist() == [CODE["looked"], CODE["held"], 0]
    assert rules.table[0, 0, WINDOW] == HOUR
    assert rules.table[0, 0, SIGNED] == 0
    assert [code for code in range(1, 11) if rules.used[code]] == sorted([CODE["looked"], CODE["held"]])


def test_sets_of_ticket_types_become_classes() -> None:
    reasons = (
        Reason(template="ticket", types=("call", "none")),
        Reason(template="ticket", types=("call",), anyone=True),
    )
    rules, _, _ = compile_rules(ReasonSettings(roles={"x": Role(reasons=reasons)}))
    first, second = rules.table[0, 0, CLASSES], rules.table[0, 1, CLASSES]
    assert first & second == 0
    assert rules.type_classes[0] == first  # a ticket without a type
    assert rules.type_classes[4] == first | second  # a call
    assert rules.type_classes[8] == 0  # a cover explains in its own way
    assert rules.table[0, :2, ANYONE].tolist() == [0, 1]


def test_too_much_is_refused_by_name() -> None:
    many = Role(reasons=(Reason(template="held"),) * RULES_MAX)
    with pytest.raises(SettingsError, match=r"reasons.roles.x"):
        compile_rules(ReasonSettings(roles={"x": many}))
    types = ("complaint", "claim", "return", "call", "incident", "change", "legal", "none")
    sets = [*itertools.combinations(types, 2), *itertools.combinations(types, 1)][: CLASSES_MAX + 1]
    reasons = [Reason(template="ticket", types=kinds) for kinds in sets]
    roles = {f"r{at}": Role(reasons=tuple(reasons[at::4])) for at in range(4)}
    with pytest.raises(SettingsError, match="too many different sets"):
        compile_rules(ReasonSettings(roles=roles))
    compile_rules(ReasonSettings(roles={f"r{at}": Role(reasons=tuple(reasons[:-1][at::4])) for at in range(4)}))

"""Declared reasons compiled to arrays: for each role an ordered list of rules that a kernel can walk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from watchbill.core.errors import SettingsError
from watchbill.core.settings import TEMPLATES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.core.settings import Reason, ReasonSettings

RULES_MAX: Final = 16
CLASSES_MAX: Final = 32
CODE: Final = {name: code for code, name in enumerate(TEMPLATES, start=1)}
TICKET_TYPES: Final = ("none", "complaint", "claim", "return", "call", "incident", "change", "legal", "cover")
_HOUR_MS: Final = 3_600_000


CODE_AT, WINDOW, SIGNED, CLASSES, ANYONE = range(5)


class Rules(NamedTuple):
    """Compiled reasons.

    Attributes:
        table: int64[role, RULES_MAX, 5]: template code (0 ends the list), window_ms, signed_ms, ticket classes
            (bit set), anyone (0/1).
        type_classes: int64[9]: ticket type (0 = none) -> bit set of classes that hold it.
        used: int64[len(CODE) + 1]: 1 where any role has that template.
    """

    table: NDArray[np.int64]
    type_classes: NDArray[np.int64]
    used: NDArray[np.int64]


def compile_rules(settings: ReasonSettings) -> tuple[Rules, list[str], list[str]]:
    """(rules, role names, label of each reason code); label 0 is "" (unexplained).

    Raises:
        SettingsError: too many reasons for a role, or too many different sets of ticket types.
    """
    roles = [*sorted(name for name in settings.roles if name != "unknown"), "unknown"]
    rules = Rules(
        np.zeros((len(roles), RULES_MAX, 5), np.int64), np.zeros(len(TICKET_TYPES), np.int64),
        np.zeros(len(CODE) + 1, np.int64),
    )  # fmt: skip
    labels = [""] * (len(roles) * RULES_MAX + 1)
    classes: dict[frozenset[str], int] = {}
    for r, role in enumerate(roles):
        reasons = settings.roles[role].reasons if role in settings.roles else ()
        if len(reasons) >= RULES_MAX:
            raise SettingsError(
                f"has {len(reasons)} reasons", where=f"reasons.roles.{role}", todo=f"use under {RULES_MAX}"
            )
        for k, reason in enumerate(reasons):
            _set_rule(rules, r, k, reason, classes)
            labels[r * RULES_MAX + k + 1] = reason.label
    for types, number in classes.items():
        for code, name in enumerate(TICKET_TYPES):
            if name in types:
                rules.type_classes[code] |= 1 << number
    return rules, roles, labels


def _set_rule(rules: Rules, role: int, at: int, reason: Reason, classes: dict[frozenset[str], int]) -> None:
    code = CODE[reason.template]
    rules.used[code] = 1
    classes_bits = 0
    if reason.template == "ticket":
        number = classes.setdefault(frozenset(reason.types), len(classes))
        if number >= CLASSES_MAX:
            raise SettingsError(
                "there are too many different sets of ticket types", where="reasons.roles",
                todo=f"use at most {CLASSES_MAX} different sets, those of the default roles included",
            )  # fmt: skip
        classes_bits = 1 << number
    window, signed = int(reason.window_hours * _HOUR_MS), int(reason.signed_hours * _HOUR_MS)
    rules.table[role, at] = (code, window, signed, classes_bits, int(reason.anyone))

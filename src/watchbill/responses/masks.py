"""What a role may see of a field, and how a value is masked.

The e-waybill standard is the default: at least one character of the name is hidden, six digits of the phone, the unit and
room of the address (shared/domain.md). Pure; the caller that shows data applies it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from watchbill.core import settings

Level: TypeAlias = settings.Level

PLAIN: Final = "plain"
MASKED: Final = "masked"
HIDDEN: Final = "hidden"
_ORDER: Final = {PLAIN: 0, MASKED: 1, HIDDEN: 2}
STAR: Final = "*"
PHONE_HIDDEN_MIN: Final = 6
_PHONE_HEAD: Final = 3
DEFAULT_MATRIX: Final[Mapping[str, Mapping[str, Level]]] = settings.default_masks()
"""Settings `masks` lay theirs over it. (est., see docs/contain.md)"""

_UNIT: Final = re.compile(
    r"\d+\s*(?:号楼|栋|幢|座|单元|楼|层|室|户|#)|[A-Za-z]\s*(?:座|栋)|(?:apt|unit|room|flat|suite)\b", re.IGNORECASE
)


def last_part(field: str) -> str:
    """`recipient.phone` -> `phone`."""
    return field.rpartition(".")[2]


def level_of(matrix: Mapping[str, Mapping[str, Level]], role: str, field: str) -> Level:
    """What a role may see of a field when nothing else speaks against it."""
    return matrix.get(role, matrix.get("unknown", {})).get(last_part(field), PLAIN)


def levels(
    matrix: Mapping[str, Mapping[str, Level]], role: str, fields: Iterable[str], *, at_least: Level = PLAIN
) -> dict[str, Level]:
    """The level of each field; `at_least` is what a decision demands of all of them."""
    out: dict[str, Level] = {}
    for field in fields:
        own = level_of(matrix, role, field)
        out[field] = own if _ORDER[own] >= _ORDER[at_least] else at_least
    return out


def mask_value(field: str, value: str) -> str:
    """The masked form of one value; an unknown kind of field is hidden whole. Never longer than 4,096 characters."""
    text = value.strip()[:4096]
    kind = last_part(field)
    if not text:
        return ""
    if kind == "name":
        return text[0] + STAR * max(2, len(text) - 1) if len(text) > 1 else STAR
    if kind == "phone":
        return _mask_phone(text)
    if kind == "address":
        return _mask_address(text)
    return STAR * PHONE_HIDDEN_MIN


def shown(field: str, value: str, level: Level) -> str:
    """A value as a person of that level may see it; hidden values are empty."""
    if level == HIDDEN:
        return ""
    return mask_value(field, value) if level == MASKED else value


def _mask_phone(text: str) -> str:
    """At least six digits hidden, of shorter numbers all: 138******34."""
    digits = [at for at, letter in enumerate(text) if letter.isdigit()]
    spare = len(digits) - PHONE_HIDDEN_MIN
    head = min(_PHONE_HEAD, max(0, spare))
    tail = max(0, spare - head)
    covered = set(digits[head : len(digits) - tail])
    return "".join(STAR if at in covered else letter for at, letter in enumerate(text)) if digits else STAR * len(text)


def _mask_address(text: str) -> str:
    """From the first sign of a building, unit or room on; where there is none, the second half."""
    found = _UNIT.search(text)
    cut = found.start() if found else (len(text) + 1) // 2
    return text[:cut] + STAR * 3

"""Asks as records of looks, and what was decided as `wb.decision` records: the two forms in which the journal holds a decision.

An ask is a look of the source `wb.decide` whose `decision` is its own identifier. Its `wb.decision` says who was told what of
whom: `fields` are those that were shown in plain, `outcome` whether anything was, `extra` all of it (docs/records.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson
import pyarrow as pa

from watchbill.records.schema import DECIDE_SOURCE, SCHEMA
from watchbill.responses.masks import PLAIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchbill.responses.asks import Ask, Decided

DECISION: Final = "wb.decision"
_TEXTS: Final = ("account", "device", "ip", "session", "app", "waybill", "ticket", "reason")
_LISTS: Final = ("subjects", "fields")
_NUMBERS: Final = ("results", "page")
_OF_LOOK: Final = ("account", "device", "session", "app", "waybill", "subjects")
"""Columns of the look that its decision carries too, so that one row says all."""


def _text(value: dict[str, Any]) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def table_of(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows (column -> value) in the columns of SCHEMA; quicker for a few rows than Arrow's own way."""
    n = len(rows)
    held = {name for row in rows for name, value in row.items() if value is not None}
    arrays = [
        pa.array([row.get(field.name) for row in rows], field.type) if field.name in held else pa.nulls(n, field.type)
        for field in SCHEMA
    ]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def look_of(ask: Ask, identity: str, caller: str, now: int, *, enforced: bool = True) -> dict[str, Any]:
    """The look that an ask is, at `now` (epoch ms); one of a caller in shadow says so, because it shows all."""
    said = {"caller": caller, "request": ask.request} | ({} if enforced else {"enforced": False})
    row: dict[str, Any] = {
        "source": DECIDE_SOURCE, "id": identity, "decision": identity, "time": now, "arrival": 0, "kind": ask.kind,
        "extra": _text(said),
    }  # fmt: skip
    for name in _TEXTS:
        row[name] = getattr(ask, name) or None
    for name in _LISTS:
        row[name] = list(getattr(ask, name)) or None
    for name in _NUMBERS:
        row[name] = getattr(ask, name)
    return row


def decision_of(look: Mapping[str, Any], decided: Decided, more: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of the `wb.decision` of a look; `more` joins what `extra` says (settings, release, enforced ...)."""
    granted = decided.decision in ("allow", "mask", "ask_reason")
    plain = [name for name, level in decided.levels.items() if level == PLAIN] if decided.decision == "allow" else []
    told: dict[str, Any] = {"id": decided.id, "decision": decided.decision, "step": decided.step}
    if decided.levels:
        told["levels"] = dict(decided.levels)
    if decided.until:
        told["until"] = decided.until
    if decided.why:
        told["why"] = decided.why
    return {
        **{name: look.get(name) for name in _OF_LOOK}, "decision": decided.id, "time": look["time"], "fields": plain or None,
        "masked": not decided.reveals, "outcome": "success" if granted else "denied",
        "extra": _text(told | dict(more)),
    }  # fmt: skip

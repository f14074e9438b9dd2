from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rules.samples import columns
from watchbill.context.context import Context
from watchbill.context.reference import read_table
from watchbill.core.settings import Settings
from watchbill.rules.known import known_of
from watchbill.rules.taxonomy import KNOWN
from watchbill.rules.terms import RAW
from watchbill.rules.values import Values

SATURDAY_3_AM = 1_740_769_200_000  # 2025-03-01 03:00 in Shanghai
ROWS: list[dict[str, Any]] = [
    {"kind": "scan", "account": "E1", "waybill": "W1", "outlet": "O1", "status": "out_for_delivery", "assignee": "E1"},
    {"kind": "view", "account": "E1", "waybill": "W1", "ip": "10.1.0.1", "subjects": ["c1", "c2"], "fields": ["recipient.phone"]},
    {"kind": "view", "account": "E1", "waybill": "W2", "ip": "9.9.9.9"},
    {"kind": "export", "account": "E2", "results": 40, "subjects": ["c1"]},
    {"kind": "login", "account": "E1"},
    {"kind": "view", "device": "d1", "waybill": "W3"},
]  # fmt: skip


def facts_of(context: Context) -> dict[str, list[Any]]:
    rows = [{**row, "time": SATURDAY_3_AM + i, "arrival": SATURDAY_3_AM + i} for i, row in enumerate(ROWS)]
    batch = columns(rows)
    facts = context.prepare(batch)
    known = known_of(context, batch, facts, context.join(facts, batch.subjects))
    values = Values(batch.table, known)
    taken = values.take([(name, RAW) for name in KNOWN], np.arange(len(rows)))
    return {name: [row[i] for row in taken] for i, name in enumerate(KNOWN)}


def test_what_the_engine_knows_by_name(tmp_path: Path) -> None:
    context = Context(Settings())
    tables = {
        "accounts": "account,role,outlet\nE1,courier,O1\n",
        "networks": "network,place,kind\n10.1.0.0/16,desk,office\n",
    }
    for name, text in tables.items():
        (tmp_path / f"{name}.csv").write_text(text)
        context.apply(name, read_table(name, tmp_path / f"{name}.csv", "Asia/Shanghai", 100))
    said = facts_of(context)
    assert said["hour"] == [3.0] * 6
    assert said["weekday"] == [6.0] * 6
    assert said["role"][:5] == ["courier", "courier", "courier", "unknown", "courier"]
    assert said["home_outlet"][:5] == ["O1", "O1", "O1", None, "O1"]
    assert said["roster"][:5] == ["active", "active", "active", "unknown", "active"]
    assert said["place"] == [None, "desk", None, None, None, None]
    assert said["place_kind"] == [None, "office", None, None, None, None]
    assert said["customers"] == [None, 2.0, 0.0, 40.0, None, 0.0]
    assert said["explained"][:3] == [None, True, False]
    assert said["explained"][4] is None
    assert said["explained_by"][:3] == [None, "assigned", None]
    assert said["first"][1:3] == [True, True]
    assert said["canary"][1:3] == [False, False]


def test_without_tables_nobody_knows() -> None:
    said = facts_of(Context(Settings()))
    assert said["role"][:5] == ["unknown"] * 5
    assert said["home_outlet"] == [None] * 6
    assert said["place_kind"] == [None] * 6

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from watchbill.inquiry.controls import Controls, read_controls
from watchbill.ledger.frames import Frame, pack
from watchbill.ledger.journal import Journal
from watchbill.ledger.sealing import seal
from watchbill.records.schema import SCHEMA


def row(kind: str, extra: Any) -> dict[str, Any]:
    text = extra if isinstance(extra, str) else json.dumps(extra)
    return {"source": "wb", "id": kind + text, "time": 1, "arrival": 1, "kind": kind, "extra": text}


ROWS = [
    row("wb.reload", {"table": "parcels", "digest": "a"}),
    row("wb.reload", {"table": "accounts", "digest": "b"}),
    row("wb.source", {"source": "crm", "masking": "unknown"}),
    row("view", {"table": "parcels", "digest": "forged"}),
    row("wb.source", "not json"),
    row("wb.reload", {"table": "parcels", "digest": None}),
    row("wb.source", {"source": "crm", "masking": "known"}),
]


@pytest.mark.parametrize("sealed", [0, 1, 4, 7])
def test_they_are_read_from_the_journal_wherever_it_stands(tmp_path: Path, sealed: int) -> None:
    with Journal.open(tmp_path) as journal:
        journal.append(Frame(7, 1, pack(pa.Table.from_pylist(ROWS, schema=SCHEMA))))
        journal.commit()
    if sealed:
        seal(tmp_path, upto=sealed, final=True)
    parcels, accounts = [(0, "a"), (5, "")], [(1, "b")]
    masking = {"crm": [(2, True), (6, False)]}
    assert read_controls(tmp_path, 7) == Controls(parcels, masking, {"parcels": parcels, "accounts": accounts})
    before = Controls(parcels[:1], {"crm": masking["crm"][:1]}, {"parcels": parcels[:1], "accounts": accounts})
    assert read_controls(tmp_path, 5) == before


def test_what_was_in_force_at_a_seq() -> None:
    controls = Controls([(3, "a"), (8, "b")], {"crm": [(2, True), (6, False)]})
    assert controls.parcels_at(np.array([0, 3, 4, 8, 9])).tolist() == [-1, -1, 0, 0, 1]
    assert [controls.masking_unknown("crm", seq) for seq in (2, 3, 6, 7)] == [False, True, True, False]
    table = pa.table({"source": ["crm", "crm", "oms", None], "seq": [3, 7, 3, 3]})
    assert controls.unknown_rows(table).tolist() == [True, False, False, False]

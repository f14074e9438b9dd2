from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from watchbill.ledger.frames import Frame, pack
from watchbill.ledger.journal import Journal
from watchbill.ledger.sealing import seal
from watchbill.records.dedup import content_hashes
from watchbill.records.schema import SCHEMA
from watchbill.runners.lookup import sealed_lookup

DAY = 86_400_000
T = 1_700_006_400_000


def records(*rows: tuple[str, str, int]) -> pa.Table:
    said = [{"source": s, "id": i, "time": t, "arrival": t, "kind": "scan", "account": f"a{t}"} for s, i, t in rows]
    return pa.Table.from_pylist(said, schema=SCHEMA)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    tables = [
        records(("one", "a", T), ("two", "a", T + 1)),
        records(("one", "b", T + DAY)),
        records(("one", "c", T + 9 * DAY)),
    ]
    with Journal.open(tmp_path) as journal:
        for table in tables:
            journal.append(Frame(table.num_rows, table["arrival"][-1].as_py(), pack(table)))
            journal.commit()
    return tmp_path


def test_an_empty_home_knows_nothing(tmp_path: Path) -> None:
    assert sealed_lookup(tmp_path)("one", ["a", "b"], T) == [None, None]


@pytest.mark.parametrize("sealed", [0, 1, 3, 4])
def test_sealed_or_not_an_id_is_found_by_source_with_its_content(home: Path, sealed: int) -> None:
    if sealed:
        seal(home, upto=sealed, final=True)
    found = sealed_lookup(home)("one", ["b", "nobody", "a"], T + 2 * DAY)
    assert found == [*content_hashes(records(("one", "b", T + DAY))), None, *content_hashes(records(("one", "a", T)))]
    assert sealed_lookup(home)("two", ["a"], T + DAY) == content_hashes(records(("two", "a", T + 1))).tolist()
    assert sealed_lookup(home)("two", ["b"], T + 2 * DAY) == [None]

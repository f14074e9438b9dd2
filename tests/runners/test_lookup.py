"""The sealed index tells whether an id was here, by source, and with which content."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from runners.test_engine import batch, engine, look
from watchbill.ledger.reader import Ledger
from watchbill.ledger.sealing import seal
from watchbill.records.dedup import content_hashes
from watchbill.runners.lookup import sealed_lookup

FOREVER = 1 << 60


def test_sealed_and_unsealed_records_are_found_by_source_and_id(tmp_path: Path) -> None:
    one = engine(tmp_path)
    one.take(batch(look(1), look(2)))
    one.take(batch(look(1, account="of the hub"), source="hub"))
    one.checkpoint()
    seal(tmp_path, final=True)
    one.take(batch(look(3)))
    one.close()
    table = pa.concat_tables(list(Ledger(tmp_path).records()), promote_options="default")
    keys = zip(
        table.column("source").to_pylist(), table.column("id").to_pylist(), content_hashes(table).tolist(), strict=True
    )
    content = {(source, identity): value for source, identity, value in keys}
    lookup = sealed_lookup(tmp_path)
    assert lookup("desk", ["r2", "nowhere", "r1", "r3"], FOREVER) == [
        content["desk", "r2"], None, content["desk", "r1"], content["desk", "r3"]
    ]  # fmt: skip
    assert lookup("hub", ["r1", "r2"], FOREVER) == [content["hub", "r1"], None]
    assert content["hub", "r1"] != content["desk", "r1"]
    assert lookup("nobody", ["r1"], FOREVER) == [None]


def test_an_empty_home_knows_nothing(tmp_path: Path) -> None:
    assert sealed_lookup(tmp_path)("desk", ["a", "b"], FOREVER) == [None, None]

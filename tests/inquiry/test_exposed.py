from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from watchbill.inquiry.controls import Controls
from watchbill.inquiry.exposed import conform, expand, exposing, parcels_path, waybills_of


def test_absent_columns_are_null_and_only_open_successful_looks_expose() -> None:
    kinds = ["view", "print", "view", "login", "search"]
    table = conform(pa.table({"seq": range(5), "kind": kinds, "masked": [None, False, True, None, None],
                              "outcome": [None, "success", None, None, "denied"]}))  # fmt: skip
    assert table.column("subjects").null_count == 5
    assert exposing(table).column("seq").to_pylist() == [0, 1]


def test_laid_out(tmp_path: Path) -> None:
    path = parcels_path(tmp_path, "d")
    path.parent.mkdir()
    import pyarrow.parquet as pq

    none = pa.nulls(2, pa.int64())
    pq.write_table(
        pa.table(
            {"waybill": ["W1", "O'x"], "sender": ["a", "b"], "recipient": ["b", None], "from": none, "until": none}
        ),
        path,
    )
    controls = Controls([(0, "d")])
    looks = conform(pa.table({
        "seq": [1, 2, 3], "time": [1, 1, 1], "kind": ["view", "view", "search"], "waybill": ["W1", "W9", "O'x"], "results": [None, None, 3],
    }))  # fmt: skip
    laid = expand(looks, controls, tmp_path)
    assert laid.rows("select seq, subject from pairs order by 1, 2") == [(1, "a"), (1, "b"), (3, "b")]
    assert laid.rows("select seq from unresolved") == [(2,)]
    assert laid.rows("select seq, more from unnamed") == [(3, 2)]
    laid.db.close()
    assert waybills_of("b", controls, tmp_path) == ["O'x", "W1"]


def test_a_table_that_is_gone_resolves_nothing(tmp_path: Path) -> None:
    looks = conform(pa.table({"seq": [1], "time": [1], "kind": ["view"], "waybill": ["W1"]}))
    laid = expand(looks, Controls([(0, "gone")]), tmp_path)
    assert laid.one("select count(*) from unresolved") == 1
    laid.db.close()

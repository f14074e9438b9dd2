from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from watchbill.inquiry.controls import Controls
from watchbill.inquiry.exposed import COLUMNS, conform, expand, exposing, parcels_path, waybills_of
from watchbill.records.schema import DECIDE_SOURCE, SCHEMA


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


def decided(*looks: dict[str, object]) -> pa.Table:
    """A conformed table of looks that were asked about, logs and decisions."""
    base = {"time": 1, "kind": "view", "account": "a", "waybill": "W1", "subjects": ["p"]}
    rows = [{"seq": at, **base, **row} for at, row in enumerate(looks)]
    names = ("seq", *COLUMNS)
    return conform(pa.table({name: pa.array([row.get(name) for row in rows], None if name == "seq" else SCHEMA.field(name).type) for name in names}))  # fmt: skip


ASK = {"source": DECIDE_SOURCE, "decision": "d1", "fields": ["recipient.name", "recipient.phone"]}
TOLD = {
    "source": "watchbill",
    "kind": "wb.decision",
    "decision": "d1",
    "masked": False,
    "outcome": "success",
    "fields": ["recipient.phone"],
}


def test_a_look_that_was_asked_about_showed_what_was_decided() -> None:
    table = exposing(decided(ASK, TOLD))
    assert table.select(["seq", "fields"]).to_pylist() == [{"seq": 0, "fields": ["recipient.phone"]}]
    assert exposing(decided(ASK, TOLD | {"masked": True, "fields": None})).num_rows == 0
    assert exposing(decided(ASK, TOLD | {"outcome": "denied"})).num_rows == 0
    assert exposing(decided(ASK)).column("fields").to_pylist() == [ASK["fields"]]  # what nobody decided counts in full
    assert exposing(table).equals(table)


def test_the_desks_own_log_is_the_same_look_and_shows_what_it_says() -> None:
    log = {"source": "desk", "decision": "d1", "fields": ["recipient.name"]}
    table = exposing(decided(ASK, log, TOLD))
    assert table.column("look").to_pylist() == [0, 0]
    assert [sorted(row) for row in table.column("fields").to_pylist()] == [["recipient.phone"], ["recipient.name"]]
    masked = exposing(decided(ASK, log, TOLD | {"masked": True, "fields": None}))
    assert masked.column("seq").to_pylist() == [1]  # the desk showed it all the same
    other = exposing(decided(ASK, log | {"waybill": "W2"}, log | {"decision": "made-up"}, TOLD))
    assert other.column("look").to_pylist() == [0, 1, 2]

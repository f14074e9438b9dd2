"""Batches: refusing rows keeps everything else in line; merging keeps order, positions and texts."""

from __future__ import annotations

import numpy as np
import pytest

from watchbill.records.batch import Batch, cut_raw, merge, named, refuse_row
from watchbill.records.parse import parse_ndjson


def batch(count: int, identity: str = "f") -> Batch:
    lines = [b'{"time":1760000000000,"kind":"view","account":"E%d"}' % i for i in range(count)]
    return parse_ndjson(b"\n".join(lines), source="s", identity=identity).batch("s", {"at": count})


def test_refused_rows_keep_their_position_and_text() -> None:
    refused = batch(4).refuse({1: "because", 3: "why"}, todo="do")
    assert refused.table.column("account").to_pylist() == ["E0", "E2"]
    assert refused.derived is not None
    assert refused.derived.tolist() == [True, True]
    assert [(q.position, q.reason, q.todo) for q in refused.quarantined] == [
        ("f:2", "because", "do"),
        ("f:4", "why", "do"),
    ]
    assert "E3" in refused.quarantined[1].raw
    again = refused.refuse({1: "late"})
    assert again.quarantined[-1].position == "f:3"
    assert all(column.num_chunks == 1 for column in again.table.columns)


def test_refusing_nothing_changes_nothing() -> None:
    whole = batch(2)
    assert whole.refuse({}) is whole
    assert whole.keep(np.ones(2, dtype=np.bool_)) is whole


def test_merged_batches_know_where_each_row_stood() -> None:
    merged = merge([named(batch(2, "a"), "x.log"), named(batch(0, "b"), "y.log"), named(batch(3, "c"), "z.log")])
    assert merged.table.num_rows == 5
    assert merged.position == {"at": 3}
    left = merged.keep(np.array([False, True, False, False, True]))
    assert left.origin is not None
    assert [left.origin.position(i) for i in range(2)] == ["x.log@a:2", "z.log@c:3"]
    assert b"E2" in left.origin.raw(1)  # type: ignore[operator]
    assert left.table.column("id").to_pylist() == ["a:2", "c:3"]


def test_a_batch_without_origin_shows_the_record() -> None:
    bare = batch(1)
    bare.origin = None
    assert "E0" in refuse_row(bare, 0, "r").raw


@pytest.mark.parametrize("raw", [b"x" * 5000, "x" * 5000, "汉" * 5000, ("汉" * 5000).encode()])
def test_a_long_text_is_cut_and_says_so(raw: bytes | str) -> None:
    text = cut_raw(raw)
    assert len(text) <= 4096
    assert f"{len(raw)} " in text[-40:]


def test_a_short_text_is_whole() -> None:
    assert cut_raw(b"a\xff") == "a\ufffd"
    assert cut_raw("x" * 4096) == "x" * 4096
    assert "[cut, 99 bytes" in cut_raw(b"short", whole_bytes=99)

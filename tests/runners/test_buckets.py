"""Logical buckets: splitting a real state and joining it again loses nothing, and every row stands in its own bucket."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runners.small import small_world
from watchbill.context.reference import find_tables, read_table
from watchbill.core.hashing import bucket_of_item, hash_text, work_key
from watchbill.core.settings import Settings
from watchbill.records.columns import Columns, columns_of
from watchbill.records.parse import parse_ndjson
from watchbill.records.validate import stamp_arrival
from watchbill.runners.buckets import BUCKETS, bucket_of, join, split
from watchbill.runners.pipeline import Pipeline


def _fresh() -> Pipeline:
    pipeline = Pipeline(Settings())
    for name, path in sorted(find_tables(small_world() / "reference").items()):
        pipeline.apply(name, read_table(name, path, "Asia/Shanghai", 10**6))
    return pipeline


@pytest.fixture(scope="module")
def days() -> list[Columns]:
    """The small world's days as columns."""
    out, seq, clock = [], 0, 0
    for path in sorted((small_world() / "records").iterdir()):
        stamped = stamp_arrival(
            parse_ndjson(path.read_bytes(), source="s", identity=path.name).table, clock, live_now=None
        )
        out.append(columns_of(stamped.table, seq))
        seq, clock = seq + stamped.table.num_rows, stamped.arrival
    return out


def _equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        if isinstance(value, np.ndarray):
            assert np.array_equal(value, other[name]), name
        else:
            assert value == other[name], name


def test_split_and_joined_it_goes_on_the_same(days: list[Columns]) -> None:
    pipeline = _fresh()
    for day in days[:6]:
        pipeline.step(day)
    saved = pipeline.snapshot()
    blobs, shared = split(saved)
    assert len(blobs) == BUCKETS
    assert sum(1 for blob in blobs if blob["context/work.cells"].shape[0]) > BUCKETS // 2
    joined = join(blobs, shared)
    _equal(saved, joined)
    again = _fresh()
    again.restore(joined)
    for name, path in sorted(find_tables(small_world() / "reference").items()):
        again.apply(name, read_table(name, path, "Asia/Shanghai", 10**6))
    for day in days[6:]:
        one, other = pipeline.step(day), again.step(day)
        assert np.array_equal(one.verdicts.decision, other.verdicts.decision)
        assert np.array_equal(one.verdicts.score, other.verdicts.score)
        assert one.interventions == other.interventions


def test_a_work_key_stands_in_its_items_bucket() -> None:
    for number in range(500):
        item, owner = np.uint64(hash_text(f"W{number}")), np.uint64(hash_text(f"o{number}"))
        assert bucket_of_item(np.uint64(work_key(owner, item, 3))) == bucket_of_item(item) == int(item) >> 58


def test_buckets_are_fixed_for_ever() -> None:
    """A distributed engine's state outlives a release: these may never change."""
    assert (bucket_of("a1"), bucket_of("31000000001")) == (KNOWN["a1"], KNOWN["31000000001"])


KNOWN = {"a1": 35, "31000000001": 25}

"""Duplicates: exact for 7 days, asked of the index after; never dependent on how batches were cut."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchbill.records.dedup import Seen, content_hashes
from watchbill.records.limits import DAY_MS
from watchbill.records.parse import parse_ndjson

T = 1_760_000_000_000


def table(rows: list[dict[str, Any]]) -> pa.Table:
    base = {"time": T, "kind": "view", "account": "E"}
    text = "\n".join(json.dumps(base | row) for row in rows).encode()
    parsed = parse_ndjson(text, source="s", identity="f")
    assert not parsed.quarantined
    return parsed.table


def judge(seen: Seen, rows: list[dict[str, Any]], days: list[float], source: str = "s") -> str:
    arrival = (T + np.array(days) * DAY_MS).astype(np.int64)
    verdicts = seen.filter(source, table(rows), arrival)
    letters = np.where(verdicts.keep, "k", np.where(verdicts.same, "s", "c"))
    assert np.all(verdicts.keep.astype(int) + verdicts.same + verdicts.conflict == 1)
    return "".join(letters.tolist())


def test_same_other_and_new() -> None:
    seen = Seen()
    assert (
        judge(seen, [{"id": "a"}, {"id": "a"}, {"id": "a", "page": 1}, {"id": "b"}], [0, 0, 0, 0]) == "kscc"[:3] + "k"
    )
    assert judge(seen, [{"id": "a"}, {"id": "b", "page": 2}, {"id": "c"}], [1, 1, 1]) == "sck"
    assert judge(seen, [{"id": "a"}], [1], source="other") == "k"


DIFFERENT: list[dict[str, Any]] = [
    {"device": "E"}, {"subjects": ["a"]}, {"subjects": ["a", "b"]}, {"subjects": ["ab"]}, {"fields": ["a"]},
    {"masked": True}, {"masked": False}, {"zone": 1}, {"zone": 2}, {"shown": [{"subject": "a", "fields": ["x"]}]},
    {"shown": [{"subject": "a", "fields": ["y"]}]}, {"shown": [{"subject": "a"}]},
    {"shown": [{"subject": "a"}, {"subject": "a", "fields": ["x"]}]},
]  # fmt: skip


def test_every_field_counts_in_the_content() -> None:
    rows = table(DIFFERENT)
    together = content_hashes(rows)
    assert len(set(together.tolist())) == len(DIFFERENT)
    alone = [int(content_hashes(rows.slice(i, 1))[0]) for i in range(len(DIFFERENT))]
    assert together.tolist() == alone


def test_the_time_of_transport_is_no_content() -> None:
    one, other = content_hashes(table([{"received": T}, {"received": T + 5000}])).tolist()
    assert one == other


def test_derived_ids_cost_nothing() -> None:
    seen = Seen()
    rows = table([{"id": "a"}, {"id": "a"}])
    verdicts = seen.filter("s", rows, np.full(2, T), derived=np.array([True, True]))
    assert verdicts.keep.all()
    assert seen.snapshot()["keys"].shape == (0,)


def test_at_least_seven_days_then_the_index() -> None:
    asked: list[tuple[str, list[str]]] = []
    old = int(content_hashes(table([{}]))[0])

    def lookup(source: str, ids: list[str], _before: int) -> list[int | None]:
        asked.append((source, ids))
        return [{"a": old, "b": old + 1}.get(i) for i in ids]

    seen = Seen(lookup)
    assert judge(seen, [{"id": i} for i in "abc"], [0, 0, 0]) == "kkk"
    assert judge(seen, [{"id": "a"}], [7]) == "s"
    assert not asked
    assert judge(seen, [{"id": i} for i in "abcd"], [9] * 4) == "sckk"
    assert asked == [("s", ["a", "b", "c"])]
    assert judge(seen, [{"id": "c"}], [10]) == "s"
    assert judge(Seen.restore(seen.snapshot(), lookup), [{"id": "a"}, {"id": "d"}], [400, 400]) == "sk"


rows = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 1), st.sampled_from([0, 0, 1, 3, 9])), max_size=14)


@settings(deadline=None, max_examples=80)
@given(rows, st.integers(1, 5), st.booleans())
def test_cuts_and_restarts_change_nothing(script: list[tuple[str, int, int]], step: int, restart: bool) -> None:
    records = [{"id": i, "page": p} for i, p, _ in script]
    days = np.cumsum([d for *_, d in script]).tolist()
    truth: dict[str, int] = {}

    def lookup(_source: str, ids: list[str], _before: int) -> list[int | None]:
        return [truth.get(i) for i in ids]

    def run(size: int) -> str:
        truth.clear()
        seen, out = Seen(lookup), ""
        for at in range(0, len(records), size):
            part = records[at : at + size]
            out += judge(seen, part, days[at : at + size])
            for row, letter, content in zip(part, out[at:], content_hashes(table(part)).tolist(), strict=True):
                if letter == "k":
                    truth.setdefault(str(row["id"]), content)
            if restart:
                seen = Seen.restore(seen.snapshot(), lookup)
        return out

    one = run(1)
    assert run(step) == one
    expected, first = "", dict[str, int]()
    for i, p, _ in script:
        expected += "k" if i not in first else "s" if first[i] == p else "c"
        first.setdefault(i, p)
    assert one == expected


@pytest.mark.slow
def test_ten_million_duplicates_are_fast_and_flat() -> None:
    batch = table([{"id": str(i)} for i in range(1000)]).take(np.tile(np.arange(1000), 100)).combine_chunks()
    seen, kept = Seen(), 0
    arrival = np.full(batch.num_rows, T)
    seen.filter("s", batch, arrival)
    size = seen._cells.shape[0]
    start = time.thread_time()
    for _ in range(100):
        kept += int(seen.filter("s", batch, arrival).keep.sum())
    assert kept == 0
    assert seen._cells.shape[0] == size <= 1 << 18
    assert time.thread_time() - start < 30

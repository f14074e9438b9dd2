"""Sort orders and indexes equal plain Python's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from watchbill.core.hashing import hash_text
from watchbill.ledger import segments

NAMES = st.one_of(st.none(), st.sampled_from(["", "a", "b", "é", "E1", "E10", "\x00"]), st.text(max_size=3))


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, st.one_of(st.integers(-(2**60), 2**60), st.integers(0, 5))), max_size=30))
def test_sort_order_is_pythons(rows: list[tuple[str | None, int]]) -> None:
    names = pa.chunked_array([pa.array([name for name, _ in rows], pa.string())])
    table = pa.table({"account": names, "time": pa.array([time for _, time in rows], pa.int64())})
    expected = sorted(range(len(rows)), key=lambda at: (rows[at][0] is None, (rows[at][0] or "").encode(), rows[at][1]))
    assert segments.sort_order(table, ("account", "time", "absent")).tolist() == expected


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.lists(NAMES, max_size=3)), max_size=20), st.integers(0, 20))
def test_an_index_finds_every_row(tmp_path_factory: object, values: list[list[str | None] | None], cut: int) -> None:
    array = pa.array(values, pa.list_(pa.string()))
    column = pa.chunked_array([array.slice(0, cut), array.slice(min(cut, len(array)))])
    place = np.arange(len(values))[::-1].copy()
    path = Path(tmp_path_factory.getbasetemp()) / "column.idx"  # type: ignore[attr-defined]
    segments.write_index(path, segments.index_of(column, place))
    for wanted in {item for value in values for item in value or [] if item is not None} | {"nobody"}:
        found = segments.rows_of(path, hash_text(wanted)).tolist()
        assert found == sorted(len(values) - 1 - at for at, value in enumerate(values) if wanted in (value or []))


def test_rows_whose_hashes_share_high_bits_are_all_given(tmp_path: Path) -> None:
    high = 0xABCD_0000_0000_0000
    entries = np.array([high | 3, high | 0xFFFF_FFFF, high + (1 << 32)], dtype=np.uint64)
    segments.write_index(tmp_path / "a.idx", entries)
    assert segments.rows_of(tmp_path / "a.idx", high | 77).tolist() == [3, 0xFFFF_FFFF]
    assert segments.rows_of(tmp_path / "a.idx", high - 1).tolist() == []

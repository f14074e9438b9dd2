"""Verdicts in parts: in order whatever the pieces, and a disk that does not take one is told with the next."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from watchbill.runners import verdictparts as module
from watchbill.runners.pipeline import Verdicts
from watchbill.runners.verdictparts import VerdictParts

LABELS = ["", "own_outlet"]


def step(first: int, rows: int, looks: list[int]) -> tuple[Any, Verdicts]:
    """Columns and verdicts of a step over `rows` records, of which `looks` are looks."""
    table = pa.table({
        "source": ["desk"] * rows, "id": [f"r{first + n}" for n in range(rows)], "time": range(first, first + rows),
        "account": [None if n % 2 else "a" for n in range(rows)], "more": [1] * rows,
    })  # fmt: skip
    at = np.array(looks, np.int32)
    verdicts = Verdicts(
        at, (at % 3).astype(np.uint8), (at % 2).astype(np.int16), at.astype(np.float32), at.astype(np.float32)
    )
    return SimpleNamespace(table=table, seq=np.arange(first, first + rows)), verdicts


@pytest.mark.parametrize(("looks", "steps"), [(1, 1000), (1000, 2), (1000, 1000)])
def test_in_order_whatever_the_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: int, steps: int) -> None:
    monkeypatch.setattr(module, "_FLUSH_LOOKS", looks)
    monkeypatch.setattr(module, "_FLUSH_STEPS", steps)
    parts, seq = VerdictParts(tmp_path), 0
    for size in (3, 1, 4, 2):
        parts.add(*step(seq, size, [n for n in range(size) if n != 1]), LABELS)
        seq += size
    parts.close(0, seq)
    parts.close(seq, seq + 5)  # nothing was said there
    assert [path.name for path in tmp_path.iterdir()] == [f"verdicts-{0:020d}-{10:020d}.parquet"]
    rows = pq.read_table(next(tmp_path.iterdir()), partitioning=None).to_pylist()
    assert [row["seq"] for row in rows] == [0, 2, 3, 4, 6, 7, 8]
    assert [row["id"] for row in rows] == [f"r{row['seq']}" for row in rows]
    assert [row["decision"] for row in rows[:2]] == ["allow", "ask_reason"]
    assert [(row["explained"], row["reason"]) for row in rows if row["seq"] == 7] == [(True, "own_outlet")]


def test_a_disk_that_takes_nothing_is_told_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_FLUSH_LOOKS", 1)
    parts = VerdictParts(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(module.pq, "ParquetWriter", full)
        parts.add(*step(0, 1, [0]), LABELS)
        with pytest.raises(OSError, match="No space"):
            parts.add(*step(1, 1, [0]), LABELS)
    parts.drop()
    parts.add(*step(0, 1, [0]), LABELS)
    parts.close(0, 1)
    assert len(list(tmp_path.glob("*.parquet"))) == 1

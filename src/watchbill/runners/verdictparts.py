"""Verdicts as parts of verdicts.parquet: gathered from the steps, written beside the engine, closed at each checkpoint.

A decision at a time would cost more to write than to decide; and no decision waits for the disk: one thread writes a piece while
the next is gathered. What is not written yet comes again from the journal after a crash.
"""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from watchbill.responses.policy import DECISIONS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from watchbill.records.columns import Columns
    from watchbill.runners.pipeline import Verdicts

VERDICTS: Final = pa.schema(
    [
        pa.field("seq", pa.int64()),
        pa.field("source", pa.string()),
        pa.field("id", pa.string()),
        pa.field("time", pa.int64()),
        pa.field("account", pa.string()),
        pa.field("decision", pa.string()),
        pa.field("explained", pa.bool_()),
        pa.field("reason", pa.string()),
        pa.field("score", pa.float64()),
        pa.field("left", pa.float64()),
    ]
)
ROW_GROUP: Final = 1 << 18
_NAMED: Final = ["source", "id", "time", "account"]
_DECISIONS: Final = pa.array(DECISIONS, pa.string())
_FLUSH_LOOKS: Final = 1 << 14
_FLUSH_STEPS: Final = 1 << 11
"""Verdicts are written in pieces of so many looks, or of so many steps."""


@dataclass(slots=True)
class _Said:
    """Verdicts of one step that are not in the file yet; `named` are its records' names, `labels` is what `reason` indexes."""

    named: pa.Table
    seq: NDArray[np.int64]
    verdicts: Verdicts
    labels: list[str]


def verdict_table(said: Sequence[_Said]) -> pa.Table:
    """Rows of verdicts.parquet for the looks of some steps, all under the same labels."""
    sizes = np.array([one.named.num_rows for one in said])
    begins = np.repeat(np.cumsum(sizes) - sizes, [one.verdicts.row.shape[0] for one in said])
    rows = np.concatenate([one.verdicts.row for one in said]) + begins
    # one take over one chunk: a take for each of thousands of steps would hold up decisions for a second
    named = pa.concat_tables([one.named for one in said]).combine_chunks().take(pa.array(rows))
    seq, decision, reason, score, left = (
        np.concatenate(parts)
        for parts in zip(
            *(
                (
                    v.seq,
                    v.verdicts.decision,
                    v.verdicts.reason,
                    v.verdicts.score,
                    v.verdicts.left,
                )
                for v in said
            ),
            strict=True,
        )
    )
    decisions = pa.DictionaryArray.from_arrays(pa.array(decision.astype(np.int8)), _DECISIONS)
    codes = pa.array(reason.astype(np.int32), mask=reason == 0)
    reasons = pa.DictionaryArray.from_arrays(codes, pa.array(said[0].labels, pa.string()))
    return pa.Table.from_arrays(
        [
            pa.array(seq), *(named.column(i).cast(VERDICTS.field(i + 1).type) for i in range(4)),
            decisions.cast(pa.string()), pa.array(reason > 0), reasons.cast(pa.string()),
            pa.array(score.astype(np.float64)), pa.array(left.astype(np.float64)),
        ],
        schema=VERDICTS,
    )  # fmt: skip


class VerdictParts:
    """The running part in `folder`. `add` and `close` raise OSError when the disk did not take what was added before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open = folder / "open.tmp"
        self._writer: pq.ParquetWriter | None = None
        self._said: list[_Said] = []
        self._looks = 0
        self._pool = ThreadPoolExecutor(1, "verdicts")
        self._written: Future[None] | None = None

    def add(self, columns: Columns, verdicts: Verdicts, labels: list[str]) -> None:
        """Gather the verdicts of a step; `labels` is what their `reason` indexes."""
        if not verdicts.row.shape[0]:
            return
        if self._said and self._said[0].labels is not labels:
            self._flush()
        self._said.append(_Said(columns.table.select(_NAMED), columns.seq[verdicts.row], verdicts, labels))
        self._looks += verdicts.row.shape[0]
        if self._looks >= _FLUSH_LOOKS or len(self._said) >= _FLUSH_STEPS:
            self._flush()

    def close(self, first: int, end: int) -> None:
        """Finish the running part as the one of seqs [first, end), durable; nothing where nothing was added."""
        self._flush()
        self._settle()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            descriptor = os.open(self._open, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._open.rename(self.folder / f"verdicts-{first:020d}-{end:020d}.parquet")

    def drop(self) -> None:
        """Let go of the running part."""
        self._said, self._looks = [], 0
        with suppress(OSError):
            self._settle()
        if self._writer is not None:
            with suppress(OSError):
                self._writer.close()
            self._writer = None

    def _flush(self) -> None:
        said, self._said, self._looks = self._said, [], 0
        if said:
            self._settle()
            self._written = self._pool.submit(self._write, said)

    def _settle(self) -> None:
        """Until the last piece is written."""
        written, self._written = self._written, None
        if written is not None:
            written.result()

    def _write(self, said: Sequence[_Said]) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._open, VERDICTS, compression="zstd", compression_level=1)
        self._writer.write_table(verdict_table(said), row_group_size=ROW_GROUP)

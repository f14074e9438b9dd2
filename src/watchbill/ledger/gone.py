"""Which sealed records lost their payload: one small file beside each segment that has such, counted by the manifest.

`<stem>.gone`: `WBGN`, version (4 bytes), how many were dropped whole (8), how many were redacted (8), then their seqs, 8 bytes
each, ascending in each part; little-endian. The rows stay where they were, so that indexes and readers go on: a dropped one says
`wb.gone`, a redacted one holds what was not about the subject. Neither can be hashed to its leaf any more.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from watchbill.core.errors import LedgerError
from watchbill.ledger.canonical import SEQ

if TYPE_CHECKING:
    from watchbill.ledger.manifest import Segment

ENDING: Final = "gone"
KIND: Final = "wb.gone"
SOURCE: Final = "watchbill"
_HEAD: Final = struct.Struct("<8sQQ")
_MAGIC: Final = b"WBGN\x01\x00\x00\x00"


class Gone(NamedTuple):
    """Seqs without their payload, int64, ascending: dropped whole, and redacted."""

    dropped: NDArray[np.int64]
    redacted: NDArray[np.int64]

    @property
    def seqs(self) -> NDArray[np.int64]:
        """Both, ascending."""
        return np.union1d(self.dropped, self.redacted)


def read_gone(home: Path, segment: Segment) -> Gone:
    """What is gone of a segment.

    Raises:
        LedgerError: the file is missing or not whole.
    """
    if ENDING not in segment.digests:
        return Gone(np.zeros(0, np.int64), np.zeros(0, np.int64))
    path = segment.path(home, ENDING)
    try:
        raw = path.read_bytes()
        magic, dropped, redacted = _HEAD.unpack_from(raw)
    except (OSError, struct.error) as error:
        raise LedgerError("the list of erased records is missing", where=path.name, todo="Run verify") from error
    seqs = np.frombuffer(raw[_HEAD.size :], "<i8").astype(np.int64)
    if magic != _MAGIC or len(seqs) != dropped + redacted:
        raise LedgerError("the list of erased records is not whole", where=path.name, todo="Run verify")
    return Gone(seqs[:dropped], seqs[dropped:])


def gone_bytes(gone: Gone) -> bytes:
    """The file's content."""
    seqs = np.concatenate([gone.dropped, gone.redacted]).astype("<i8")
    return _HEAD.pack(_MAGIC, len(gone.dropped), len(gone.redacted)) + seqs.tobytes()


def stubs(table: pa.Table, seqs: NDArray[np.int64]) -> pa.Table:
    """As many rows of the same form that tell nothing but when the record arrived; `table` holds the records of these seqs."""
    arrival = table.column("arrival")
    told = {
        "source": pa.repeat(SOURCE, table.num_rows), "id": pa.array([f"{KIND}:{seq}" for seq in seqs.tolist()], pa.string()),
        "time": arrival, "arrival": arrival, "kind": pa.repeat(KIND, table.num_rows),
        "extra": pa.repeat("{}", table.num_rows), SEQ: pa.array(seqs),
    }  # fmt: skip
    columns = [told.get(field.name, pa.nulls(table.num_rows, field.type)) for field in table.schema]
    return pa.table(columns, schema=table.schema)


def replaced(table: pa.Table, rows: NDArray[np.int64], instead: pa.Table) -> pa.Table:
    """The table with other rows at these places."""
    if not len(rows):
        return table
    order = np.arange(table.num_rows)
    order[rows] = table.num_rows + np.arange(len(rows))
    return pa.concat_tables([table, instead.cast(table.schema)]).take(pa.array(order)).combine_chunks()

"""Looks of devices that name no account: a scanner that shows customers to whoever holds it. Read from the complete record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from watchbill.inquiry.exposed import COLUMNS, conform, exposing
from watchbill.ledger.canonical import SEQ
from watchbill.ledger.reader import Span

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from watchbill.ledger.reader import Ledger

DEVICE: Final = "device"


def lone_looks(ledger: Ledger, devices: Sequence[str], begin: int, end: int, upto: int | None = None) -> pa.Table:
    """Looks that showed something and name one of these devices but no account, with time in [begin, end), epoch ms.

    Returns:
        The columns of `exposed.conform`, seq and device; in order of seq.
    """
    wanted = pa.array(sorted(devices), pa.string())
    parts = [_with_device(pa.table({SEQ: pa.array([], pa.int64())}))]
    for part in ledger.records([*COLUMNS, DEVICE], Span(None, begin, end), upto):
        if part.num_rows and DEVICE in part.column_names:
            mine = pc.and_(pc.is_null(part.column("account")), pc.is_in(part.column(DEVICE), value_set=wanted))
            parts.append(_with_device(part.filter(mine)))
    return exposing(pa.concat_tables(parts)).sort_by(SEQ)


def _with_device(table: pa.Table) -> pa.Table:
    devices = table.column(DEVICE) if DEVICE in table.column_names else pa.nulls(table.num_rows, pa.string())
    return conform(table).append_column(DEVICE, devices.cast(pa.string()))


def explained_lone(home: Path) -> NDArray[np.int64]:
    """Seqs of looks without an account that work explained, from the verdict parts."""
    parts = sorted((home / "parts").glob("verdicts-*.parquet"))
    if not parts:
        return np.zeros(0, np.int64)
    wanted = pc.field("account").is_null() & pc.field("explained")
    table = ds.dataset([str(part) for part in parts]).to_table(columns=["seq"], filter=wanted)
    return np.asarray(table.column("seq"), np.int64)

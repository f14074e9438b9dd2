from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from watchbill.context.context import Context
from watchbill.context.reference import TABLES, _type_of
from watchbill.records.columns import Columns, columns_of
from watchbill.records.schema import SCHEMA


def table_of(records: list[dict[str, Any]]) -> pa.Table:
    """Canonical records from short dictionaries; arrival = the highest `received` (else `time`) so far."""
    rows, clock = [], 0
    for number, record in enumerate(records):
        clock = max(clock, record.get("received", record["time"]))
        rows.append({"source": "t", "id": f"r{number}", "arrival": clock, **record})
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def reference(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    """A reference table as `read_table` gives it."""
    required, optional = TABLES[name]
    return pa.table({c: pa.array([row.get(c) for row in rows], type=_type_of(c)) for c in (*required, *optional)})


def join(context: Context, columns: Columns, edges: list[int] | None = None) -> NDArray[np.void]:
    """All events of the records, cut where the context asks for it and at `edges`."""
    cuts = sorted({0, *context.cuts(columns), *(edges or [])})
    out = []
    for start, stop in itertools.pairwise(cuts):
        piece = columns.cut(start, stop)
        events = context.join(context.prepare(piece), piece.subjects).copy()
        events["row"] += start
        out.append(events)
    return np.concatenate(out)


@pytest.fixture
def events_of() -> Callable[..., NDArray[np.void]]:
    """events_of(context, records, edges=None, first_seq=0) -> EVENT rows."""

    def run(
        context: Context, records: list[dict[str, Any]], edges: list[int] | None = None, first_seq: int = 0
    ) -> NDArray[np.void]:
        return join(context, columns_of(table_of(records), first_seq), edges)

    return run


@pytest.fixture
def tables() -> Callable[[str, list[dict[str, Any]]], pa.Table]:
    return reference


@pytest.fixture
def columns_of_rows() -> Callable[[list[dict[str, Any]]], Columns]:
    """Columns of short dictionaries."""
    return lambda rows: columns_of(table_of(rows), 0)

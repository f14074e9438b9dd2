"""Records that come as Arrow tables (Parquet, Arrow IPC, a mapping's result): converted, checked, refused by row."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from watchbill.records.convert import convert
from watchbill.records.limits import DEFAULT_LIMITS, RecordLimits
from watchbill.records.parse import Parsed, complete, validated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.records.batch import Origin


@dataclass(frozen=True)
class RowOrigin:
    """Where rows of a typed file stood: its identity and row numbers int64[n]; `table` is what they were sent as."""

    identity: str
    numbers: NDArray[np.int64]
    rows: NDArray[np.int64]
    table: pa.Table = field(repr=False)

    def position(self, row: int) -> str:
        """`<identity>:<row>`."""
        return f"{self.identity}:{self.numbers[row]}"

    def raw(self, row: int) -> str:
        """The row as JSON, values that JSON lacks as text."""
        try:
            record = self.table.slice(int(self.rows[row]), 1).to_pylist()[0]
        except (ValueError, pa.ArrowException):
            return "(a row that cannot be shown)"
        return json.dumps({k: v for k, v in record.items() if v is not None}, ensure_ascii=False, default=str)

    def take(self, rows: NDArray[np.int64]) -> RowOrigin:
        """The origin of these rows."""
        return RowOrigin(self.identity, self.numbers[rows], self.rows[rows], self.table)


def parse_table(
    raw: pa.Table,
    *,
    source: str,
    identity: str,
    first_row: int = 1,
    limits: RecordLimits = DEFAULT_LIMITS,
    origin: Origin | None = None,
    numbers: NDArray[np.int64] | None = None,
) -> Parsed:
    """Convert and validate rows that come with types.

    Args:
        raw: n rows; other columns than the contract's go to `extra`.
        source: the source's name.
        identity: identity of the file (or request) that the rows stand in.
        first_row: number of the first row in it.
        limits: limits on texts, lists and times.
        origin: where the rows stood, when it is not simply the row's number.
        numbers: int64[n]: the rows' numbers, when they are not consecutive.

    Returns:
        Records in `SCHEMA` (arrival 0) and the refused rows, each with `<identity>:<row>` as its position.
    """
    n = raw.num_rows
    if numbers is None:
        numbers = np.arange(first_row, first_row + n, dtype=np.int64)
    if origin is None:
        origin = RowOrigin(identity, numbers, np.arange(n, dtype=np.int64), raw)
    if n == 0:
        raw = raw.select([])
    table, reasons = convert(raw)
    full, derived = complete(table, source, identity, numbers)
    return validated(Parsed(full, [], origin, derived, n), source, limits, reasons)

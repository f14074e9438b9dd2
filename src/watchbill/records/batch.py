"""What a source hands on: a batch of records in canonical columns, what it refused, and where to resume afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
import pyarrow as pa

from watchbill.records.limits import RAW_CHARACTERS_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

TODO = "Correct the source or its mapping, then run `watchbill quarantine retry`"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One refused record: where it stood, why, what to do, and its text (cut at 4096 characters, which it then says)."""

    source: str
    position: str
    reason: str
    todo: str
    raw: str


def cut_raw(raw: bytes | str, *, whole_bytes: int | None = None) -> str:
    """The text of a refused record for people: invalid UTF-8 replaced, cut with a note that says how long it was."""
    head = raw[: RAW_CHARACTERS_MAX * 4] if isinstance(raw, bytes) else raw
    text = head.decode("utf-8", "replace") if isinstance(head, bytes) else head
    total = len(raw) if whole_bytes is None else whole_bytes
    if len(text) <= RAW_CHARACTERS_MAX and total <= len(head):
        return text
    note = f" ... [cut, {total} {'bytes' if isinstance(raw, bytes) else 'characters'} in all]"
    return text[: RAW_CHARACTERS_MAX - len(note)] + note


class Origin(Protocol):
    """Where each row of a table came from, so that a row refused later still has its position and its text."""

    def position(self, row: int) -> str:
        """Source position of the row, as `<file identity>:<line>`."""

    def raw(self, row: int) -> bytes | str:
        """The row as it was sent (or as near as the format allows)."""

    def take(self, rows: NDArray[np.int64]) -> Self:
        """The origin of these rows."""


@dataclass
class Batch:
    """Records of one source in order, in the columns of `SCHEMA` (one chunk each).

    `arrival` is 0 until it is stamped. `position` is JSON-able and says where to resume after this batch. `derived`
    is true where the id was made from the position (bool[n]); such rows cannot be sent twice.
    """

    table: pa.Table
    source: str
    position: dict[str, object]
    quarantined: list[Quarantined] = field(default_factory=list)
    derived: NDArray[np.bool_] | None = None
    origin: Origin | None = None

    def refuse(self, reasons: Mapping[int, str], *, todo: str = TODO) -> Batch:
        """This batch without the rows in `reasons` (row -> why), which are quarantined instead."""
        if not reasons:
            return self
        rows = sorted(reasons)
        refused = [refuse_row(self, row, reasons[row], todo) for row in rows]
        keep = np.ones(self.table.num_rows, dtype=np.bool_)
        keep[rows] = False
        kept = self.keep(keep)
        kept.quarantined = [*self.quarantined, *refused]
        return kept

    def keep(self, mask: NDArray[np.bool_]) -> Batch:
        """This batch with only the rows where `mask` (bool[n]) is true."""
        if bool(mask.all()):
            return self
        rows = np.flatnonzero(mask)
        return Batch(
            table=self.table.take(rows).combine_chunks(),
            source=self.source,
            position=self.position,
            quarantined=self.quarantined,
            derived=None if self.derived is None else self.derived[rows],
            origin=None if self.origin is None else self.origin.take(rows),
        )


@dataclass(frozen=True)
class _Named:
    """An origin whose positions begin with a name that people know, as `access.log@2f9da4e8e5b8bd82:15`."""

    name: str
    origin: Origin

    def position(self, row: int) -> str:
        return f"{self.name}@{self.origin.position(row)}"

    def raw(self, row: int) -> bytes | str:
        return self.origin.raw(row)

    def take(self, rows: NDArray[np.int64]) -> _Named:
        return _Named(self.name, self.origin.take(rows))


def named(batch: Batch, name: str) -> Batch:
    """The batch with `name@` before each position (made ids keep the bare identity, which survives a new name)."""
    batch.origin = None if batch.origin is None else _Named(name, batch.origin)
    batch.quarantined = [replace(entry, position=f"{name}@{entry.position}") for entry in batch.quarantined]
    return batch


@dataclass(frozen=True)
class _Origins:
    """Origins laid end to end: `ends` int64[parts] are the row counts added up; `rows` picks among them."""

    parts: list[Origin]
    ends: NDArray[np.int64]
    rows: NDArray[np.int64]

    def _at(self, row: int) -> tuple[Origin, int]:
        whole = int(self.rows[row])
        part = int(np.searchsorted(self.ends, whole, side="right"))
        return self.parts[part], whole - (int(self.ends[part - 1]) if part else 0)

    def position(self, row: int) -> str:
        origin, inner = self._at(row)
        return origin.position(inner)

    def raw(self, row: int) -> bytes | str:
        origin, inner = self._at(row)
        return origin.raw(inner)

    def take(self, rows: NDArray[np.int64]) -> _Origins:
        return _Origins(self.parts, self.ends, self.rows[rows])


def merge(batches: Sequence[Batch]) -> Batch:
    """Batches of one source as one, in order; the position is the last one's. At least one is given."""
    if len(batches) == 1:
        return batches[0]
    last = batches[-1]
    counts = np.array([batch.table.num_rows for batch in batches], dtype=np.int64)
    origins = [batch.origin for batch in batches if batch.origin is not None]
    deriveds = [batch.derived for batch in batches if batch.derived is not None]
    whole = len(origins) == len(deriveds) == len(batches)
    return Batch(
        table=pa.concat_tables([batch.table for batch in batches]).combine_chunks(),
        source=last.source,
        position=last.position,
        quarantined=[entry for batch in batches for entry in batch.quarantined],
        derived=np.concatenate(deriveds) if whole else None,
        origin=_Origins(origins, np.cumsum(counts), np.arange(counts.sum())) if whole else None,
    )


def refuse_row(batch: Batch, row: int, reason: str, todo: str = TODO) -> Quarantined:
    """The quarantine entry for one row of a batch."""
    if batch.origin is None:
        record = batch.table.slice(row, 1).to_pylist()[0]
        return Quarantined(batch.source, str(record["id"]), reason, todo, cut_raw(str(record)))
    position = batch.origin.position(row)
    return Quarantined(batch.source, position, reason, todo, cut_raw(batch.origin.raw(row)))


def distinct_reasons(rows: Sequence[int], codes: Sequence[int], texts: Sequence[str]) -> dict[int, str]:
    """Row -> reason text, from parallel rows and codes (index into `texts`)."""
    return {int(row): texts[code] for row, code in zip(rows, codes, strict=True)}

"""Values that rules compare, from a batch of records and what the engine knows of it: as columns, or as rows.

Both ways give the same values in the same forms (`terms.RAW`, `FOLD`, `NUM`); tests hold them to it. Nothing is made that no
rule in force reads.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from watchbill.rules.taxonomy import BOOL, DEFAULTS, EXTRA, KNOWN, NUMBER, TEXT, WITH_OUTCOME
from watchbill.rules.terms import FOLD, NUM, RAW, fold, is_list, number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Slot = tuple[str, str]
"""(field, form)."""


class Fact(NamedTuple):
    """One fact about n records: `values` (numbers, flags, or codes of `names`), null where `absent`."""

    values: NDArray[Any]
    absent: NDArray[np.bool_]
    names: Sequence[str] | None = None

    def array(self) -> pa.Array:
        """As an Arrow array: text, bool or float64."""
        if self.names is None:
            return pa.array(self.values, mask=self.absent)
        codes = pa.array(self.values.astype(np.int64), mask=self.absent)
        return pa.array(self.names, pa.string()).take(codes)

    def listed(self) -> list[Any]:
        """As plain Python values: for a few rows that is ten times as fast."""
        values, absent = self.values.tolist(), self.absent.tolist()
        if self.names is None:
            return [None if none else value for value, none in zip(values, absent, strict=True)]
        return [None if none else self.names[value] for value, none in zip(values, absent, strict=True)]


@dataclass
class Known:
    """What the engine knows of the records of a batch, by field of `taxonomy.KNOWN`: facts, made when a rule reads them."""

    makers: dict[str, Callable[[], Fact]] = field(default_factory=dict)
    made: dict[str, Fact] = field(default_factory=dict)

    def get(self, name: str, n: int) -> Fact:
        """The fact, of n records; all null when nobody knows it."""
        if name not in self.made:
            maker = self.makers.get(name)
            kinds: dict[str, type] = {TEXT: np.int64, NUMBER: np.float64, BOOL: np.bool_}
            nothing = Fact(np.zeros(n, kinds[KNOWN[name]]), np.ones(n, np.bool_), [""] if KNOWN[name] == TEXT else None)
            self.made[name] = maker() if maker is not None else nothing
        return self.made[name]


class Values:
    """Columns of a batch by slot, each made once.

    Args:
        table: n records in `records.schema.SCHEMA`.
        known: what the engine knows of them.
    """

    def __init__(self, table: pa.Table, known: Known) -> None:
        self.table, self.known = table, known
        self.rows = table.num_rows
        self._slots: dict[Slot, pa.Array] = {}

    def column(self, slot: Slot) -> pa.Array:
        """Arrow array of n values: text or bool (raw), folded text, float64; lists keep their shape."""
        if slot not in self._slots:
            name, form = slot
            raw = self._raw(name) if form == RAW else self.column((name, RAW))
            if form == FOLD:
                raw = folded_list(raw) if is_list(name) else folded(raw)
            elif form == NUM:
                raw = _numbers(raw)
            self._slots[slot] = raw
        return self._slots[slot]

    def _raw(self, name: str) -> pa.Array:
        if name in KNOWN:
            return self.known.get(name, self.rows).array()
        if name.startswith(EXTRA):
            return extras(_whole(self.table.column("extra")), name.removeprefix(EXTRA))
        array = _whole(self.table.column(name))
        if name == "masked":
            looks = pc.is_in(_whole(self.table.column("kind")), pa.array(WITH_OUTCOME[:-1]))
            return pc.if_else(pc.and_(pc.is_null(array), looks), pa.scalar(False), array)
        if name in DEFAULTS:
            meant = pc.is_in(_whole(self.table.column("kind")), pa.array(WITH_OUTCOME))
            return pc.if_else(pc.and_(pc.is_null(array), meant), pa.scalar(DEFAULTS[name]), array)
        return array

    def take(self, slots: Sequence[Slot], rows: NDArray[np.int64]) -> list[tuple[Any, ...]]:
        """Rows of plain Python values, one tuple of these slots each."""
        if not slots:
            return [()] * rows.shape[0]
        if rows.shape[0] <= _FEW:
            return self._take_few(slots, rows)
        wanted = pa.array(rows)
        lists = [self.column(slot).take(wanted).to_pylist() for slot in slots]
        return list(zip(*lists, strict=True))

    def _take_few(self, slots: Sequence[Slot], rows: NDArray[np.int64]) -> list[tuple[Any, ...]]:
        """As `take`, without Arrow's cost a call: what a single decision waits for."""
        at = rows.tolist()
        cells: dict[Slot, list[Any]] = {}
        kinds: list[str] | None = None
        for slot in slots:
            name, form = slot
            if (name, RAW) not in cells:
                if name in KNOWN:
                    listed = self.known.get(name, self.rows).listed()
                    cells[name, RAW] = [listed[row] for row in at]
                else:
                    column = self.table.column("extra" if name.startswith(EXTRA) else name)
                    cells[name, RAW] = [column[row].as_py() for row in at]
                    if name.startswith(EXTRA):
                        cells[name, RAW] = [_extra(text, name.removeprefix(EXTRA)) for text in cells[name, RAW]]
                    elif name in _DEFAULTED:
                        kinds = kinds or [self.table.column("kind")[row].as_py() for row in at]
                        cells[name, RAW] = _defaulted(name, cells[name, RAW], kinds)
            if form != RAW and slot not in cells:
                cells[slot] = [_formed(value, form) for value in cells[name, RAW]]
        return list(zip(*(cells[slot] for slot in slots), strict=True))


_FEW: Final = 32
_DEFAULTED: Final = ("masked", *DEFAULTS)


def _defaulted(name: str, cells: list[Any], kinds: list[str]) -> list[Any]:
    value, meant = (False, WITH_OUTCOME[:-1]) if name == "masked" else (DEFAULTS[name], WITH_OUTCOME)
    return [value if cell is None and kind in meant else cell for cell, kind in zip(cells, kinds, strict=True)]


def _formed(value: Any, form: str) -> Any:
    if value is None:
        return None
    if form == FOLD:
        return [fold(one) if one is not None else None for one in value] if isinstance(value, list) else fold(value)
    return number_of(value) if isinstance(value, str) else float(value)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    chunks = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return chunks.combine_chunks() if isinstance(chunks, pa.ChunkedArray) else chunks


def folded(array: pa.Array) -> pa.Array:
    """Text with its case folded; ASCII by Arrow, other text once a distinct value by `terms.fold`."""
    if array.null_count == len(array):
        return array
    if pc.all(pc.string_is_ascii(array)).as_py():
        return pc.ascii_lower(array)
    encoded = array.dictionary_encode()
    words = pa.array([fold(word) for word in encoded.dictionary.to_pylist()], pa.string())
    return words.take(encoded.indices)


def folded_list(array: pa.Array) -> pa.Array:
    """Lists of text with their case folded."""
    flat = pc.list_flatten(array)
    lengths = pc.fill_null(pc.list_value_length(array), 0)
    ends = np.concatenate([[0], np.cumsum(np.asarray(lengths))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), folded(flat), mask=pc.is_null(array))


def _numbers(array: pa.Array) -> pa.Array:
    if pa.types.is_string(array.type):
        encoded = array.dictionary_encode()
        words = pa.array([number_of(word) for word in encoded.dictionary.to_pylist()], pa.float64())
        return words.take(encoded.indices)
    return array.cast(pa.float64(), safe=False)


def extras(array: pa.Array, name: str) -> pa.Array:
    """The text of one unknown field (numbers and the like as JSON writes them); null where it is absent or null."""
    if array.null_count == len(array):
        return pa.nulls(len(array), pa.string())
    return pa.array([_extra(text, name) for text in array.to_pylist()], pa.string())


def _extra(text: str | None, name: str) -> str | None:
    if not text:
        return None
    value = json.loads(text).get(name)
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)

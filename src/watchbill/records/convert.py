"""Typed or text columns (Parquet, Arrow, CSV, a mapping's result) to the contract's columns; bad cells named by row.

A store that types its columns may hold whole numbers where the contract wants text, or timestamps with a zone where it
wants milliseconds; both say the same. A timestamp without a zone is refused: eight hours are no rounding error.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchbill.records.jsonrow import Refused, rfc3339_ms, shown_items, strict_json, text_items
from watchbill.records.kernel_jsonscan import INTS, LISTS, TEXTS
from watchbill.records.schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_TIMES: Final = frozenset(INTS[:3])
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}\Z")
_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}
_ESCAPED: Final = '["\\\\\\x00-\\x1f]'
_TEXT_LIST: Final = pa.list_(pa.string())


class Cells:
    """Reasons against rows, the first of each row."""

    def __init__(self) -> None:
        self.reasons: dict[int, str] = {}

    def refuse(self, bad: NDArray[np.bool_] | NDArray[np.int64], reason: str) -> None:
        """Note `reason` for the rows in `bad` (mask or indices)."""
        rows = np.flatnonzero(bad) if bad.dtype == np.bool_ else bad
        for row in rows.tolist():
            self.reasons.setdefault(row, reason)


def convert(raw: pa.Table) -> tuple[pa.Table, dict[int, str]]:
    """The contract's columns of `raw`, with all others folded into `extra`.

    Args:
        raw: n rows; any columns, any types.

    Returns:
        A table of the columns that were there (types of `SCHEMA`, empty texts null), and row -> reason for rows with
        a cell that does not fit.
    """
    cells = Cells()
    columns: dict[str, pa.Array] = {}
    unknown: dict[str, pa.Array] = {}
    for name, chunked in zip(raw.column_names, raw.columns, strict=True):
        array = _plain(chunked.combine_chunks() if chunked.num_chunks != 1 else chunked.chunk(0))
        if name in _CONVERTERS and name not in columns:
            columns[name] = _CONVERTERS[name](name, array, cells)
        elif array.null_count < len(array):
            unknown[name] = array
    columns["extra"] = _extra(unknown, raw.num_rows, cells)
    return pa.table(columns), cells.reasons


def _plain(array: pa.Array) -> pa.Array:
    """Dictionaries and views resolved."""
    if pa.types.is_dictionary(array.type):
        return array.cast(array.type.value_type)
    if isinstance(array, pa.ExtensionArray):
        return array.storage
    return array


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary(kind)  # CSV fields, and strings of writers that do not say UTF-8
        or pa.types.is_large_binary(kind)
    )


def _unfit(name: str, array: pa.Array, cells: Cells, want: str) -> pa.Array:
    cells.refuse(np.asarray(array.is_valid()), f"{name} must be {want}, not {array.type}")
    return pa.nulls(len(array), SCHEMA.field(name).type)


def utf8(array: pa.Array, name: str, cells: Cells) -> pa.Array:
    """A text or binary column as valid UTF-8 strings; bad ones are refused and null."""
    as_binary = array.cast(pa.binary())
    as_text = pa.Array.from_buffers(
        pa.string(), len(as_binary), as_binary.buffers(), as_binary.null_count, as_binary.offset
    )
    try:
        as_text.validate(full=True)
    except pa.ArrowInvalid:
        values, bad = [], []
        for row, value in enumerate(as_binary.to_pylist()):
            try:
                values.append(None if value is None else value.decode())
            except UnicodeDecodeError:
                values.append(None)
                bad.append(row)
        cells.refuse(np.array(bad, dtype=np.int64), f"{name} holds invalid UTF-8")
        as_text = pa.array(values, pa.string())
    return as_text


def _text(name: str, array: pa.Array, cells: Cells) -> pa.Array:
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), pa.string())
    if pa.types.is_integer(array.type):
        return array.cast(pa.string())
    if not _is_text(array.type):
        return _unfit(name, array, cells, "text")
    text = utf8(array, name, cells)
    empty = np.asarray(pc.equal(pc.binary_length(text), 0).fill_null(False))
    return pc.if_else(pa.array(~empty), text, None) if empty.any() else text


def _whole(name: str, array: pa.Array, cells: Cells) -> pa.Array:
    kind = array.type
    if pa.types.is_null(kind):
        return pa.nulls(len(array), pa.int64())
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        value = np.asarray(array.cast(pa.float64(), safe=False).fill_null(0.0))
        bad = ~(np.isfinite(value) & (np.abs(value) < 2.0**63) & (np.floor(value) == value))
        cells.refuse(bad, f"{name} must be a whole number")
        good = pc.if_else(pa.array(~bad), array, None) if bad.any() else array
        return good.cast(pa.int64(), safe=False)
    if _is_text(kind):
        return _each_text(name, array, cells, _whole_of, "a whole number", pa.int64())
    return _unfit(name, array, cells, "a whole number")


def _whole_of(text: str) -> int | None:
    return int(text) if _WHOLE.match(text) else None


def _time_of(text: str) -> int | None:
    return int(text) if _WHOLE.match(text) else rfc3339_ms(text)


def _time(name: str, array: pa.Array, cells: Cells) -> pa.Array:
    want = "epoch milliseconds or a time with zone"
    if pa.types.is_timestamp(array.type):
        if array.type.tz is None:
            return _unfit(name, array, cells, want)
        # Whole milliseconds are taken by flooring, for times before 1970 too.
        return pc.floor_temporal(array, unit="millisecond").cast(pa.timestamp("ms", array.type.tz)).cast(pa.int64())
    if _is_text(array.type):
        return _each_text(name, array, cells, _time_of, want, pa.int64())
    return _whole(name, array, cells)


def _each_text(
    name: str, array: pa.Array, cells: Cells, read: Callable[[str], object], want: str, kind: pa.DataType
) -> pa.Array:
    """Read every distinct text once; empty is absent; None from `read` refuses the rows that hold it."""
    encoded = _text(name, array, cells).dictionary_encode()
    values = [read(text.strip()) for text in encoded.dictionary.to_pylist()]
    wrong = pa.array([value is None for value in values], pa.bool_())
    if any(value is None for value in values):
        bad = wrong.take(encoded.indices).fill_null(False)
        cells.refuse(np.asarray(bad), f"{name} must be {want}")
    return pa.array(values, kind).take(encoded.indices)


def _flag(name: str, array: pa.Array, cells: Cells) -> pa.Array:
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), pa.bool_())
    if pa.types.is_boolean(array.type):
        return array
    if _is_text(array.type) or pa.types.is_integer(array.type):
        return _each_text(name, array, cells, lambda value: _FLAGS.get(value.lower()), "true or false", pa.bool_())
    return _unfit(name, array, cells, "true or false")


def _texts(name: str, array: pa.Array, cells: Cells) -> pa.Array:
    kind = array.type
    if pa.types.is_null(kind):
        return pa.nulls(len(array), _TEXT_LIST)
    if _is_text(kind):
        return _each_row(name, utf8(array, name, cells), cells, _TEXT_LIST, _texts_of)
    if not pa.types.is_list(kind) and not pa.types.is_large_list(kind):
        return _unfit(name, array, cells, "a list of strings")
    if not _is_text(kind.value_type) and not pa.types.is_integer(kind.value_type):
        return _unfit(name, array, cells, "a list of strings")
    lists = array.cast(_TEXT_LIST)
    items = lists.flatten()
    clean = items.null_count == 0 and not _any_empty(pc.binary_length(items))
    if clean and not _any_empty(pc.list_value_length(lists)) and _is_valid(items):
        return lists
    return _each_row(name, lists, cells, _TEXT_LIST, text_items)


def _is_valid(array: pa.Array) -> bool:
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _any_empty(lengths: pa.Array) -> bool:
    return bool(pc.any(pc.equal(lengths, 0)).as_py())


def _each_row(
    name: str, array: pa.Array, cells: Cells, kind: pa.DataType, read: Callable[[str, object], object]
) -> pa.Array:
    """Read cell by cell, for the odd ones: JSON in a text, empty items in a list."""
    values: list[object] = [None] * len(array)
    for row in np.flatnonzero(np.asarray(array.is_valid())).tolist():
        try:
            value = array[row].as_py()
            values[row] = None if value == "" else read(name, value)
        except (Refused, ValueError) as error:
            reason = str(error) if isinstance(error, Refused) else f"{name} cannot be read"
            cells.reasons.setdefault(row, reason)
    return pa.array(values, kind)


def _texts_of(name: str, value: object) -> object:
    text = str(value)
    if text.lstrip().startswith("["):
        return text_items(name, strict_json(text))
    return [part for part in (piece.strip() for piece in text.split(";")) if part] or None


def _shown(name: str, array: pa.Array, cells: Cells) -> pa.Array:
    kind = SCHEMA.field("shown").type
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), kind)
    if _is_text(array.type):
        text = utf8(array, name, cells)
        return _each_row(name, text, cells, kind, lambda key, value: shown_items(key, strict_json(str(value))))
    if array.type.equals(kind) and _shown_is_clean(array):
        return array
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        return _each_row(name, array, cells, kind, shown_items)
    return _unfit(name, array, cells, "a list of {subject, fields}")


def _shown_is_clean(array: pa.Array) -> bool:
    """Whether nothing in a `shown` of the contract's own type is empty, missing or no UTF-8."""
    items = array.flatten()
    if items.null_count or _any_empty(pc.list_value_length(array)):
        return False
    subjects, fields = items.field("subject"), items.field("fields")
    if subjects.null_count or fields.null_count:
        return False
    texts = (subjects, fields.flatten())
    return all(text.null_count == 0 and not _any_empty(pc.binary_length(text)) and _is_valid(text) for text in texts)


_CONVERTERS: Final[dict[str, Callable[[str, pa.Array, Cells], pa.Array]]] = {
    **dict.fromkeys(TEXTS, _text),
    **dict.fromkeys(LISTS, _texts),
    **{name: _time if name in _TIMES else _whole for name in INTS},
    "shown": _shown,
    "masked": _flag,
}


def _extra(unknown: dict[str, pa.Array], n: int, cells: Cells) -> pa.Array:
    """All other columns as one JSON object a row, absent ones left out; null where nothing is."""
    if not unknown:
        return pa.nulls(n, pa.string())
    parts = [
        pc.binary_join_element_wise(json.dumps(name, ensure_ascii=False) + ":", _json_texts(name, array, cells), "")
        for name, array in unknown.items()
    ]
    # Led by "{": Arrow's join drops a row whose parts are all null. The first comma is cut off again.
    joined = pc.binary_join_element_wise("{", *parts, ",", null_handling="skip")
    some = pc.greater(pc.binary_length(joined), 1)
    closed = pc.binary_join_element_wise(pc.binary_replace_slice(joined, 1, 2, ""), "}", "")
    return pc.if_else(some, closed, None)


def _json_texts(name: str, array: pa.Array, cells: Cells) -> pa.Array:
    """Each value as JSON text, null where absent or not a finite number."""
    kind = array.type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return array.cast(pa.string())
    if pa.types.is_floating(kind):
        finite = pc.if_else(pc.is_finite(array), array, None)
        return finite.cast(pa.string())
    if _is_text(kind):
        text = utf8(array, name, cells)
        hard = np.asarray(pc.match_substring_regex(text, _ESCAPED).fill_null(False))
        text = pc.if_else(pc.greater(pc.binary_length(text), 0), text, None)
        quoted = pc.binary_join_element_wise('"', text, '"', "")
        if not hard.any():
            return quoted
        values = [json.dumps(v, ensure_ascii=False) for v in text.filter(pa.array(hard)).to_pylist()]
        return pc.replace_with_mask(quoted, pa.array(hard), pa.array(values, pa.string()))
    texts = [None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in array.to_pylist()]
    return pa.array(texts, pa.string())

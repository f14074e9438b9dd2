"""Reference tables (accounts, outlets, devices ...): read from CSV or Parquet, checked, typed.

Source: shared/contract/records.md, "Reference tables". A table that is absent costs power, never correctness.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from watchbill.core.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

TABLES: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "accounts": (("account", "outlet"), ("person", "role", "from", "until", "supervisor", "employment")),
    "outlets": (("outlet",), ("name", "city", "lat", "lon", "parent")),
    "devices": (("device",), ("outlet", "kind", "shared")),
    "networks": (("network",), ("place", "lat", "lon", "kind")),
    "parcels": (("waybill",), ("sender", "recipient", "origin", "destination", "assigned", "from", "until")),
    "shifts": (("account",), ("from", "until")),
    "canaries": ((), ("waybill", "subject", "placed", "note")),
}
"""Table -> (required columns, optional columns)."""

TIMES: Final = frozenset({"from", "until", "placed"})
NUMBERS: Final = frozenset({"lat", "lon"})
_DEGREES: Final = {"lat": 90.0, "lon": 180.0}
_FAR_MS: Final = 1 << 50
_SUFFIXES: Final = (".csv", ".parquet")


def find_tables(folder: Path) -> dict[str, Path]:
    """The table files of a folder: NAME.csv or NAME.parquet.

    Raises:
        SettingsError: the folder is not there, or one table stands there twice.
    """
    if not folder.is_dir():
        raise SettingsError("is not a folder", where=folder.name, todo="give the folder that holds accounts.csv ...")
    found: dict[str, Path] = {}
    for name in TABLES:
        paths = [folder / f"{name}{suffix}" for suffix in _SUFFIXES if (folder / f"{name}{suffix}").is_file()]
        if len(paths) > 1:
            raise SettingsError("stands there twice", where=name, todo=f"keep one of {name}.csv and {name}.parquet")
        if paths:
            found[name] = paths[0]
    return found


def read_table(name: str, path: Path, time_zone: str, rows_max: int) -> pa.Table:
    """One reference table with typed columns: texts, `from`/`until`/`placed` in epoch ms (null = open), lat/lon as float.

    Raises:
        SettingsError: unreadable, too long, a required column is missing, or a value does not parse (says the row).
    """
    raw = _read_raw(path)
    if raw.num_rows > rows_max:
        raise SettingsError(
            f"has {raw.num_rows} rows, over the limit of {rows_max}",
            where=path.name,
            todo="raise limits.reference_rows_max",
        )
    required, optional = TABLES[name]
    twice = [column for column in set(raw.column_names) if raw.column_names.count(column) > 1]
    if twice:
        raise SettingsError(f"column {min(twice)} stands there twice", where=path.name, todo="keep one of them")
    missing = [column for column in required if column not in raw.column_names]
    if missing:
        raise SettingsError(f"column {missing[0]} is missing", where=path.name, todo=f"needed: {', '.join(required)}")
    columns: dict[str, pa.Array] = {}
    for column in (*required, *optional):
        if column in raw.column_names:
            columns[column] = _typed(raw.column(column), column, path.name, ZoneInfo(time_zone))
        else:
            columns[column] = pa.nulls(raw.num_rows, _type_of(column))
        if column in required and columns[column].null_count:
            row = columns[column].is_null().to_pylist().index(True) + 1
            raise SettingsError(
                f"column {column} is empty", where=f"{path.name} row {row}", todo="fill it, or drop the row"
            )
    return pa.table(columns)


def digest(table: pa.Table) -> str:
    """SHA-256 of a table's content (Arrow IPC of it), in hex."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest()


def _read_raw(path: Path) -> pa.Table:
    try:
        if path.suffix == ".parquet":
            return pq.read_table(path)
        with path.open("rb") as handle:
            head = handle.readline(1 << 20).decode("utf-8-sig")
        names = [name.strip().strip('"') for name in head.strip().split(",")]
        options = pacsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""],
            quoted_strings_can_be_null=True,
        )  # fmt: skip
        return pacsv.read_csv(path, convert_options=options)
    except OSError as error:
        raise SettingsError("cannot be read", where=path.name, todo=error.strerror or "check the file") from error
    except (UnicodeDecodeError, pa.ArrowException):
        # their text quotes the row, and with it a person: say only where
        row = "" if path.suffix == ".parquet" else _bad_row(path)
        raise SettingsError(
            "cannot be read as a table",
            where=path.name + row,
            todo="give UTF-8 text with as many cells in each row as in the first",
        ) from None


def _bad_row(path: Path) -> str:
    """Where the first row is that has not as many cells as the header: `row N` after a blank, or nothing."""
    numbers: list[int] = []

    def note(row: Any) -> str:  # noqa: ANN401 - pyarrow.csv.InvalidRow, which has no type
        numbers.append(row.number or 0)
        return "skip"

    try:
        pacsv.read_csv(
            path,
            read_options=pacsv.ReadOptions(use_threads=False),
            parse_options=pacsv.ParseOptions(invalid_row_handler=note),
        )
    except (OSError, pa.ArrowException):
        return ""
    return f" row {numbers[0] - 1}" if numbers else ""


def _type_of(column: str) -> pa.DataType:
    if column in TIMES:
        return pa.int64()
    return pa.float64() if column in NUMBERS else pa.string()


def _typed(column: pa.ChunkedArray, name: str, where: str, zone: ZoneInfo) -> pa.Array:
    wanted = _type_of(name)
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.nulls(0, array.type)
    if name in TIMES:
        return _times(array, name, where, zone)
    try:
        cast = array.cast(wanted)
    except pa.ArrowException:
        row = next((row for row, value in enumerate(array.to_pylist(), start=1) if not _casts(value, wanted)), 0)
        raise SettingsError(
            f"column {name} does not parse",
            where=f"{where} row {row}",
            todo=f"give {'a number' if name in NUMBERS else 'text'}",
        ) from None
    if name in NUMBERS:
        wild = [
            row
            for row, value in enumerate(cast.to_pylist(), start=1)
            if value is not None and abs(value) > _DEGREES[name]
        ]
        if wild:
            raise SettingsError(
                f"column {name} is no degree",
                where=f"{where} row {wild[0]}",
                todo="give degrees, east and north positive",
            )
    return cast


def _casts(value: object, wanted: pa.DataType) -> bool:
    try:
        pa.array([value]).cast(wanted)
    except pa.ArrowException:
        return False
    return True


def _times(array: pa.Array, name: str, where: str, zone: ZoneInfo) -> pa.Array:
    known: dict[object, int | None] = {None: None, "": None}
    out: list[int | None] = []
    for row, value in enumerate(array.to_pylist(), start=1):
        if value not in known:
            try:
                known[value] = parse_time(value, zone)
            except (ValueError, OverflowError) as error:
                raise SettingsError(
                    f"column {name} is not a time", where=f"{where} row {row}",
                    todo="use RFC 3339, a bare date, or epoch milliseconds",
                ) from error  # fmt: skip
        out.append(known[value])
    return pa.array(out, type=pa.int64())


def parse_time(value: object, zone: ZoneInfo) -> int:
    """Epoch ms of an RFC 3339 text, a bare date (its first instant in `zone`) or an integer of epoch ms.

    Raises:
        ValueError: none of these, or over 30,000 years away.
    """
    if isinstance(value, bool):
        raise ValueError("a truth value is not a time")
    if isinstance(value, int):
        if abs(value) > _FAR_MS:
            raise ValueError("too far away")
        return value
    if isinstance(value, datetime):
        moment = value
    else:
        text = str(value).strip()
        if text.lstrip("-").isdecimal():
            return parse_time(int(text), zone)
        moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return int(moment.astimezone(UTC).timestamp() * 1000)

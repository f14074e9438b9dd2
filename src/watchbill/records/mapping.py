"""A source's own format, mapped to the contract by one SQL SELECT that can reach nothing but its own input.

The statement is parsed before it is ever run: one SELECT, no table but `input`, no table function. It then runs in a
DuckDB that has no access to files or network and whose settings are locked. Whatever comes out is validated like any
record.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from watchbill.core.errors import SettingsError
from watchbill.records.batch import TODO, Origin, Quarantined, cut_raw
from watchbill.records.columnar import RowOrigin, parse_table
from watchbill.records.limits import DEFAULT_LIMITS, RecordLimits
from watchbill.records.parse import LineOrigin, Parsed, not_utf8

ROW: Final = "_wb_row"
TIE: Final = "_wb_row_tie"
"""Columns that tie each mapped row to the row of the input that it came from: in the input, and in the result."""
FAILURES_MAX: Final = 200
"""Failing rows of one batch that are looked for one by one; beyond it the rest of the batch is quarantined."""
ROWS_OUT_MAX: Final = 16
"""Records that one row of input may become, on average over a batch."""
_TODO: Final = "Correct the source's mapping (docs/connect-your-logs.md), then run `watchbill quarantine retry`"
_SCRIPT_BYTES_MAX: Final = 100_000
_LOCKED: Final = {
    "temp_directory": "''",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    "TimeZone": "'UTC'",
    "enable_external_access": "false",
}


class Mapped:
    """One mapping, ready to run over batches of lines or of a file's own columns.

    Args:
        sql: one SELECT over the view `input`: its columns are `line` (text) and `number`, or the file's own.
        limits: limits on the records that come out.
        seconds_max: a batch that takes longer is quarantined.
        memory_mb_max: what the statement may hold.

    Raises:
        SettingsError: the statement is not one plain SELECT over `input`.
    """

    def __init__(
        self,
        sql: str,
        *,
        limits: RecordLimits = DEFAULT_LIMITS,
        seconds_max: float = 30.0,
        memory_mb_max: int = 512,
    ) -> None:
        self.limits, self._seconds = limits, seconds_max
        self._db = _locked_connection(memory_mb_max)
        self._sql = _checked(self._db, sql)

    def check_lines(self) -> list[str]:
        """Column names that come out of lines of text.

        Raises:
            SettingsError: the statement does not fit `line` and `number`.
        """
        empty = pa.table({"line": pa.array([], pa.string()), "number": pa.array([], pa.int64())})
        return [name for name in self._run(empty).column_names if not name.startswith(ROW)]

    def lines(self, text: bytes, *, source: str, identity: str, first_line: int) -> Parsed:
        """Map whole lines of text; blank ones are passed over."""
        if text and not text.endswith(b"\n"):
            text += b"\n"
        buf = np.frombuffer(text, dtype=np.uint8)
        ends = np.flatnonzero(buf == ord("\n")).astype(np.int64)
        starts = np.concatenate([[0], ends[:-1] + 1]).astype(np.int64) if len(ends) else ends
        every = np.column_stack([starts, ends, np.arange(first_line, first_line + len(ends))])
        kept = every[ends - starts > 0]
        bad = not_utf8(text, kept)
        long = kept[:, 1] - kept[:, 0] > self.limits.line_bytes_max
        origin = LineOrigin(identity, kept[:, 2], kept[:, :2], text)
        why = {int(r): "invalid UTF-8" for r in np.flatnonzero(bad)}
        why |= {int(r): f"longer than line_bytes_max = {self.limits.line_bytes_max}" for r in np.flatnonzero(long)}
        refused = [Quarantined(source, origin.position(r), why[r], TODO, cut_raw(origin.raw(r))) for r in sorted(why)]
        origin = origin.take(np.flatnonzero(~(bad | long)))
        pieces = [text[a:b].removesuffix(b"\r").decode() for a, b in origin.ranges.tolist()]
        raw = pa.table({"line": pa.array(pieces, pa.string()), "number": pa.array(origin.numbers)})
        parsed = self._map(raw, origin, origin.numbers, source, identity)
        parsed.quarantined = [*refused, *parsed.quarantined]
        parsed.lines = len(ends)
        return parsed

    def table(
        self, raw: pa.Table, *, source: str, identity: str, first_row: int = 1,
        origin: Origin | None = None, numbers: NDArray[np.int64] | None = None,
    ) -> Parsed:  # fmt: skip
        """Map rows of a file that has columns of its own."""
        n = raw.num_rows
        if numbers is None:
            numbers = np.arange(first_row, first_row + n, dtype=np.int64)
        if origin is None:
            origin = RowOrigin(identity, numbers, np.arange(n, dtype=np.int64), raw)
        return self._map(raw, origin, numbers, source, identity)

    def _map(self, raw: pa.Table, origin: Origin, numbers: NDArray[np.int64], source: str, identity: str) -> Parsed:
        failed: dict[int, str] = {}
        done = list(self._pieces(raw, failed))
        out = pa.concat_tables(done, promote_options="permissive") if done else pa.table({})
        rows = np.asarray(out.column(TIE).combine_chunks()).astype(np.int64) if done else np.zeros(0, dtype=np.int64)
        order = np.argsort(rows, kind="stable")
        rows = rows[order]
        records = (
            out.drop_columns([name for name in out.column_names if name.startswith(ROW)]).take(pa.array(order))
            if done
            else out
        )
        records, made = _number_repeats(records, identity, numbers[rows])
        parsed = parse_table(
            records,
            source=source,
            identity=identity,
            limits=self.limits,
            origin=origin.take(rows),
            numbers=numbers[rows],
        )
        if made:
            parsed.derived |= np.isin(np.asarray(parsed.table.column("id").to_pylist(), dtype=object), list(made))
        parsed.quarantined = [
            *(
                Quarantined(source, origin.position(row), failed[row], _TODO, cut_raw(origin.raw(row)))
                for row in sorted(failed)
            ),
            *parsed.quarantined,
        ]
        return parsed

    def _pieces(self, raw: pa.Table, failed: dict[int, str]) -> Iterator[pa.Table]:
        """Results over `raw`, halved where it fails, so that one failing row costs a few runs and loses no other."""
        todo = [(0, raw.num_rows)] if raw.num_rows else []
        while todo:
            low, high = todo.pop()
            if len(failed) >= FAILURES_MAX:
                failed |= dict.fromkeys(range(low, high), f"not mapped: {FAILURES_MAX} rows before it failed")
                continue
            piece = raw.slice(low, high - low).append_column(ROW, pa.array(np.arange(low, high, dtype=np.int64)))
            try:
                result = self._run(piece)
            except duckdb.InterruptException:
                failed |= dict.fromkeys(range(low, high), f"the mapping took longer than {self._seconds:g} seconds")
            except duckdb.Error as error:
                if high - low > 1:
                    middle = (low + high) // 2
                    todo += [(middle, high), (low, middle)]
                else:
                    failed[low] = f"the mapping failed on it ({type(error).__name__})"
            else:
                if result.num_rows > ROWS_OUT_MAX * (high - low):
                    failed |= dict.fromkeys(
                        range(low, high), f"the mapping made over {ROWS_OUT_MAX} records a row of it"
                    )
                else:
                    yield result

    def _run(self, piece: pa.Table) -> pa.Table:
        if ROW not in piece.column_names:
            piece = piece.append_column(ROW, pa.array(np.arange(piece.num_rows, dtype=np.int64)))
        self._db.register("input", piece)
        limit = ROWS_OUT_MAX * piece.num_rows + 1
        try:
            with self._interrupted():
                return self._db.sql(f"SELECT * FROM ({self._sql}) LIMIT {limit}").to_arrow_table()
        except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException) as error:
            raise SettingsError(
                f"the mapping does not fit its input: {str(error).splitlines()[0]}", where="mapping", todo=_TODO
            ) from None
        finally:
            self._db.unregister("input")

    @contextmanager
    def _interrupted(self) -> Iterator[None]:
        timer = threading.Timer(self._seconds, self._db.interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _locked_connection(memory_mb_max: int) -> duckdb.DuckDBPyConnection:
    db = duckdb.connect(":memory:")
    db.execute(f"SET memory_limit = '{int(memory_mb_max)}MB'; SET threads = 1")
    for name, value in _LOCKED.items():
        db.execute(f"SET {name} = {value}")
    db.execute("SET lock_configuration = true")
    return db


def _checked(db: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The statement with the row's number added to what it selects.

    Raises:
        SettingsError: it is anything but one plain SELECT over `input`.
    """
    where = "mapping"
    if len(sql) > _SCRIPT_BYTES_MAX:
        raise SettingsError("the mapping is too long", where=where, todo=_TODO)
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise SettingsError(f"not readable as SQL: {str(error).splitlines()[0]}", where=where, todo=_TODO) from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise SettingsError("it must be one SELECT", where=where, todo=_TODO)
    found = db.execute("SELECT json_serialize_sql(?)", [sql.strip().rstrip(";")]).fetchall()
    tree = json.loads(found[0][0])
    if tree.get("error") or len(tree["statements"]) != 1:
        raise SettingsError("it must be one plain SELECT", where=where, todo=_TODO)
    node = tree["statements"][0]["node"]
    _refuse_reach(node, where)
    _tie(node, TIE, where)
    rewritten = db.execute("SELECT json_deserialize_sql(?)", [json.dumps(tree)]).fetchall()
    return str(rewritten[0][0]).rstrip("; ")


def _tie(node: dict[str, Any], alias: str, where: str) -> None:
    """Make a SELECT carry the number of the input row that each of its rows came from, as the column `alias`."""
    plain = node["type"] == "SELECT_NODE" and not node["group_expressions"] and not node["modifiers"]
    if not plain:
        todo = "Select from input without UNION, GROUP BY, DISTINCT, ORDER BY or LIMIT"
        raise SettingsError("it must be one plain SELECT over input", where=where, todo=todo)
    ctes = {entry["key"]: entry["value"]["query_node"] for entry in node.get("cte_map", {}).get("map", [])}
    names = _tie_table(node["from_table"], ctes, alias, where)
    reference = {"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": alias, "query_location": 0}
    node["select_list"].append({**reference, "column_names": names})


def _tie_table(table: dict[str, Any], ctes: dict[str, Any], alias: str, where: str) -> list[str]:
    """Name of the row's number in what FROM names first, carried up from below where needed."""
    inner = alias + "_"
    if table["type"] == "JOIN":
        return _tie_table(table["left"], ctes, alias, where)
    if table["type"] == "SUBQUERY":
        _tie(table["subquery"]["node"], inner, where)
        return [table["alias"], inner] if table.get("alias") else [inner]
    if table["type"] != "BASE_TABLE":
        raise SettingsError("it must be one plain SELECT over input", where=where, todo="Select from input")
    name = table["table_name"]
    if name in ctes:
        _tie(ctes[name], inner, where)
        return [table.get("alias") or name, inner]
    return [table.get("alias") or name, ROW]


def _refuse_reach(node: object, where: str) -> None:
    """Walk the whole tree: no table but `input` and the statement's own CTEs, no table function, anywhere."""
    todo: list[object] = [node]
    own = {"input"}
    tables: list[dict[str, Any]] = []
    while todo:
        item = todo.pop()
        if isinstance(item, list):
            todo += item
        elif isinstance(item, dict):
            todo += item.values()
            if item.get("type") == "TABLE_FUNCTION":
                raise SettingsError("it calls a table function", where=where, todo="Read from input only")
            if item.get("class") == "WINDOW":
                todo_text = "Leave windows out: rows come in batches of any size"
                raise SettingsError("it looks at other rows than its own", where=where, todo=todo_text)
            if item.get("type") == "BASE_TABLE":
                tables.append(item)
            if "cte_map" in item:
                own |= {str(entry.get("key")) for entry in item["cte_map"].get("map", [])}
    for table in tables:
        if table.get("table_name") not in own or table.get("schema_name") or table.get("catalog_name"):
            raise SettingsError("it reads a table that is not input", where=where, todo="Read from input only")


def _number_repeats(records: pa.Table, identity: str, numbers: NDArray[np.int64]) -> tuple[pa.Table, set[str]]:
    """Ids for records without one that share a row of the input: `<identity>:<row>.<k>`; and which were made."""
    if len(numbers) == 0 or len(np.unique(numbers)) == len(numbers):
        return records, set()
    has = "id" in records.column_names
    ids = records.column("id").to_pylist() if has else [None] * len(numbers)
    made: set[str] = set()
    repeat = 0
    for at, number in enumerate(numbers.tolist()):
        repeat = repeat + 1 if at and numbers[at - 1] == number else 1
        if ids[at] is None or ids[at] == "":
            ids[at] = f"{identity}:{number}.{repeat}"
            made.add(str(ids[at]))
    column = pa.array([None if i is None else str(i) for i in ids], pa.string())
    if has:
        return records.set_column(records.schema.get_field_index("id"), "id", column), made
    return records.append_column("id", column), made


NGINX_COMBINED: Final = r"""
SELECT
    'view' AS kind,
    strptime(m.at, '%d/%b/%Y:%H:%M:%S %z') AS time,
    nullif(m.who, '-') AS account,
    m.ip AS ip,
    coalesce(nullif(regexp_extract(m.path, '[?&]device=([^&]+)', 1), ''), m.ip) AS device,
    'nginx' AS app,
    nullif(regexp_extract(m.path, '/(?:waybill|parcel)s?/([A-Za-z0-9-]+)', 1), '') AS waybill,
    CASE WHEN m.code < '400' THEN 'success' WHEN m.code IN ('401', '403') THEN 'denied' ELSE 'failure' END AS outcome,
    m.agent AS user_agent
FROM (
    SELECT regexp_extract(line,
        '^(\S+) \S+ (\S+) \[([^\]]+)\] "\S+ (\S+)[^"]*" (\d{3}) \S+ "[^"]*" "([^"]*)"',
        ['ip', 'who', 'at', 'path', 'code', 'agent']) AS m
    FROM input
)
"""
"""Access logs of nginx (and Apache) in the combined format: each request by a known user as a view."""

"""Exposed: from looks to (subject, fields) rows, exactly as shared/contract/records.md defines it.

Every listed subject of a successful, unmasked look with all listed fields, unless `shown` narrows it; a look that lists
nobody is resolved through the parcels table that was in force at its seq.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchbill.inquiry.controls import DECISION
from watchbill.ledger.canonical import SEQ
from watchbill.records.schema import DECIDE_SOURCE, LOOKS, SCHEMA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.inquiry.controls import Controls

COLUMNS: Final = (
    "source", "time", "kind", "account", "waybill", "subjects", "fields", "shown", "masked", "outcome", "results", "decision",
)  # fmt: skip
"""What must be read of a record to say whom it exposed (and seq, which is always read)."""
LOOK: Final = "look"
"""The look that a row tells of: its seq, or that of the ask which a desk's own log confirms. What is counted as `times`."""
_THREADS: Final = 2
COMPLETE_FIELDS: Final = ("name", "phone", "address")

_EXPAND: Final = """
create temp view bare as from looks where len(coalesce(shown, [])) = 0 and len(coalesce(subjects, [])) = 0;
create temp table pairs as
select seq, look, time, account, waybill, unknown, kind, results, item.subject as subject,
       case when len(coalesce(item.fields, [])) > 0 then item.fields else fields end as fields
from (select *, unnest(shown) as item from looks where len(coalesce(shown, [])) > 0)
union all
select seq, look, time, account, waybill, unknown, kind, results, unnest(subjects), fields
from looks where len(coalesce(shown, [])) = 0 and len(coalesce(subjects, [])) > 0
union all
select distinct l.seq, l.look, l.time, l.account, l.waybill, l.unknown, l.kind, l.results, p.subject, l.fields
from bare l join parcels p on p.waybill = l.waybill and p.version = l.version
where (p.since is null or p.since <= l.time) and (p.until is null or l.time < p.until);
delete from pairs where subject is null;
create temp table unresolved as
select seq, look, time, account, waybill, unknown, kind, results, fields from bare b
where not exists (select 1 from pairs p where p.seq = b.seq);
create temp table unnamed as
select l.seq, l.results - coalesce(p.listed, 0) as more
from looks l left join (select seq, count(distinct subject) as listed from pairs group by seq) p using (seq)
where l.kind in ('search', 'export') and l.results > coalesce(p.listed, 0);
"""


def conform(table: pa.Table) -> pa.Table:
    """The columns that exposure needs, and seq; what the table lacks is null."""
    columns = {SEQ: table.column(SEQ).cast(pa.int64())}
    for name in COLUMNS:
        kind = SCHEMA.field(name).type
        columns[name] = table.column(name) if name in table.column_names else pa.nulls(table.num_rows, kind)
    columns[LOOK] = table.column(LOOK) if LOOK in table.column_names else columns[SEQ]
    return pa.table(columns)


def exposing(table: pa.Table) -> pa.Table:
    """The looks of a conformed table that showed something: outcome success, not masked, as decided where it was asked about.

    Give it a look together with its `wb.decision`: without, the look counts as if it had shown all that was asked for.
    """
    table = _as_decided(table)
    looks = pc.is_in(table.column("kind"), pa.array(LOOKS))
    success = pc.equal(pc.fill_null(table.column("outcome"), "success"), "success")
    plain = pc.invert(pc.fill_null(table.column("masked"), False))
    return table.filter(pc.and_(looks, pc.and_(success, plain)))


def _as_decided(table: pa.Table) -> pa.Table:
    """Looks that were asked about with what their decisions let through; a log that confirms one is the same look."""
    is_decision = pc.equal(table.column("kind"), DECISION)
    asked = pc.equal(table.column("source"), DECIDE_SOURCE)
    if not pc.any(asked).as_py():
        return table
    decisions, ids = table.filter(is_decision).combine_chunks(), table.column("decision")
    at = _places(ids, decisions.column("decision"))
    mine = np.asarray(pc.fill_null(asked, False)) & (at >= 0)
    told = pc.and_(
        pc.equal(decisions.column("outcome"), "success"), pc.invert(pc.fill_null(decisions.column("masked"), True))
    )
    shown = np.append(np.asarray(pc.fill_null(told, False)), True)[at] | ~mine
    rows = np.arange(table.num_rows)
    both = pa.concat_arrays([_one(table.column("fields")), _one(decisions.column("fields"))])
    fields = both.take(pa.array(np.where(mine, table.num_rows + at, rows)))
    table = table.set_column(table.column_names.index("fields"), "fields", fields)
    looks = table.filter(asked)
    confirmed = _places(ids, looks.column("decision"))
    same = (confirmed >= 0) & ~np.asarray(pc.fill_null(asked, False))
    for name in ("account", "waybill"):
        theirs = pa.chunked_array([looks.column(name).combine_chunks()]).take(pa.array(np.maximum(confirmed, 0)))
        same &= np.asarray(pc.fill_null(pc.equal(table.column(name), theirs), False)) | (
            np.asarray(table.column(name).is_null()) & np.asarray(theirs.is_null())
        )
    look = np.where(same, np.append(looks.column(SEQ).to_numpy(), 0)[confirmed], table.column(LOOK).to_numpy())
    return table.set_column(table.column_names.index(LOOK), LOOK, pa.array(look)).filter(pa.array(shown))


def _places(ids: pa.ChunkedArray, known: pa.ChunkedArray) -> NDArray[np.int64]:
    """Where each id first stands in `known`, -1 = nowhere (also for null); int64[n]."""
    found = pc.index_in(ids, value_set=known.combine_chunks(), skip_nulls=True)
    return np.asarray(pc.fill_null(found, -1), np.int64)


def _one(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)


@dataclass
class Expanded:
    """Looks laid out in a database of its own, in memory.

    Tables: `pairs` (seq, time, account, waybill, unknown, kind, results, subject, fields), one row a look and subject;
    `unresolved`, looks that expose nobody knows whom; `unnamed` (seq, more), results beyond those listed.
    """

    db: duckdb.DuckDBPyConnection

    def rows(self, sql: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self.db.execute(sql, values or []).fetchall()

    def one(self, sql: str, values: list[Any] | None = None) -> Any:  # noqa: ANN401 - whatever the query counts
        """The one value of a query."""
        return self.rows(sql, values)[0][0]


def expand(looks: pa.Table, controls: Controls, home: Path) -> Expanded:
    """Lay out the exposing looks of a conformed table; close `.db` when done."""
    db = open_database()
    version = controls.parcels_at(looks.column(SEQ).to_numpy())
    looks = looks.append_column("version", pa.array(version))
    looks = looks.append_column("unknown", pa.array(controls.unknown_rows(looks)))
    db.register("looks", looks)
    _load_parcels(db, controls, home, looks)
    for statement in _EXPAND.split(";"):
        if statement.strip():
            db.execute(statement)
    return Expanded(db)


def open_database() -> duckdb.DuckDBPyConnection:
    """An empty database in memory."""
    return duckdb.connect(config={"threads": _THREADS})


def parcels_path(home: Path, digest: str) -> Path:
    """Where the runner keeps a parcels table that was in force."""
    return home / "reference" / f"parcels-{digest}.parquet"


def _load_parcels(db: duckdb.DuckDBPyConnection, controls: Controls, home: Path, looks: pa.Table) -> None:
    """Table `parcels`: (version, waybill, subject, since, until) for the waybills of looks that list nobody."""
    db.execute(
        "create temp table parcels (version bigint, waybill varchar, subject varchar, since bigint, until bigint)"
    )
    for version in np.unique(looks.column("version").to_numpy()).tolist():
        path = parcels_path(home, controls.parcels[version][1]) if version >= 0 else None
        if path is None or not path.is_file():
            continue
        db.execute(
            """insert into parcels select $version, waybill, unnest([sender, recipient]), "from", until
            from read_parquet($path) where waybill in (select waybill from looks where version = $version
            and len(coalesce(shown, [])) = 0 and len(coalesce(subjects, [])) = 0)""",
            {"version": version, "path": str(path)},
        )


def waybills_of(subject: str, controls: Controls, home: Path) -> list[str]:
    """Waybills whose sender or recipient is this subject, in any parcels table that was in force."""
    found: set[str] = set()
    with open_database() as db:
        for digest in sorted({digest for _, digest in controls.parcels}):
            path = parcels_path(home, digest)
            if path.is_file():
                sql = "select distinct waybill from read_parquet($path) where sender = $subject or recipient = $subject"
                found.update(row[0] for row in db.execute(sql, {"path": str(path), "subject": subject}).fetchall())
    return sorted(found)

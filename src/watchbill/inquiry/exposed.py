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

from watchbill.ledger.canonical import SEQ
from watchbill.records.schema import LOOKS, SCHEMA

if TYPE_CHECKING:
    from watchbill.inquiry.controls import Controls

COLUMNS: Final = (
    "source", "time", "kind", "account", "waybill", "subjects", "fields", "shown", "masked", "outcome", "results",
)  # fmt: skip
"""What must be read of a record to say whom it exposed (and seq, which is always read)."""
_THREADS: Final = 2
COMPLETE_FIELDS: Final = ("name", "phone", "address")

_EXPAND: Final = """
create temp view bare as from looks where len(coalesce(shown, [])) = 0 and len(coalesce(subjects, [])) = 0;
create temp table pairs as
select seq, time, account, waybill, unknown, kind, results, item.subject as subject,
       case when len(coalesce(item.fields, [])) > 0 then item.fields else fields end as fields
from (select *, unnest(shown) as item from looks where len(coalesce(shown, [])) > 0)
union all
select seq, time, account, waybill, unknown, kind, results, unnest(subjects), fields
from looks where len(coalesce(shown, [])) = 0 and len(coalesce(subjects, [])) > 0
union all
select distinct l.seq, l.time, l.account, l.waybill, l.unknown, l.kind, l.results, p.subject, l.fields
from bare l join parcels p on p.waybill = l.waybill and p.version = l.version
where (p.since is null or p.since <= l.time) and (p.until is null or l.time < p.until);
delete from pairs where subject is null;
create temp table unresolved as
select seq, time, account, waybill, unknown, kind, results, fields from bare b
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
    return pa.table(columns)


def exposing(table: pa.Table) -> pa.Table:
    """The looks of a conformed table that showed something: outcome success, not masked."""
    looks = pc.is_in(table.column("kind"), pa.array(LOOKS))
    success = pc.equal(pc.fill_null(table.column("outcome"), "success"), "success")
    plain = pc.invert(pc.fill_null(table.column("masked"), False))
    return table.filter(pc.and_(looks, pc.and_(success, plain)))


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

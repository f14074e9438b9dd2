"""Reference tables in the journal: a reload is a record, and its content is kept by digest, so that a replay is equal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow.parquet as pq

from watchbill.context.reference import digest, find_tables, read_table
from watchbill.core.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pyarrow as pa

    from watchbill.core.settings import Settings

SHRINK_MIN: Final = 0.5
"""A table that loses more than this share of its rows is not taken (an export that broke), and said so."""


class Loaded(NamedTuple):
    """A reference table as it was read, and the digest of its content."""

    name: str
    digest: str
    table: pa.Table


def read_folder(source: Path | None, settings: Settings) -> list[Loaded]:
    """All tables of a folder, by name; none where there is no folder to read.

    Raises:
        SettingsError: the folder or a table in it cannot be read.
    """
    out = []
    for name, path in sorted(find_tables(source).items()) if source is not None else ():
        table = read_table(name, path, settings.time_zone, settings.limits.reference_rows_max)
        out.append(Loaded(name, digest(table), table))
    return out


class References:
    """The tables in force, and the folder `home/reference` that keeps every version by digest."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "reference"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.in_force: dict[str, str] = {}
        self.rows: dict[str, int] = {}
        self.refused: dict[str, str] = {}

    def changes(self, loaded: Iterable[Loaded]) -> list[dict[str, Any]]:
        """Reload records (table, digest, rows) for what differs between these tables and what is in force.

        A table that shrinks to under half is refused; why stands in `refused`.
        """
        out: list[dict[str, Any]] = []
        for name, key, table in loaded:
            before = self.rows.get(name, 0)
            if self.in_force.get(name) == key:
                continue
            if table.num_rows < before * SHRINK_MIN:
                self.refused[name] = f"shrank from {before} to {table.num_rows} rows; the old table stays in force"
                continue
            self.refused.pop(name, None)
            self._keep(name, key, table)
            out.append({"table": name, "digest": key, "rows": table.num_rows})
        return out

    def _keep(self, name: str, key: str, table: pa.Table) -> None:
        place = self.folder / f"{name}-{key}.parquet"
        if not place.exists():
            beside = place.with_suffix(".new")
            pq.write_table(table, beside, compression="zstd")
            beside.rename(place)

    def take(self, name: str, key: str) -> pa.Table:
        """The kept table of a reload record, from now on in force.

        Raises:
            LedgerError: the kept file is not there.
        """
        place = self.folder / f"{name}-{key}.parquet"
        if not place.is_file():
            raise LedgerError(
                f"the kept reference table {name} of a reload record is missing", where=place.name,
                todo="restore home/reference from a copy",
            )  # fmt: skip
        table = pq.read_table(place)
        self.in_force[name], self.rows[name] = key, table.num_rows
        return table

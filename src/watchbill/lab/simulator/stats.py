"""Counts of a world that was written, for tests and for people: records by kind, and looks a day by role."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from watchbill.core.errors import SettingsError

_READERS: Final = {
    "ndjson": "read_json({files}, format = 'newline_delimited', columns = {{id: 'VARCHAR', time: 'BIGINT', kind: 'VARCHAR',"
    " account: 'VARCHAR'}})",
    "parquet": "read_parquet({files})",
}
_LOCAL_DAY: Final = "(time + 28800000) // 86400000"


@dataclass(frozen=True, slots=True)
class WorldStats:
    """`records` by kind; `looks_a_day` by role: (10 %, median, 90 %, most) over the accounts' days with any look."""

    records: dict[str, int]
    looks_a_day: dict[str, tuple[float, float, float, int]]


def world_stats(out: Path) -> WorldStats:
    """Count a world's records (NDJSON or Parquet) and the honest looks a day of every role.

    Raises:
        SettingsError: no records that can be read are there.
    """
    form = next((f for f in _READERS if any((out / "records").glob(f"*.{f}"))), None)
    if form is None:
        raise SettingsError("no NDJSON or Parquet records", where="records/", todo="build the world first")
    files = "[" + ", ".join(_quoted(p) for p in sorted((out / "records").glob(f"*.{form}"))) + "]"
    with duckdb.connect() as db:
        db.execute(f"create view records as select id, time, kind, account from {_READERS[form].format(files=files)}")
        counts = db.execute("select kind, count(*) from records group by 1 order by 1").fetchall()
        days = db.execute(
            f"""with looks as (
                    select r.account, {_LOCAL_DAY} as day, count(*) as n
                    from records r join read_parquet({_quoted(out / "truth" / "looks.parquet")}) t using (id)
                    where not t.wrongful group by all)
                select a.role, quantile_cont(n, 0.1), median(n), quantile_cont(n, 0.9), max(n)
                from looks join read_parquet({_quoted(out / "truth" / "accounts.parquet")}) a using (account)
                group by 1 order by 1"""
        ).fetchall()
    return WorldStats(
        {k: int(n) for k, n in counts}, {r: (float(a), float(b), float(c), int(d)) for r, a, b, c, d in days}
    )


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"

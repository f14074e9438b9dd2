from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import pytest

from watchbill.lab.attacks.base import AttackSpec
from watchbill.lab.simulator.settings import HonestStress
from watchbill.lab.simulator.world import WorldReport, build_world


@dataclass
class Built:
    """A world in Parquet and a DuckDB with its tables: records, looks, accounts (roster), outlets, canaries, people."""

    report: WorldReport
    db: duckdb.DuckDBPyConnection

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.db.execute(sql).fetchall()

    def one(self, sql: str) -> Any:
        return self.rows(sql)[0][0]


def open_world(report: WorldReport) -> Built:
    db, out = duckdb.connect(), report.out
    db.execute(f"create view records as from read_parquet('{out}/records/*.parquet', file_row_number = true)")
    db.execute(f"create view looks as select r.*, t.wrongful, t.attack, t.honest_confuser, t.first, t.operator "
               f"from records r join '{out}/truth/looks.parquet' t using (id)")  # fmt: skip
    db.execute(f"create view sessions as from '{out}/truth/sessions.parquet'")
    db.execute(f"create view people as from '{out}/truth/accounts.parquet'")
    for table in ("accounts", "outlets", "devices", "canaries", "networks"):
        db.execute(f"create view {table} as from read_csv('{out}/reference/{table}.csv', all_varchar = true)")
    return Built(report, db)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """Eight days of a small carrier with every default attack and all confusers somewhat stronger than usual."""
    stress = HonestStress(cover=0.08, merger=0.1, feed_down=0.3, roster_late=0.02, new_hire=0.1, leaver=0.05)
    out = tmp_path_factory.mktemp("world")
    report = build_world(out, seed=5, days=8, outlets=12, scale=0.3, format="parquet", honest_stress=stress)
    built = open_world(report)
    yield built
    built.db.close()


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Built]:
    """A quiet four-day world with one attack on day 2: stage(AttackSpec(...))."""

    made: dict[str, Built] = {}

    def build(*specs: AttackSpec, **arguments: Any) -> Built:
        key = repr((specs, sorted(arguments.items())))
        if key not in made:
            out = tmp_path_factory.mktemp("staged")
            options = {"seed": 9, "days": 3, "outlets": 9, "scale": 0.3, "honest_stress": HonestStress.none()}
            made[key] = open_world(build_world(out, attacks=specs, format="parquet", **{**options, **arguments}))  # type: ignore[arg-type]
        return made[key]

    return build

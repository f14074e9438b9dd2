"""A new database is made, an older one is upgraded with what it holds, a newer one is refused; both databases, same tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from cases.worked import a_book, rise
from watchbill.casedb.migrate import drop, migrate, revision_of
from watchbill.casedb.schema import META
from watchbill.casedb.store import CaseStore
from watchbill.core.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    engine = create_engine(url)
    with engine.begin() as opened:
        yield opened
    engine.dispose()


def test_the_migrations_make_the_tables_that_queries_name(connection: Connection) -> None:
    migrate(connection)
    assert compare_metadata(MigrationContext.configure(connection), META) == []
    assert revision_of(connection) == "v0002"
    migrate(connection)  # again: nothing to do
    drop(connection)
    assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
    migrate(connection)
    assert set(META.tables) <= set(inspect(connection).get_table_names())


def test_a_schema_of_the_first_release_is_upgraded_with_what_it_holds(url: str) -> None:
    book = a_book()
    rise(book, "a", 10, devices=("d",))
    row = {
        "id": "c10", "opened": 1, "updated": 2, "status": "open", "kind": "leased", "posterior": 0.5, "persons": 1,
        "items": 2, "accounts": ["a"], "devices": ["d"], "merged": [], "related": [],
    }  # fmt: skip
    engine = create_engine(url)
    with engine.begin() as connection:
        migrate(connection, "v0001")
        connection.execute(text(
            "insert into history values ('c10', 1, 10, 10000, 'opened', '', 1, '{}'), "
            "('c10', 2, 10, 10000, 'step', '', 1, '{}')"
        ))  # fmt: skip
        connection.execute(text("insert into meta values ('height', '11')"))
        assert "parties" not in inspect(connection).get_table_names()
    store = CaseStore(url)
    assert len(store.history("c10")) == 0  # a case of the old schema has no row yet
    store.project([row], book.cases.values(), 12)
    assert [one["what"] for one in store.history("c10")] == ["opened", "step"]
    with store.engine.connect() as opened:
        assert sorted(opened.execute(text("select kind, name from parties"))) == [("account", "a"), ("device", "d")]
    store.close()
    engine.dispose()


def test_a_newer_schema_is_refused(url: str) -> None:
    CaseStore(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = 'v9999'"))
    with pytest.raises(StoreError, match="not one that this release knows"):
        CaseStore(url)
    with engine.connect() as connection, pytest.raises(StoreError):
        drop(connection)
    engine.dispose()

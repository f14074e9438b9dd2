"""The database holds what the book holds, is written twice without harm, and lets nobody change its history."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis.stateful import invariant, run_state_machine_as_test
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

import postgres
from cases.lives import Life, replay
from cases.worked import a_book, act, note, rise, say
from watchbill.casedb.schema import META, history
from watchbill.casedb.store import CaseStore, check_url, default_url
from watchbill.cases.case import status_of
from watchbill.cases.sheet import Sheets, gathered, kind_of_files
from watchbill.core.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from watchbill.cases.book import CaseBook


def rows(book: CaseBook) -> list[dict[str, Any]]:
    """As cases.ndjson has them, without what a ledger is needed for."""
    together = gathered(book.cases.values())
    sheets = Sheets(together)
    return [
        {
            "id": files[0].id, "opened": files[0].opened, "updated": max(one.updated for one in files),
            "status": status_of(files), "kind": kind_of_files(files), "posterior": 0.5, "persons": 1, "items": 3,
            "accounts": [one.account for one in files], "devices": files[0].devices, **sheets.of(files),
        }
        for files in together
    ]  # fmt: skip


def everything(store: CaseStore) -> str:
    """All tables as text, whatever the order of their rows."""
    with store.engine.connect() as connection:
        out = {name: sorted(json.dumps([*row], sort_keys=True) for row in connection.execute(select(table)))
               for name, table in META.tables.items()}  # fmt: skip
    return json.dumps(out)


@pytest.fixture
def store(url: str) -> Iterator[CaseStore]:
    made = CaseStore(url)
    yield made
    made.close()


@pytest.fixture
def book() -> CaseBook:
    made = a_book()
    rise(made, "a", 10, devices=("d", "e\x00"))
    rise(made, "b", 20, devices=("d",))
    say(made, note("c10", text="looked \x00 at it"), 25)
    return made


def test_a_projection_writes_what_is_new_and_nothing_twice(store: CaseStore, book: CaseBook) -> None:
    assert store.project(rows(book), book.cases.values(), 30) == 2 + 5
    before = everything(store)
    assert store.project(rows(book), book.cases.values(), 30) == 0
    assert everything(store) == before
    assert store.height() == 30
    say(book, act("c10", "merge", other="c20"), 40)
    assert store.project(rows(book), book.cases.values(), 41) == 2 + 2
    assert [(one["case"], one["what"]) for one in store.history("c10")][-2:] == [
        ("c10", "merged"),
        ("c20", "merged_into"),
    ]
    with store.engine.connect() as connection:
        found = connection.execute(text("select case_id, other, why from links")).all()
        assert [tuple(one) for one in found] == [("c10", "c20", "merged")]
        accounts = connection.execute(text("select name from parties where kind = 'account' order by name")).scalars()
        assert list(accounts) == ["a", "b"]
        lead = connection.execute(text("select id, lead, persons from cases order by id")).all()
        assert [tuple(one) for one in lead] == [("c10", None, 1), ("c20", "c10", None)]
        assert connection.execute(text("select count(*) from cases where row is null")).scalar() == 1


@pytest.mark.parametrize(
    "statement",
    [
        "update history set what = 'nothing' where case_id = 'c10'",
        "update history set said_by = said_by",
        "delete from history where case_id = 'c10'",
        "delete from history",
        "insert into history select * from history where n = 1",
        "TRUNCATE",
    ],
)
def test_nobody_changes_or_deletes_history(store: CaseStore, book: CaseBook, statement: str) -> None:
    store.project(rows(book), book.cases.values(), 30)
    before = everything(store)
    for_lite = "insert or replace into history select case_id, n, seq, time, 'x', '', 1, '{}' from history"
    wanted = (
        statement
        if statement != "TRUNCATE"
        else for_lite
        if store.engine.dialect.name == "sqlite"
        else "truncate history"
    )
    with pytest.raises(DBAPIError), store.engine.begin() as connection:
        connection.execute(text(wanted))
    assert everything(store) == before


def test_another_journal_s_database_is_refused_and_a_rebuild_begins_anew(store: CaseStore, book: CaseBook) -> None:
    store.project(rows(book), book.cases.values(), 30)
    with pytest.raises(StoreError, match="more than the journal"):
        store.project(rows(book), book.cases.values(), 29)
    other = a_book()
    rise(other, "z", 11)
    with pytest.raises(StoreError, match="more than the journal"):
        store.project(rows(other), other.cases.values(), 40)
    longer = a_book()
    for account, seq in (("a", 10), ("b", 20), ("a", 15)):
        rise(longer, account, seq)
    with pytest.raises(StoreError, match="more than the journal"):
        store.project(rows(longer), longer.cases.values(), 40)
    before = everything(store)
    assert '"c10"' in before.replace("\\", "")
    assert store.rebuild(rows(other), other.cases.values(), 12) == 1 + 2
    assert store.height() == 12
    assert [one["what"] for one in store.history("c11")] == ["opened", "step"]
    assert store.history("c10") == []
    with pytest.raises(DBAPIError), store.engine.begin() as connection:  # the triggers are back
        connection.execute(history.delete())


def test_a_failure_in_the_middle_leaves_everything_as_it_was(store: CaseStore, book: CaseBook) -> None:
    store.project(rows(book), book.cases.values(), 30)
    before = everything(store)
    say(book, act("c10", "review"), 40)
    broken = rows(book)
    broken[0]["kind"] = None
    with pytest.raises(StoreError, match="cannot be used"):
        store.project(broken, book.cases.values(), 41)
    assert everything(store) == before
    store.project(rows(book), book.cases.values(), 41)
    assert store.history("c10")[-1]["what"] == "review"


@pytest.mark.parametrize("wanted", ["nonsense", "mysql://x/y", "postgresql://x/y", "", "sqlite+aiosqlite:///x"])
def test_a_url_that_is_none_is_told_without_being_repeated(wanted: str) -> None:
    with pytest.raises(StoreError, match=r"\[cases\] url") as told:
        check_url(wanted)
    assert not wanted or wanted not in str(told.value)


def test_a_server_that_is_not_there_is_told_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be used") as told:
        CaseStore("postgresql+psycopg://u:sesame@127.0.0.1:1/x")
    assert "sesame" not in str(told.value)
    with pytest.raises(StoreError, match="cannot be used"):
        CaseStore(default_url(tmp_path / "no" / "folder"))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_any_life_of_cases_replayed_gives_the_same_rows(kind: str, tmp_path: Path) -> None:
    if kind == "postgresql" and (why := postgres.why_not()):
        pytest.skip(why)
    made: list[CaseStore] = []

    def fresh() -> CaseStore:
        place = f"sqlite:///{tmp_path / f'{len(made)}.sqlite'}" if kind == "sqlite" else postgres.database()
        made.append(CaseStore(place))
        return made[-1]

    class Kept(Life):
        """A life whose every step is written down."""

        def __init__(self) -> None:
            super().__init__()
            self.store = fresh()

        @invariant()
        def written(self) -> None:
            self.store.project(rows(self.book), self.book.cases.values(), self.seq)

        def teardown(self) -> None:
            again = a_book()
            replay(again, self.log)
            other = fresh()
            other.project(rows(again), again.cases.values(), self.seq)
            assert everything(self.store) == everything(other)
            for one in (self.store, other):
                one.close()

    run_state_machine_as_test(Kept, settings=settings(max_examples=8, stateful_step_count=15, database=None))
    assert len(made) >= 8

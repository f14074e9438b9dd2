"""The database of cases of a home: which one it is, and writing it beside cases.ndjson; a database that fails stops nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from watchbill.cases.sheet import Standing
from watchbill.core.errors import StoreError
from watchbill.responses.policy import STEPS
from watchbill.runners.casefiles import case_rows
from watchbill.runners.learning import until_of
from watchbill.runners.status import clock_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from watchbill.casedb.store import CaseStore
    from watchbill.runners.engine import Engine

ENV: Final = "WATCHBILL_CASES_URL"
"""Environment variable that names the database; `[cases] url` of a settings file comes before it."""
ELSEWHERE: Final = "cases.elsewhere"
"""A file in the home that says: its cases are in a database that settings name, not in cases.sqlite."""


def rows_of(engine: Engine, now: int | None = None) -> list[dict[str, Any]]:
    """The rows of cases.ndjson as the engine stands; `now` (epoch ms) is the clock of a live run."""
    pipeline = engine.pipeline
    return case_rows(
        engine.home, pipeline.book.cases.values(), pipeline.detectors, pipeline.settings, standing_in(engine, now)
    )


def standing_in(engine: Engine, now: int | None = None) -> Callable[[str], Standing]:
    """How accounts stand at the clock of the engine."""
    pipeline, clock = engine.pipeline, clock_of(engine, now)

    def of(account: str) -> Standing:
        row = pipeline.standing_of(pipeline.context.accounts.find(account), clock)[0]
        return Standing(STEPS[int(row["step"])], until_of(int(row["until"])))

    return of


def url_of(home: Path, given: str = "") -> str:
    """The database of a home: what settings give, else the environment's, else SQLite in the home; "" = elsewhere, unknown where.

    Raises:
        StoreError: it is no URL of a database that we write to.
    """
    from watchbill.casedb.store import check_url, default_url

    named = given or os.environ.get(ENV, "")
    if named:
        return check_url(named)
    return "" if (home / ELSEWHERE).exists() else default_url(home)


def keep_store(engine: Engine, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Write the database; {"kind", "ok", "why"} for status.json: why it could not be written, or ""."""
    kind = "elsewhere"
    try:
        url = url_of(engine.home, engine.cases_url)
        if not url:
            return {"kind": kind, "ok": True, "why": ""}
        store = opened(engine.home, url)
        try:
            kind = store.engine.dialect.name
            store.project(rows, engine.pipeline.book.cases.values(), engine.done)
        finally:
            store.close()
    except StoreError as error:
        return {"kind": kind, "ok": False, "why": str(error)}
    return {"kind": kind, "ok": True, "why": ""}


def opened(home: Path, url: str) -> CaseStore:
    """The database for writing; the home remembers whether it is its own file or another one."""
    from watchbill.casedb.store import CaseStore, default_url

    store, mark = CaseStore(url), home / ELSEWHERE
    if url == default_url(home):
        mark.unlink(missing_ok=True)
    elif not mark.exists():
        mark.write_text(store.engine.dialect.name + "\n", encoding="ascii")
    return store


def reading(home: Path, given: str = "") -> CaseStore:
    """The database for questions.

    Raises:
        StoreError: there is none yet, or nobody says where it is.
    """
    from watchbill.casedb.store import FILE, CaseStore, default_url

    url = url_of(home, given)
    if not url:
        raise StoreError(
            "the cases of this home are in another database", where="--config",
            todo=f"Give --config FILE with [cases] url, or set {ENV}",
        )  # fmt: skip
    if url == default_url(home) and not (home / FILE).exists():
        raise StoreError(
            "nothing is written yet", where=FILE, todo="The next checkpoint does, or `watchbill cases rebuild`"
        )
    return CaseStore(url, write=False)


def rebuild(engine: Engine, url: str, now: int | None = None) -> int:
    """Write the database anew from the book, which follows from the journal; rows written.

    Raises:
        StoreError: it cannot be written.
    """
    store = opened(engine.home, url)
    try:
        return store.rebuild(rows_of(engine, now), engine.pipeline.book.cases.values(), engine.done)
    finally:
        store.close()

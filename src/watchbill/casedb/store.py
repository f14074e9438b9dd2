"""Writes the book of cases into its database, and reads histories back; what stands there already is not written twice.

The engine's process alone writes, in one transaction a time. What it writes follows from the journal: `rebuild` begins anew.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, create_engine, delete, event, func, insert, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from watchbill.casedb.migrate import drop, migrate
from watchbill.casedb.schema import cases, history, links, meta, parties
from watchbill.core.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from watchbill.cases.case import Case

FILE: Final = "cases.sqlite"
DRIVERS: Final = ("sqlite", "postgresql+psycopg")
WAIT_SECONDS: Final = 10
_CHUNK: Final = 500
_OWN: Final = ("n", "seq", "time", "what", "by", "round")
"""Parts of an entry of history that have a column of their own."""


def default_url(home: Path) -> str:
    """SQLite in the home."""
    return f"sqlite:///{home / FILE}"


def check_url(url: str) -> str:
    """The URL, if it names a database that we write to.

    Raises:
        StoreError: it does not; the URL is not repeated, for it may hold a password.
    """
    try:
        driver = make_url(url).drivername
    except ArgumentError:
        driver = ""
    if driver not in DRIVERS:
        raise StoreError(
            "is no URL of a database of cases", where="[cases] url",
            todo="Write postgresql+psycopg://user@host/database, or sqlite:////folder/file",
        )  # fmt: skip
    return url


class CaseStore:
    """A database of cases, brought to this release's schema when it is opened for writing."""

    def __init__(self, url: str, *, write: bool = True) -> None:
        """Open it; connections are made when they are needed.

        Raises:
            StoreError: it cannot be reached, or its schema is a newer one.
        """
        try:
            args = {"timeout": WAIT_SECONDS} if url.startswith("sqlite") else {"connect_timeout": WAIT_SECONDS}
            self.engine = create_engine(check_url(url), connect_args=args, pool_pre_ping=True)
        except ModuleNotFoundError as error:
            todo = "Install watchbill[postgresql]"
            raise StoreError("psycopg is not installed", where="[cases] url", todo=todo) from error
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _sqlite)
        if write:
            try:
                with self._working() as connection:
                    migrate(connection)
            except StoreError:
                self.close()
                raise

    @contextmanager
    def _working(self) -> Iterator[Connection]:
        try:
            with self.engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise StoreError(
                f"cannot be used ({type(error).__name__})", where="database of cases",
                todo="The journal holds everything; the next checkpoint writes what is missing",
            ) from error  # fmt: skip

    def close(self) -> None:
        """Let go of it."""
        self.engine.dispose()

    # -- writing -----------------------------------------------------------------------------------------------

    def project(self, rows: Sequence[Mapping[str, Any]], files: Iterable[Case], height: int) -> int:
        """Bring the tables to the state of the book at a journal height; rows written or added.

        Args:
            rows: of cases.ndjson. files: all files of the book.

        Raises:
            StoreError: it cannot be written, or it holds more than the journal does.
        """
        files = list(files)
        with self._working() as connection:
            self._same_home(connection, height)
            changed = _write_cases(connection, _states(rows, files))
            added = _write_history(connection, files)
            connection.execute(delete(meta).where(meta.c.name == "height"))
            connection.execute(insert(meta).values(name="height", value=str(height)))
        return changed + added

    def rebuild(self, rows: Sequence[Mapping[str, Any]], files: Iterable[Case], height: int) -> int:
        """Drop everything and write it anew from the book; as `project`."""
        with self._working() as connection:
            drop(connection)
            migrate(connection)
        return self.project(rows, files, height)

    def _same_home(self, connection: Connection, height: int) -> None:
        said = connection.execute(select(meta.c.value).where(meta.c.name == "height")).scalar()
        if said is not None and int(said) > height:
            raise _other_journal()

    # -- reading -----------------------------------------------------------------------------------------------

    def height(self) -> int:
        """The journal height that the tables stand at; 0 before the first projection."""
        with self._working() as connection:
            said = connection.execute(select(meta.c.value).where(meta.c.name == "height")).scalar()
        return int(said or 0)

    def history(self, case: str) -> list[dict[str, Any]]:
        """Entries of a case and of the files that are part of it, in order of the journal."""
        mine = select(cases.c.id).where((cases.c.id == case) | (cases.c.lead == case))
        wanted = (
            select(history).where(history.c.case_id.in_(mine)).order_by(history.c.seq, history.c.case_id, history.c.n)
        )
        with self._working() as connection:
            found = connection.execute(wanted).mappings().all()
        return [
            {
                "case": row["case_id"], "n": row["n"], "seq": row["seq"], "time": row["time"], "what": row["what"],
                "by": row["said_by"], "round": row["round"], **row["detail"],
            }
            for row in found
        ]  # fmt: skip


def _sqlite(connection: Any, _record: Any) -> None:  # noqa: ANN401 - the driver's own object
    """Readers do not wait for the writer; a power cut loses at most what the journal holds anyway."""
    cursor = connection.cursor()
    cursor.execute("pragma journal_mode = wal")
    cursor.execute("pragma synchronous = normal")
    cursor.close()


def _other_journal() -> StoreError:
    return StoreError(
        "it holds more than the journal of this home", where="database of cases",
        todo="Is it another home's? Else `watchbill cases rebuild` writes it anew from the journal",
    )  # fmt: skip


# --- what is written ---------------------------------------------------------------------------------------------------


def _states(rows: Sequence[Mapping[str, Any]], files: Sequence[Case]) -> dict[str, dict[str, Any]]:
    """Id -> the row of table cases, for each case and for each file that is part of one."""
    by_id = {row["id"]: row for row in rows}
    out = {}
    for case in files:
        row, plain = by_id.get(case.id), not case.into
        state: dict[str, Any] = {
            "id": case.id, "lead": case.into or None, "account": case.account, "seq": case.seq,
            "opened": row["opened"] if row else case.opened, "updated": row["updated"] if row else case.updated,
            "status": row["status"] if row else case.status, "kind": row["kind"] if row else case.kind,
            "posterior": row["posterior"] if row else round(case.posterior, 6), "round": case.round,
            "assigned": case.assigned or None if plain else None,
            "due": row.get("due") if row else None, "first_look_ms": row.get("first_look_ms") if row else None,
            "persons": row["persons"] if row else None, "items": row["items"] if row else None,
            "row": dict(row) if row else None,
        }  # fmt: skip
        state = _clean(state)
        text = json.dumps(state, sort_keys=True, ensure_ascii=True)
        out[case.id] = state | {"digest": hashlib.sha256(text.encode()).hexdigest()}
    return out


def _write_cases(connection: Connection, states: Mapping[str, dict[str, Any]]) -> int:
    held = {row.id: row.digest for row in connection.execute(select(cases.c.id, cases.c.digest))}
    changed = [state for name, state in states.items() if held.get(name) != state["digest"]]
    for at in range(0, len(changed), _CHUNK):
        part = changed[at : at + _CHUNK]
        names = [state["id"] for state in part]
        connection.execute(delete(cases).where(cases.c.id.in_(names)))
        connection.execute(insert(cases), part)
        connection.execute(delete(parties).where(parties.c.case_id.in_(names)))
        connection.execute(delete(links).where(links.c.case_id.in_(names)))
        for table, made in ((parties, _parties(part)), (links, _links(part))):
            if made:
                connection.execute(insert(table), made)
    return len(changed)


def _parties(states: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [
        {"case_id": state["id"], "kind": kind, "name": name}
        for state in states if state["row"]
        for kind, names in (("account", state["row"]["accounts"]), ("device", state["row"]["devices"]))
        for name in dict.fromkeys(names)
    ]  # fmt: skip


def _links(states: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    out = []
    for state in states:
        row = state["row"] or {}
        found = {(other, "merged") for other in row.get("merged", [])}
        found |= {(one["case"], one["why"]) for one in row.get("related", [])}
        out += [{"case_id": state["id"], "other": other, "why": why} for other, why in sorted(found)]
    return out


def _write_history(connection: Connection, files: Sequence[Case]) -> int:
    """Add what is new. What stands there must be how the book's histories begin, else it is another journal's."""
    last = select(history.c.case_id, func.max(history.c.n).label("n"), func.max(history.c.seq).label("seq"))
    held = {row.case_id: (row.n, row.seq) for row in connection.execute(last.group_by(history.c.case_id))}
    fresh = []
    for case in files:
        count, seq = held.get(case.id, (0, 0))
        if count > len(case.history) or (count and max(one["seq"] for one in case.history[:count]) != seq):
            raise _other_journal()
        fresh += [_entry(case.id, one) for one in case.history[count:]]
    if set(held) - {case.id for case in files}:
        raise _other_journal()
    for at in range(0, len(fresh), _CHUNK):
        connection.execute(insert(history), fresh[at : at + _CHUNK])
    return len(fresh)


def _entry(case: str, one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "case_id": case, "n": one["n"], "seq": one["seq"], "time": one["time"], "what": one["what"],
        "said_by": _clean(one["by"]), "round": one["round"],
        "detail": _clean({name: value for name, value in one.items() if name not in _OWN}),
    }  # fmt: skip


def _clean(value: Any) -> Any:  # noqa: ANN401 - JSON-able values
    """JSON-able values without NUL, which PostgreSQL has no place for."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {_clean(name): _clean(one) for name, one in value.items()}
    return [_clean(one) for one in value] if isinstance(value, list | tuple) else value

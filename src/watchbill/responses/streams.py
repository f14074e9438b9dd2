"""The streams that receivers of security events made (SSF 1.0), and the tokens that wait in them: SQLite in the home.

Written by the actions' threads (tokens), by the web (streams, acknowledgements), read by both; each call is one short
transaction. A token's id (`jti`) is put into a stream once, however often the outbox tries.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from watchbill.core.errors import ActionError

PUSH: Final = "urn:ietf:rfc:8935"
POLL: Final = "urn:ietf:rfc:8936"
STATUSES: Final = ("enabled", "paused", "disabled")
TOKENS_MAX: Final = 10_000
"""Tokens that may wait in one stream: a receiver that never polls must not fill the disk."""
SUBJECTS_MAX: Final = 10_000
KEPT_MS: Final = 7 * 86_400_000
"""How long the id of a token that arrived is remembered."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS streams(
  id TEXT PRIMARY KEY, receiver TEXT NOT NULL, told TEXT NOT NULL, status TEXT NOT NULL, verified INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS removed(stream TEXT NOT NULL, subject TEXT NOT NULL, PRIMARY KEY(stream, subject));
CREATE TABLE IF NOT EXISTS tokens(
  number INTEGER PRIMARY KEY, stream TEXT NOT NULL, jti TEXT NOT NULL, token TEXT NOT NULL, state TEXT NOT NULL,
  made INTEGER NOT NULL, UNIQUE(stream, jti));
"""


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream. `events`: the event types asked for, None = all; `header`: what a push sends as Authorization."""

    id: str
    receiver: str
    method: str = POLL
    endpoint: str = ""
    header: str = ""
    events: tuple[str, ...] | None = None
    description: str = ""
    status: str = "enabled"
    reason: str = ""
    verified: int = 0
    """When a verification was last asked for (epoch ms)."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token in a stream: `ready` (polled for, or pushed by its order), `held` (pushed when it may be), or `done`."""

    jti: str
    token: str = field(repr=False)
    state: str = "ready"


class Streams:
    """The store of one home."""

    def __init__(self, home: Path) -> None:
        self._path = home / "ssf.sqlite"
        self._lock = threading.RLock()
        self._database: sqlite3.Connection | None = None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """One transaction.

        Raises:
            ActionError: the disk does not take it, or another process holds it for long.
        """
        with self._lock:
            try:
                database = self._connection()
                database.execute("BEGIN IMMEDIATE")
                try:
                    yield database
                except BaseException:
                    database.execute("ROLLBACK")
                    raise
                database.execute("COMMIT")
            except sqlite3.Error as error:
                todo = "Look at the disk of the home"
                raise ActionError(f"cannot be used ({type(error).__name__})", where="ssf.sqlite", todo=todo) from error

    def _connection(self) -> sqlite3.Connection:
        if self._database is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            database = sqlite3.connect(self._path, timeout=5.0, isolation_level=None, check_same_thread=False)
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=FULL")
            database.executescript(_SCHEMA)
            self._database = database
        return self._database

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    # -- streams -----------------------------------------------------------------------------------------------

    def of(self, receiver: str) -> list[Stream]:
        """The streams of a receiver, by id."""
        with self._open() as database:
            rows = database.execute("SELECT * FROM streams WHERE receiver = ? ORDER BY id", (receiver,)).fetchall()
        return [_stream(row) for row in rows]

    def get(self, receiver: str, stream: str) -> Stream | None:
        """One stream of a receiver."""
        return next((one for one in self.of(receiver) if one.id == stream), None)

    def keep(self, stream: Stream) -> None:
        """Make or change a stream; tokens of one that is disabled are dropped."""
        told = {
            "method": stream.method, "endpoint": stream.endpoint, "header": stream.header, "events": stream.events,
            "description": stream.description, "reason": stream.reason,
        }  # fmt: skip
        with self._open() as database:
            database.execute(
                "INSERT OR REPLACE INTO streams VALUES (?, ?, ?, ?, ?)",
                (stream.id, stream.receiver, json.dumps(told), stream.status, stream.verified),
            )
            if stream.status == "disabled":
                database.execute("DELETE FROM tokens WHERE stream = ? AND state != 'done'", (stream.id,))

    def drop(self, stream: str) -> None:
        """Delete a stream with all that waits in it."""
        with self._open() as database:
            database.execute("DELETE FROM streams WHERE id = ?", (stream,))
            database.execute("DELETE FROM tokens WHERE stream = ?", (stream,))
            database.execute("DELETE FROM removed WHERE stream = ?", (stream,))

    # -- subjects ----------------------------------------------------------------------------------------------

    def remove_subject(self, stream: str, subject: str) -> bool:
        """Send nothing more about a subject (canonical text); False when the stream names too many already."""
        with self._open() as database:
            count = database.execute("SELECT count(*) FROM removed WHERE stream = ?", (stream,)).fetchone()[0]
            if count >= SUBJECTS_MAX:
                return False
            database.execute("INSERT OR IGNORE INTO removed VALUES (?, ?)", (stream, subject))
            return True

    def add_subject(self, stream: str, subject: str) -> None:
        """Send about it again."""
        with self._open() as database:
            database.execute("DELETE FROM removed WHERE stream = ? AND subject = ?", (stream, subject))

    def is_removed(self, stream: str, subject: str) -> bool:
        """Whether the receiver wants nothing about this subject."""
        with self._open() as database:
            query = "SELECT 1 FROM removed WHERE stream = ? AND subject = ?"
            return database.execute(query, (stream, subject)).fetchone() is not None

    # -- tokens ------------------------------------------------------------------------------------------------

    def find(self, stream: str, jti: str) -> Token | None:
        """A token that was put in before."""
        with self._open() as database:
            query = "SELECT jti, token, state FROM tokens WHERE stream = ? AND jti = ?"
            row = database.execute(query, (stream, jti)).fetchone()
        return Token(*row) if row else None

    def put(self, stream: str, token: Token, now: int) -> Token:
        """Put a token in, unless its id is there; the one that is there then.

        Raises:
            ActionError: too many wait already.
        """
        with self._open() as database:
            waiting = "SELECT count(*) FROM tokens WHERE stream = ? AND state != 'done'"
            if database.execute(waiting, (stream,)).fetchone()[0] >= TOKENS_MAX:
                todo = "Its receiver does not fetch them; look at the other side"
                raise ActionError(f"more than {TOKENS_MAX} events wait in a stream", where="ssf", todo=todo)
            database.execute("DELETE FROM tokens WHERE state = 'done' AND made < ?", (now - KEPT_MS,))
            database.execute(
                "INSERT OR IGNORE INTO tokens(stream, jti, token, state, made) VALUES (?, ?, ?, ?, ?)",
                (stream, token.jti, token.token, token.state, now),
            )
            query = "SELECT jti, token, state FROM tokens WHERE stream = ? AND jti = ?"
            return Token(*database.execute(query, (stream, token.jti)).fetchone())

    def done(self, stream: str, jtis: list[str]) -> None:
        """These arrived: only their ids are kept."""
        with self._open() as database:
            database.executemany(
                "UPDATE tokens SET state = 'done', token = '' WHERE stream = ? AND jti = ?",
                [(stream, jti) for jti in jtis],
            )

    def waiting(self, stream: str, states: tuple[str, ...], most: int) -> list[Token]:
        """What waits, oldest first; ask for one more to know whether there is more."""
        marks = ", ".join("?" for _ in states)
        query = f"SELECT jti, token, state FROM tokens WHERE stream = ? AND state IN ({marks}) ORDER BY number LIMIT ?"
        with self._open() as database:
            return [Token(*row) for row in database.execute(query, (stream, *states, most)).fetchall()]

    def verify(self, stream: Stream, token: Token, now: int) -> None:
        """Put a verification into a stream, and note when it was asked for."""
        self.keep(replace(stream, verified=now))
        self.put(stream.id, token, now)


def _stream(row: tuple[Any, ...]) -> Stream:
    told = json.loads(row[2])
    events = tuple(told["events"]) if told["events"] is not None else None
    return Stream(row[0], row[1], **{**told, "events": events}, status=row[3], verified=row[4])

"""The outbox of a home: what other systems are told of, each entry durable before it is sent, in SQLite.

States: `waiting` (for its turn, or to be tried again), `awaiting_approval`, `sent`, `undone` (sent and taken back, or over
before it was sent), `dead` (tried as often as settings allow; kept until somebody retries it), `skipped` (never to be sent;
`note` or `decided` says why). An entry is counted as tried before it is sent, so after a kill in between it is sent again, with the same
id. `open` marks an applied step that is not over. Commands of other processes may change entries meanwhile.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from watchbill.core.errors import LedgerError, NotFoundError
from watchbill.responses.base import Order

FILE: Final = "outbox.sqlite"
STATES: Final = ("waiting", "awaiting_approval", "sent", "undone", "dead", "skipped")
BUSY_SECONDS: Final = 5.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries(
  id INTEGER PRIMARY KEY AUTOINCREMENT, delivery TEXT NOT NULL UNIQUE, action TEXT NOT NULL, who TEXT NOT NULL,
  verb TEXT NOT NULL, why TEXT NOT NULL, step TEXT NOT NULL, case_id TEXT, until INTEGER, told TEXT NOT NULL,
  state TEXT NOT NULL, open INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0,
  next_at INTEGER NOT NULL, made INTEGER NOT NULL, settled INTEGER, note TEXT NOT NULL DEFAULT '', undoes INTEGER,
  decided TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS by_state ON entries(state, action, next_at);
CREATE INDEX IF NOT EXISTS by_made ON entries(action, made);
CREATE INDEX IF NOT EXISTS by_turn ON entries(action, who, id) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS by_until ON entries(until) WHERE open = 1;
CREATE INDEX IF NOT EXISTS by_who ON entries(who) WHERE open = 1;
CREATE TABLE IF NOT EXISTS standing(
  who TEXT PRIMARY KEY, seq INTEGER NOT NULL, steps TEXT NOT NULL, step TEXT NOT NULL, until INTEGER, told TEXT NOT NULL,
  heard INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS unattended(
  delivery TEXT PRIMARY KEY, case_id TEXT, began INTEGER NOT NULL, until INTEGER NOT NULL, noticed INTEGER NOT NULL,
  paged TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_ENTRY: Final = (
    "id, delivery, action, who, verb, why, step, case_id, until, told, state, open, attempts, tries, next_at, made, "
    "settled, note, undoes, decided"
)


class OutboxSettings(BaseModel):
    """`[outbox]`: limits of what waits and what is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    age_minutes: float = Field(default=15.0, gt=0, le=7 * 1440)
    """A step whose record is older than this by the clock is history: it is kept as skipped and never sent."""
    waiting_max: int = Field(default=10_000, ge=1, le=1_000_000)
    kept_max: int = Field(default=100_000, ge=100, le=10_000_000)
    kept_days: float = Field(default=90.0, gt=0, le=3_650)


@dataclass(frozen=True, slots=True)
class Entry:
    """One row; times are epoch milliseconds. `attempts` counts all, `tries` those since it last began."""

    id: int
    delivery: str
    action: str
    who: str
    verb: str
    why: str
    step: str
    case_id: str | None
    until: int | None
    told: str
    state: str
    open: int
    attempts: int
    tries: int
    next_at: int
    made: int
    settled: int | None
    note: str
    undoes: int | None
    decided: str

    @property
    def order(self) -> Order:
        """What the action is told."""
        return Order.from_json(self.told)

    def said(self) -> dict[str, Any]:
        """As `watchbill actions --json` prints it."""
        order = self.order
        return {
            "id": self.id, "delivery": self.delivery, "action": self.action, "verb": self.verb, "why": self.why,
            "step": self.step, "case": self.case_id,
            **({"device": order.device} if order.device else {"account": order.account}), "time": order.time,
            "until": self.until, "state": self.state, "open": bool(self.open), "attempts": self.attempts,
            "next": self.next_at if self.state == "waiting" else None, "made": self.made, "settled": self.settled,
            "note": self.note, "undoes": self.undoes, "decided": self.decided,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standing:
    """The last change of somebody's standing that was heard: its seq, all steps at that seq, and the order it made."""

    who: str
    seq: int
    steps: tuple[str, ...]
    step: str
    until: int | None
    told: str

    @property
    def order(self) -> Order:
        """The order as of that change."""
        return Order.from_json(self.told)

    def heard(self, seq: int, step: str) -> bool:
        """Whether a change came before: rows come again after a restart."""
        return seq < self.seq or (seq == self.seq and step in self.steps)


class Outbox:
    """The outbox of one home, open for writing; any thread may call it."""

    def __init__(self, home: Path, settings: OutboxSettings | None = None) -> None:
        """Open or make it.

        Raises:
            LedgerError: it is damaged, or the disk does not take it.
        """
        self.settings = settings or OutboxSettings()
        self._lock = threading.RLock()
        self._depth = 0
        path = home / FILE
        try:
            home.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._database = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.executescript(_SCHEMA)
            self._database.execute("PRAGMA user_version = 1")
            self._database.execute("INSERT OR IGNORE INTO meta VALUES ('salt', ?)", (secrets.token_hex(16),))
            self.salt: str = self._one("SELECT value FROM meta WHERE name = 'salt'")[0]
        except sqlite3.Error as error:
            raise LedgerError(
                f"cannot be opened ({type(error).__name__})", where=FILE, todo="Move it away; a new one is made"
            ) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction; those inside it are part of it.

        Raises:
            sqlite3.Error: the disk did not take it; nothing of it happened.
        """
        with self._lock:
            if self._depth == 0:
                self._database.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self._database
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._database.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._database.execute("COMMIT")

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- what is to be told ------------------------------------------------------------------------------------

    def add(
        self, action: str, who: str, order: Order, now: int, *, state: str = "waiting", note: str = "",
        undoes: int | None = None,
    ) -> int | None:  # fmt: skip
        """Put an entry in; its id, or None when one with this delivery id is there already."""
        is_open = int(order.verb == "apply" and order.why == "step" and state != "skipped")
        with self.writing() as database:
            done = database.execute(
                "INSERT OR IGNORE INTO entries(delivery, action, who, verb, why, step, case_id, until, told, state, open, "
                "next_at, made, settled, note, undoes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (order.id, action, who, order.verb, order.why, order.step, order.case, order.until, order.to_json(), state,
                 is_open, now, now, now if state == "skipped" else None, note, undoes),
            )  # fmt: skip
            return done.lastrowid if done.rowcount else None

    def is_full(self) -> bool:
        """Whether as much waits as may."""
        count = self._one("SELECT count(*) FROM entries WHERE state IN ('waiting', 'awaiting_approval')")[0]
        return bool(count >= self.settings.waiting_max)

    def applied(self, action: str, since: int) -> int:
        """How many steps an action was told of, or is to be, since a moment."""
        query = "SELECT count(*) FROM entries WHERE action = ? AND made > ? AND verb = 'apply' AND why = 'step' AND state != 'skipped'"
        return int(self._one(query, (action, since))[0])

    def opened(self, who: str) -> list[Entry]:
        """Steps of somebody that are applied, or are to be, and are not over."""
        return self._entries("WHERE open = 1 AND who = ? ORDER BY id", (who,))

    def finish(self, entry: Entry, now: int) -> bool:
        """A step is over. Whether the other side may know of it, so that an undo has to be sent."""
        with self.writing() as database:
            at = self.get(entry.id)
            state = "undone" if at.state in ("waiting", "awaiting_approval") else at.state
            note = "over before it was sent" if state == "undone" and not at.attempts else at.note
            database.execute(
                "UPDATE entries SET open = 0, state = ?, settled = ?, note = ? WHERE id = ?", (state, now, note, at.id)
            )
            return bool(at.attempts)

    def prolong(self, entry: Entry, until: int | None) -> None:
        """The step lasts longer than was said."""
        with self.writing() as database:
            database.execute("UPDATE entries SET until = ? WHERE id = ?", (until, entry.id))

    def lapsing(self, now: int | None) -> list[Entry]:
        """Open entries whose time is over by the clock; None = all that are open."""
        if now is None:
            return self._entries("WHERE open = 1 ORDER BY id")
        return self._entries("WHERE open = 1 AND until <= ? ORDER BY id LIMIT 1000", (now,))

    # -- sending -----------------------------------------------------------------------------------------------

    def claim(self, action: str, now: int) -> Entry | None:
        """The next entry of an action that is due, counted as tried, durably; in order for each account."""
        if not self._one(
            "SELECT 1 FROM entries WHERE state = 'waiting' AND action = ? AND next_at <= ?", (action, now)
        ):
            return None  # the usual case, without holding up whoever writes
        with self.writing() as database:
            found = self._entries(
                "AS e WHERE state = 'waiting' AND action = ? AND next_at <= ? AND NOT EXISTS (SELECT 1 FROM entries AS b "
                "WHERE b.state = 'waiting' AND b.action = e.action AND b.who = e.who AND b.id < e.id) "
                "ORDER BY next_at, id LIMIT 1",
                (action, now),
            )
            if not found:
                return None
            database.execute(
                "UPDATE entries SET attempts = attempts + 1, tries = tries + 1 WHERE id = ?", (found[0].id,)
            )
            return self.get(found[0].id)

    def sent(self, entry: Entry, now: int) -> None:
        """It arrived; an undo that arrived marks what it undid."""
        with self.writing() as database:
            database.execute(
                "UPDATE entries SET state = 'sent', settled = ?, note = '' WHERE id = ? AND state = 'waiting'",
                (now, entry.id),
            )
            if entry.undoes is not None:
                database.execute("UPDATE entries SET state = 'undone', settled = ? WHERE id = ? AND state = 'sent'",
                                 (now, entry.undoes))  # fmt: skip

    def failed(self, entry: Entry, now: int, note: str, *, next_at: int | None) -> None:
        """It did not arrive, or that is not known: try again at `next_at`, or never (None)."""
        state = "waiting" if next_at is not None else "dead"
        with self.writing() as database:
            database.execute(
                "UPDATE entries SET state = ?, next_at = ?, note = ?, settled = ? WHERE id = ? AND state = 'waiting'",
                (state, next_at or now, note, None if next_at is not None else now, entry.id),
            )

    # -- people ------------------------------------------------------------------------------------------------

    def approve(self, number: int, by: str, now: int) -> Entry:
        """A person lets an entry go out.

        Raises:
            NotFoundError: nothing with that number awaits approval.
        """
        return self._decide(number, "waiting", f"approved by {by}", now)

    def refuse(self, number: int, by: str, now: int) -> Entry:
        """A person says that it shall not go out. Raises as `approve`."""
        return self._decide(number, "skipped", f"refused by {by}", now)

    def retry(self, number: int, now: int) -> Entry:
        """Try a dead letter again from the beginning.

        Raises:
            NotFoundError: there is no such dead letter, or its step is over.
        """
        with self.writing() as database:
            done = database.execute(
                "UPDATE entries SET state = 'waiting', tries = 0, next_at = ?, settled = NULL WHERE id = ? AND "
                "state = 'dead' AND (open = 1 OR verb = 'undo' OR why != 'step')",
                (now, number),
            )
            if not done.rowcount:
                todo = "`watchbill actions dead` lists them; one whose step is over is not sent any more"
                raise NotFoundError("there is no such dead letter", where=str(number), todo=todo)
            return self.get(number)

    def _decide(self, number: int, state: str, words: str, now: int) -> Entry:
        with self.writing() as database:
            done = database.execute(
                "UPDATE entries SET state = ?, decided = ?, next_at = ?, open = CASE WHEN ? = 'skipped' THEN 0 ELSE open END, "
                "settled = CASE WHEN ? = 'skipped' THEN ? ELSE settled END WHERE id = ? AND state = 'awaiting_approval'",
                (state, words, now, state, state, now, number),
            )
            if not done.rowcount:
                todo = "`watchbill actions` lists what does"
                raise NotFoundError("nothing with this number awaits approval", where=str(number), todo=todo)
            return self.get(number)

    # -- standing ----------------------------------------------------------------------------------------------

    def standing(self, who: str) -> Standing | None:
        """What was heard last of somebody."""
        row = self._one("SELECT who, seq, steps, step, until, told FROM standing WHERE who = ?", (who,))
        return _standing(row) if row else None

    def suspended(self, now: int | None) -> list[Standing]:
        """Suspensions whose time is over by the clock; None = all that have an end."""
        query = "SELECT who, seq, steps, step, until, told FROM standing WHERE step = 'suspend' AND until "
        rows = self._all(query + "IS NOT NULL") if now is None else self._all(query + "<= ? LIMIT 1000", (now,))
        return [_standing(row) for row in rows]

    def stand(self, standing: Standing, now: int) -> None:
        """Note what was heard."""
        with self.writing() as database:
            database.execute(
                "INSERT OR REPLACE INTO standing VALUES (?, ?, ?, ?, ?, ?, ?)",
                (standing.who, standing.seq, json.dumps(standing.steps), standing.step, standing.until, standing.told, now),
            )  # fmt: skip

    def unattended(self, order: Order, now: int, paged: str) -> bool:
        """Note that nobody looked while somebody was suspended; False when that is noted already."""
        with self.writing() as database:
            done = database.execute(
                "INSERT OR IGNORE INTO unattended VALUES (?, ?, ?, ?, ?, ?)",
                (order.txn, order.case, order.time, order.until or order.time, now, paged),
            )
            return bool(done.rowcount)

    # -- reading -----------------------------------------------------------------------------------------------

    def get(self, number: int) -> Entry:
        """One entry.

        Raises:
            NotFoundError: there is none.
        """
        found = self._entries("WHERE id = ?", (number,))
        if not found:
            raise NotFoundError("there is no such entry", where=str(number), todo="`watchbill actions` lists them")
        return found[0]

    def listed(self, states: Iterable[str] = STATES, most: int = 1_000) -> list[Entry]:
        """The newest entries in these states."""
        wanted = list(states)
        marks = ", ".join("?" for _ in wanted)
        return self._entries(f"WHERE state IN ({marks}) ORDER BY id DESC LIMIT ?", (*wanted, most))

    def counts(self) -> dict[str, int]:
        """Entries by state."""
        found = dict(self._all("SELECT state, count(*) FROM entries GROUP BY state"))
        return {state: int(found.get(state, 0)) for state in STATES}

    def failures(self, most: int = 1_000) -> list[dict[str, Any]]:
        """Suspensions that nobody looked at, newest first: the firm's failures, not the persons'."""
        rows = self._all(
            "SELECT case_id, began, until, noticed, paged FROM unattended ORDER BY noticed DESC LIMIT ?", (most,)
        )
        return [dict(zip(("case", "began", "until", "noticed", "paged"), row, strict=True)) for row in rows]

    def prune(self, now: int) -> None:
        """Forget the oldest of what is settled and not open, and standings of those who are long without a step."""
        before = now - int(self.settings.kept_days * 86_400_000)
        settled = "open = 0 AND state NOT IN ('waiting', 'awaiting_approval')"
        with self.writing() as database:
            database.execute(f"DELETE FROM entries WHERE {settled} AND state != 'dead' AND settled < ?", (before,))
            database.execute(
                f"DELETE FROM entries WHERE {settled} AND id IN (SELECT id FROM entries WHERE {settled} ORDER BY "
                "(state = 'dead') DESC, id DESC LIMIT -1 OFFSET ?)",
                (self.settings.kept_max,),
            )
            database.execute("DELETE FROM standing WHERE step = 'none' AND heard < ?", (before,))
            database.execute(
                "DELETE FROM unattended WHERE noticed < ? OR delivery NOT IN (SELECT delivery FROM unattended ORDER BY "
                "noticed DESC LIMIT ?)",
                (before, self.settings.kept_max),
            )

    def _entries(self, where: str, values: tuple[Any, ...] = ()) -> list[Entry]:
        return [Entry(*row) for row in self._all(f"SELECT {_ENTRY} FROM entries {where}", values)]

    def _all(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._database.execute(query, values).fetchall()

    def _one(self, query: str, values: tuple[Any, ...] = ()) -> tuple[Any, ...]:
        with self._lock:
            row: tuple[Any, ...] = self._database.execute(query, values).fetchone() or ()
            return row


def _standing(row: tuple[Any, ...]) -> Standing:
    return Standing(row[0], row[1], tuple(json.loads(row[2])), row[3], row[4], row[5])

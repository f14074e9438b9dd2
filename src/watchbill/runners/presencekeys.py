"""The keys that may prove presence: who was invited by whom, which keys were enrolled and confirmed, which are revoked.

One SQLite file in the home (`presence/keys.sqlite`, readable by its owner alone); nothing in it is ever deleted, so that it says
who let which key in. An invitation is a code and so could be passed on: a key enrolled with one is good for nothing until the
second person confirms the fingerprint that both see. Times are epoch ms and are handed in.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from watchbill.core.errors import LimitError, NotFoundError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER: Final = "presence"
INVITES_OPEN_MAX: Final = 3
"""Open invitations of one account."""
KEYS_MAX: Final = 10
"""Living keys of one account, those that wait to be confirmed included."""
ROWS_MAX: Final = 5_000_000
_HOUR_MS: Final = 3_600_000
_SCHEMA: Final = """
create table if not exists invites (
    id text primary key, account text not null, by text not null, device text not null, secret blob not null,
    made integer not null, until integer not null, used integer);
create table if not exists keys (
    id text primary key, account text not null, device text not null, credential blob not null unique, public blob not null,
    signs integer not null, aaguid text not null, invite text not null, invited_by text not null, enrolled integer not null,
    confirmed integer, confirmed_by text, revoked integer, revoked_by text, used integer);
create index if not exists keys_account on keys (account);
create index if not exists invites_account on invites (account);
"""


@dataclass(frozen=True, slots=True)
class Invite:
    """An invitation to enrol a key; `device`: the key lives in that device and frees it alone ("" = it frees sessions)."""

    id: str
    account: str
    by: str
    device: str
    made: int
    until: int
    used: int | None


@dataclass(frozen=True, slots=True)
class Key:
    """One enrolled key. `credential`, `public` (COSE), `signs` are WebAuthn's; `id` is ours; None = not (yet)."""

    id: str
    account: str
    device: str
    credential: bytes
    public: bytes
    signs: int
    aaguid: str
    invite: str
    invited_by: str
    enrolled: int
    confirmed: int | None
    confirmed_by: str | None
    revoked: int | None
    revoked_by: str | None
    used: int | None

    @property
    def living(self) -> bool:
        """Not revoked."""
        return self.revoked is None

    @property
    def counts(self) -> bool:
        """Whether it may prove anything."""
        return self.living and self.confirmed is not None

    @property
    def fingerprint(self) -> str:
        """What the owner's page and the second person's list both show."""
        return fingerprint_of(self.public)


def fingerprint_of(public: bytes) -> str:
    """Eight groups of four hex digits of a public key: 128 bits, for two people to compare."""
    text = hashlib.sha256(public).hexdigest()[:32]
    return " ".join(text[at : at + 4] for at in range(0, 32, 4))


class PresenceKeys:
    """The store; every call is one transaction, from any thread or process."""

    def __init__(self, home: Path) -> None:
        folder = home / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self.path = folder / "keys.sqlite"
        self.path.touch(mode=0o600)
        with self._open() as db:
            db.executescript(_SCHEMA)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self.path, timeout=10, isolation_level=None)
        try:
            db.row_factory = sqlite3.Row
            db.execute("pragma synchronous = full")
            yield db
        finally:
            db.close()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._open() as db:
            db.execute("begin immediate")
            try:
                yield db
            except BaseException:
                db.execute("rollback")
                raise
            db.execute("commit")

    # -- invitations -------------------------------------------------------------------------------------------

    def invite(self, account: str, by: str, now: int, *, hours: float, device: str = "") -> tuple[Invite, str]:
        """A new invitation and its code, which is told once and kept only as a hash.

        Raises:
            SettingsError: somebody invites themselves, or a name is empty or too long. LimitError: too many are open.
        """
        _second(by, account)
        if not account or max(len(account), len(device)) > 4096:  # noqa: PLR2004 - the contract's longest name
            raise SettingsError("no account, or a name over 4,096 characters", where="presence invite", todo="Name it")
        code = secrets.token_urlsafe(24)
        made = Invite(secrets.token_hex(8), account, by, device, now, now + int(hours * _HOUR_MS), None)
        with self._write() as db:
            if _one(db, "select count(*) from invites") >= ROWS_MAX:
                raise LimitError("the store of invitations is full", where=FOLDER, todo="Move presence/ aside")
            open_now = "select count(*) from invites where account = ? and used is null and until > ?"
            if _one(db, open_now, account, now) >= INVITES_OPEN_MAX:
                todo = "Use one, or wait until one has run out"
                raise LimitError(f"{INVITES_OPEN_MAX} invitations are open", where="presence invite", todo=todo)
            row = (made.id, account, by, device, hashlib.sha256(code.encode()).digest(), now, made.until)
            db.execute("insert into invites values (?, ?, ?, ?, ?, ?, ?, null)", row)
        return made, code

    def find_invite(self, account: str, code: str, now: int) -> Invite | None:
        """The open invitation of an account that this code opens."""
        digest, found = hashlib.sha256(code.encode()).digest(), None
        with self._open() as db:
            for row in db.execute(
                "select * from invites where account = ? and used is null and until > ?", (account, now)
            ):
                if hmac.compare_digest(digest, row["secret"]):  # all are compared, so that the time says nothing
                    found = _invite(row)
        return found

    # -- keys --------------------------------------------------------------------------------------------------

    def add(self, invite: str, credential: bytes, public: bytes, signs: int, aaguid: str, now: int) -> Key:
        """Enrol a key with an invitation, which is used up; it waits to be confirmed.

        Raises:
            NotFoundError: the invitation is used or has run out. LimitError: the account has too many keys, or this one is known.
        """
        with self._write() as db:
            row = db.execute(
                "select * from invites where id = ? and used is null and until > ?", (invite, now)
            ).fetchone()
            if row is None:
                raise NotFoundError(
                    "the invitation is used or has run out", where="presence", todo="Ask for another one"
                )
            count = _one(db, "select count(*) from keys where account = ? and revoked is null", row["account"])
            known = _one(db, "select count(*) from keys where credential = ?", credential)
            if count >= KEYS_MAX or known:
                todo = "Revoke one that is not used, or enrol another key"
                raise LimitError(f"this key is known, or there are {KEYS_MAX}", where="presence", todo=todo)
            db.execute("update invites set used = ? where id = ?", (now, invite))
            identity = hashlib.sha256(credential).hexdigest()[:16]
            values = (
                identity,
                row["account"],
                row["device"],
                credential,
                public,
                signs,
                aaguid,
                invite,
                row["by"],
                now,
            )
            db.execute(f"insert into keys values ({', '.join('?' * 10)}, null, null, null, null, null)", values)
        return self.key(identity)

    def confirm(self, identity: str, by: str, now: int) -> Key:
        """The second person saw the owner and the fingerprint: from now on the key counts.

        Raises:
            NotFoundError: no such living key. SettingsError: the owner confirms their own.
        """
        _second(by, self.key(identity).account)
        with self._write() as db:
            db.execute(
                "update keys set confirmed = ?, confirmed_by = ? where id = ? and confirmed is null and revoked is null",
                (now, by, identity),
            )
        made = self.key(identity)
        if not made.living:
            raise NotFoundError("the key is revoked", where="presence confirm", todo="Enrol it again")
        return made

    def revoke(self, identity: str, by: str, now: int) -> Key:
        """From now on the key counts for nothing; for good.

        Raises:
            NotFoundError: no such key.
        """
        with self._write() as db:
            db.execute(
                "update keys set revoked = ?, revoked_by = ? where id = ? and revoked is null", (now, by, identity)
            )
        return self.key(identity)

    def sign(self, identity: str, signs: int, now: int) -> bool:
        """Note a use, with the authenticator's counter; False when the key no longer counts or the counter did not rise.

        Keys that never count say 0; one that counted never goes back, however two uses race.
        """
        with self._write() as db:
            done = db.execute(
                "update keys set signs = ?, used = ? where id = ? and confirmed is not null and revoked is null and (signs < ? or (signs = 0 and ? = 0))",
                (signs, now, identity, signs, signs),
            )
            return done.rowcount == 1

    def key(self, identity: str) -> Key:
        """One key.

        Raises:
            NotFoundError: no such key.
        """
        with self._open() as db:
            row = db.execute("select * from keys where id = ?", (identity,)).fetchone()
        if row is None:
            raise NotFoundError("there is no such key", where="presence", todo="`watchbill presence list` lists them")
        return Key(**dict(row))

    def keys(self, account: str | None = None) -> list[Key]:
        """All keys, or those of an account, in order of enrolment; revoked ones too."""
        asked, values = ("where account = ?", (account,)) if account is not None else ("", ())
        with self._open() as db:
            rows = db.execute(f"select * from keys {asked} order by enrolled, id", values).fetchall()
        return [Key(**dict(row)) for row in rows]

    def invites(self, account: str | None = None) -> list[Invite]:
        """All invitations, or those of an account, in order; used ones and those that ran out too."""
        asked, values = ("where account = ?", (account,)) if account is not None else ("", ())
        with self._open() as db:
            rows = db.execute(f"select * from invites {asked} order by made, id", values).fetchall()
        return [_invite(row) for row in rows]


def _invite(row: sqlite3.Row) -> Invite:
    return Invite(**{name: row[name] for name in ("id", "account", "by", "device", "made", "until", "used")})


def _one(db: sqlite3.Connection, query: str, *values: object) -> int:
    found: Any = db.execute(query, values).fetchone()[0]
    return int(found)


def _second(by: str, account: str) -> None:
    if not 0 < len(by) <= 64:  # noqa: PLR2004 - as a reviewer's pseudonym
        raise SettingsError("nobody is named, or with over 64 characters", where="--by", todo="Say who says so")
    if by == account:
        raise SettingsError("an owner cannot vouch for themselves", where="--by", todo="A second person does it")

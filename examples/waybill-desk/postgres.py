"""A PostgreSQL of one's own for as long as it is needed: in a temporary folder, on loopback, never as root.

Its log (JSON) is what Watchbill follows beside the desk's own: connections, and statements by pgaudit where that is installed, with
the tables that they really read and the rows that they got; else by log_statement, as text.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg

OWNER: Final = "owner"
VERSION_MIN: Final = 15
"""The first release that writes its log as JSON."""
_AUDIT: Final = {
    "shared_preload_libraries": "pgaudit", "pgaudit.log": "read, write", "pgaudit.log_relation": "on", "pgaudit.log_rows": "on", "pgaudit.log_catalog": "off",
}  # fmt: skip
_USERS: Final = ("postgres", "nobody")
_START_SECONDS: Final = 60.0


class NoPostgresError(RuntimeError):
    """There is no PostgreSQL that can be started here; the text says why."""


@dataclass(frozen=True)
class Postgres:
    """A running server. `log` is its JSON log file; `audited`: written by pgaudit, else by log_statement."""

    port: int
    password: str
    log: Path
    programs: Path
    audited: bool

    def dsn(self, user: str = OWNER, password: str = "") -> str:
        """How to connect."""
        return f"host=127.0.0.1 port={self.port} dbname=postgres user={user} password={password or self.password}"


def programs() -> Path:
    """The folder of initdb and postgres: WATCHBILL_POSTGRES, Debian's, Homebrew's, or what PATH names.

    Raises:
        NoPostgresError: none is installed, or only one that is too old.
    """
    named = os.environ.get("WATCHBILL_POSTGRES")
    found = [Path(named)] if named else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    found += sorted(Path("/opt/homebrew/opt").glob("postgresql*/bin"), reverse=True)
    on_path = shutil.which("initdb")
    found += [Path(on_path).resolve().parent] if on_path else []
    for folder in found:
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
            version = re.search(r"\) (\d+)", said)
            if version and int(version[1]) >= VERSION_MIN:
                return folder
    raise NoPostgresError(f"no PostgreSQL {VERSION_MIN} or newer is installed (scripts/install-postgresql)")


def _user() -> dict[str, Any]:
    """Arguments of subprocess that make a process somebody else's than root's: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in _USERS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise NoPostgresError("this is root, and neither user of " + ", ".join(_USERS) + " exists to run PostgreSQL as")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


def can_audit(folder: Path) -> bool:
    """Whether pgaudit is installed beside these programs."""
    said = subprocess.run([folder / "pg_config", "--pkglibdir"], capture_output=True, text=True, check=False).stdout
    return any((Path(said.strip()) / f"pgaudit.{ending}").is_file() for ending in ("so", "dylib"))


@contextlib.contextmanager
def running(*, audited: bool | None = None) -> Iterator[Postgres]:
    """A fresh server; when the block ends it is stopped and its folder removed. `audited` None: with pgaudit where it is installed.

    Raises:
        NoPostgresError: it cannot be started here; the text says why.
    """
    folder, user = programs(), _user()
    place = Path(tempfile.mkdtemp(prefix="waybill-desk-pg-"))
    try:
        if user:
            os.chown(place, user["user"], user["group"])
        server = Postgres(
            free_port(),
            secrets.token_hex(16),
            place / "log" / "postgresql.json",
            folder,
            can_audit(folder) if audited is None else audited,
        )
        process = _start(server, place, user)
        try:
            _wait(server, process)
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
            process.wait(30)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _start(server: Postgres, place: Path, user: dict[str, Any]) -> subprocess.Popen[bytes]:
    secret = place / "password"
    secret.write_text(server.password)
    if user:
        os.chown(secret, user["user"], user["group"])
    plain = {
        "cwd": place,
        "env": {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        "stdin": subprocess.DEVNULL,
        **user,
    }
    done = subprocess.run(
        [server.programs / "initdb", "-D", place / "data", "-U", OWNER, "-A", "scram-sha-256", f"--pwfile={secret}",
         "-E", "UTF8", "--no-sync"],
        capture_output=True, text=True, check=False, **plain,
    )  # fmt: skip
    secret.unlink()
    if done.returncode:
        raise NoPostgresError("initdb failed: " + " ".join(done.stderr.split())[-300:])
    told = {
        "listen_addresses": "127.0.0.1", "port": server.port, "unix_socket_directories": "", "fsync": "off",
        "logging_collector": "on", "log_destination": "jsonlog", "log_directory": server.log.parent,
        "log_filename": server.log.stem + ".log", "log_rotation_age": 0, "log_file_mode": "0640", "log_timezone": "UTC",
        "log_connections": "on",
    }  # fmt: skip
    told |= _AUDIT if server.audited else {"log_statement": "all"}
    words = [word for name, value in told.items() for word in ("-c", f"{name}={value}")]
    return subprocess.Popen(
        [server.programs / "postgres", "-D", place / "data", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **plain,
    )


def _wait(server: Postgres, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise NoPostgresError(f"postgres ended at once, with {process.returncode}")
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(server.dsn(), connect_timeout=2):
            return
        time.sleep(0.05)
    raise NoPostgresError(f"postgres did not answer within {_START_SECONDS:.0f} seconds")

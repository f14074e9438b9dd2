"""A real PostgreSQL for tests: started once, in a temporary folder, on loopback, by a user that is not root.

`why_not()` says why there is none here; `database()` makes an empty database in it and gives its URL.
"""

from __future__ import annotations

import atexit
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

_NUMBER = itertools.count()


def why_not() -> str:
    """Why no server can be started here; "" when one can."""
    if _bin() is None:
        return "no PostgreSQL server is installed (/usr/lib/postgresql/*/bin, or initdb on the PATH)"
    if os.geteuid() == 0 and _user() is None:
        return "PostgreSQL does not run as root, and there is no user postgres or nobody"
    return ""


def _bin() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parent.parent.name)
    named = shutil.which("initdb")
    return found[-1].parent if found else Path(named).parent if named else None


def _user() -> pwd.struct_passwd | None:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


@cache
def _server() -> int:
    """The port of the server, which ends with this process."""
    folder, programs, user = Path(tempfile.mkdtemp(prefix="wb-pg-")), _bin(), _user()
    assert programs is not None
    who: dict[str, Any] = {}
    if os.geteuid() == 0 and user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
        who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    data = folder / "data"
    run: dict[str, Any] = {"capture_output": True, "cwd": folder, "timeout": 100, **who}
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "watchbill", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
        check=True,
        **run,
    )
    options = f"-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -p {port}"
    subprocess.run(
        [programs / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-o", options, "start"], check=True, **run
    )

    def stop() -> None:
        subprocess.run([programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"], check=False, **run)
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)
    return port


def database() -> str:
    """The URL of a new, empty database."""
    import psycopg

    name = f"cases_{os.getpid()}_{next(_NUMBER)}"
    with psycopg.connect(f"host=127.0.0.1 port={_server()} user=watchbill dbname=postgres", autocommit=True) as link:
        link.execute(f"create database {name}")
    return f"postgresql+psycopg://watchbill@127.0.0.1:{_server()}/{name}"

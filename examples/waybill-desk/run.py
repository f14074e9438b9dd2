"""The waybill desk, end to end: a real PostgreSQL, the desk, `watchbill run`, and the story with what came of it.

    python examples/waybill-desk/run.py [--json] [--keep FOLDER]

Needs the development dependencies and PostgreSQL 15 or newer (scripts/install-postgresql). Everything listens on 127.0.0.1 and
stands in a temporary folder.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import postgres
import story
import world

HERE: Final = Path(__file__).resolve().parent
SOURCE: Final = HERE.parents[1] / "src"
STARTS_SECONDS: Final = 180.0
"""In a fresh checkout the kernels are compiled first."""


class Watchbill:
    """`watchbill run` in a process of its own."""

    def __init__(self, folder: Path, tokens: dict[str, str]) -> None:
        self._said: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "watchbill.cli", "run", "--config", folder / "watchbill.toml", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment() | tokens,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        _until(lambda: self.url or self._process.poll() is not None, STARTS_SECONDS)
        if not self.url:
            raise RuntimeError("watchbill did not start: " + "".join(self._said))

    @property
    def url(self) -> str:
        """Where it listens, once it does."""
        found = re.search(r"listening on (\S+)", "".join(self._said))
        return f"http://{found[1]}" if found else ""

    def _read(self) -> None:
        assert self._process.stderr is not None
        self._said += self._process.stderr

    def end(self) -> dict[str, Any]:
        """Stop it cleanly; its summary."""
        self._process.terminate()
        out, _ = (self._process.stdout.read() if self._process.stdout else ""), self._process.wait(60)
        self._reader.join(60)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        return dict(json.loads(out)) if out.strip() else {}


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE), str(HERE)]), "PYTHONUNBUFFERED": "1"}


def _until(true: Callable[[], Any], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError("it did not happen in time")
        time.sleep(0.02)


@contextlib.contextmanager
def _desk(dsn: str, log: Path, client: dict[str, Any]) -> Iterator[str]:
    """The desk in a process of its own; its address."""
    port = postgres.free_port()
    told = {"dsn": dsn, "log": str(log), "port": port, "client": client}
    process = subprocess.Popen([sys.executable, HERE / "app.py"], env=_environment() | {"DESK_SETTINGS": json.dumps(told)})
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"the desk ended at once, with {process.returncode}")
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(url, trust_env=False).status_code == httpx.codes.OK
        return False

    try:
        _until(answers, 30)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def prepare(folder: Path, server: postgres.Postgres) -> world.World:
    """Tables, settings, and the past days in Watchbill's ledger."""
    there = world.make(time.time_ns() // 1_000_000)
    world.write_past(there, folder)
    for name in ("desklog", "scans"):
        (folder / name).mkdir()
    shutil.copytree(HERE / "rules", folder / "rules")
    text = (HERE / "settings.toml").read_text(encoding="utf-8")
    text = text.replace("port = 8790", f"port = {postgres.free_port()}").replace("POSTGRES_LOG", str(server.log))
    (folder / "watchbill.toml").write_text(text, encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "watchbill.cli", "replay", folder / "past" / "records.ndjson", "--config", folder / "watchbill.toml",
         "--home", folder / "home", "--out", folder / "out"],
        env=_environment(), check=True, capture_output=True,
    )  # fmt: skip
    return there


def play(folder: Path, server: postgres.Postgres) -> dict[str, Any]:
    """The whole of it; what came of it."""
    there = prepare(folder, server)
    desk_token, spool_token, app_password, dba_password = (secrets.token_hex(16) for _ in range(4))
    world.fill(there, server.dsn(), app_password, dba_password)
    watchbill = Watchbill(folder, {"DESK_TOKEN": desk_token, "SPOOL_TOKEN": spool_token})
    client = {
        "url": watchbill.url, "token": desk_token, "timeout_seconds": 20.0, "on_failure": {"view": "few", "export": "deny"},
        "spool_folder": str(folder / "spool"), "records_token": spool_token,
    }  # fmt: skip
    try:
        with _desk(server.dsn("desk_app", app_password), folder / "desklog" / "looks.ndjson", client) as url:
            own, rented = there.clerks[0], there.clerks[1]
            honest = story.honest(url, there, own, server.dsn(), folder / "scans")
            renter = story.renter(url, there, rented)
            rows = story.around(server, dba_password, there.parcels[:5])
            time.sleep(3.0)
    finally:
        summary = watchbill.end()
    return told(folder, there, honest, renter, rows, summary)


def told(
    folder: Path, there: world.World, honest: story.Seen, renter: story.Seen, rows: int, summary: dict[str, Any]
) -> dict[str, Any]:
    """What the story and Watchbill's own files say."""
    cases, findings = (_lines(folder / "home" / name) for name in ("cases.ndjson", "findings.ndjson"))
    steps = _lines(folder / "home" / "interventions.ndjson")
    own, rented = there.clerks[0].account, there.clerks[1].account
    return {
        "honest": {"looks": honest.looks, "plain": honest.plain, "masked": honest.masked, "refused": dict(honest.refused),
                   "steps": [step["step"] for step in steps if step.get("account") == own]},
        "renter": {"looks": renter.looks, "plain before the stop": renter.before_the_stop(), "plain": renter.plain, "masked": renter.masked,
                   "refused": dict(renter.refused), "steps": [step["step"] for step in steps if step.get("account") == rented],
                   "cases": [case["kind"] for case in cases if rented in case["accounts"]]},
        "psql": {"rows": rows, "findings": sum(one["account"] == "IT01" for one in findings),
                 "cases": [case["kind"] for case in cases if "IT01" in case["accounts"]],
                 "steps": [step["step"] for step in steps if step.get("account") == "IT01"]},
        "ledger": {"height": summary["ledger_height"], "quarantined": summary["quarantined"], "decisions": summary["decisions"]},
    }  # fmt: skip


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def main(words: list[str] | None = None) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path, help="keep the work folder here")
    given = parser.parse_args(words)
    folder = Path(tempfile.mkdtemp(prefix="waybill-desk-"))
    try:
        with postgres.running() as server:
            result = play(folder, server)
    except postgres.NoPostgresError as error:
        print(f"skipped: {error}")
        return 0
    finally:
        if given.keep:
            shutil.copytree(folder, given.keep)
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(result, ensure_ascii=False, indent=2) if given.json else show(result))
    return 0


def show(result: dict[str, Any]) -> str:
    """As text."""
    return json.dumps(result, ensure_ascii=False, indent=1)


if __name__ == "__main__":
    sys.exit(main())

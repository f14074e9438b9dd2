"""The waybill desk, end to end: a real PostgreSQL, the desk, `watchbill run`, and the story with what came of it.

    python examples/waybill-desk/run.py [--hidden] [--json] [--keep FOLDER]

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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import httpx
import story
import world

import postgres

HERE: Final = Path(__file__).resolve().parent
SOURCE: Final = HERE.parents[1] / "src"
SQL_LOOKS: Final = 6
"""Statements of story.around that read the customers' table."""
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
        if self._process.stderr is not None:
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
    process = subprocess.Popen(
        [sys.executable, HERE / "app.py"], env=_environment() | {"DESK_SETTINGS": json.dumps(told)}
    )
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


def play(folder: Path, server: postgres.Postgres, *, hidden: bool = False) -> dict[str, Any]:
    """The whole of it; what came of it."""
    there = prepare(folder, server)
    tokens = {"DESK_TOKEN": secrets.token_hex(16), "SPOOL_TOKEN": secrets.token_hex(16)}
    app_password, dba_password = secrets.token_hex(16), secrets.token_hex(16)
    world.fill(there, server.dsn(), app_password, dba_password, "pgaudit.log" if server.audited else "log_statement")
    watchbill = Watchbill(folder, tokens)
    client = {
        "url": watchbill.url, "token": tokens["DESK_TOKEN"], "timeout_seconds": 20.0, "on_failure": {"view": "few", "export": "deny"},
        "spool_folder": str(folder / "spool"), "records_token": tokens["SPOOL_TOKEN"], "deliver_seconds": 0.5,
    }  # fmt: skip
    try:
        with _desk(server.dsn("desk_app", app_password), folder / "desklog" / "looks.ndjson", client) as url:
            own, rented, third = there.clerks[:3]
            with ThreadPoolExecutor() as at_once:
                clerk = at_once.submit(story.honest, url, there, own, server.dsn(), folder / "scans")
                other = at_once.submit(story.renter, url, there, rented, hidden=hidden)
                seen = {"honest": clerk.result(), "renter": other.result()}
            watchbill.end()
            seen["outage"] = story.outage(url, there, third)
            watchbill = Watchbill(folder, tokens)
            _until(lambda: not any((folder / "spool").iterdir()), 60)
            rows = story.around(server, dba_password, there.parcels[:5])
            _until(lambda: _saw_with_sql(folder)[0] >= SQL_LOOKS, 60)
    finally:
        summary = watchbill.end()
    return {"pgaudit": server.audited, **told(folder, there, seen, rows, summary)}


def _saw_with_sql(folder: Path) -> tuple[int, int | None]:
    """(looks past the desk in the ledger, persons at most), as `watchbill saw` says: nobody knows whom they showed."""
    done = subprocess.run(
        [sys.executable, "-m", "watchbill.cli", "saw", "IT01", "--home", folder / "home", "--json"],
        env=_environment(), check=False, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        return 0, 0
    said = json.loads(done.stdout)
    return sum(gap["looks"] for gap in said["gaps"] if gap["kind"] == "no_subjects"), said["upper"]


def told(
    folder: Path, there: world.World, seen: dict[str, story.Seen], rows: int, summary: dict[str, Any]
) -> dict[str, Any]:
    """What the story and Watchbill's own files say."""
    cases, findings, steps = (
        _lines(folder / "home" / f"{name}.ndjson") for name in ("cases", "findings", "interventions")
    )
    out: dict[str, Any] = {}
    for (name, what), clerk in zip(seen.items(), there.clerks, strict=False):
        out[name] = {
            "looks": what.looks, "plain before the stop": what.before_the_stop(), "plain": what.plain, "masked": what.masked,
            "refused": dict(what.refused), **_of(clerk.account, cases, steps),
        }  # fmt: skip
    looks, most = _saw_with_sql(folder)
    found = sum(one["account"] == "IT01" for one in findings)
    out["psql"] = {
        "rows": rows,
        "looks": looks,
        "persons at most": most,
        "findings": found,
        **_of("IT01", cases, steps),
    }
    out["ledger"] = {"height": summary["ledger_height"], "quarantined": summary["quarantined"]}
    return out


def _of(account: str, cases: list[dict[str, Any]], steps: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "steps": [step["step"] for step in steps if step.get("account") == account],
        "cases": [{"kind": case["kind"], "persons": case["persons"]} for case in cases if account in case["accounts"]],
    }


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def main(words: list[str] | None = None) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path, help="keep the work folder here")
    parser.add_argument(
        "--hidden", action="store_true", help="the renter sits at the owner's own machine, by remote control"
    )
    given = parser.parse_args(words)
    folder = Path(tempfile.mkdtemp(prefix="waybill-desk-"))
    try:
        with postgres.running() as server:
            result = play(folder, server, hidden=given.hidden)
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
    lines = [f"PostgreSQL's log is written by {'pgaudit' if result['pgaudit'] else 'log_statement'}", ""]
    lines.append(f"{'':<10}{'looks':>6}{'plain':>7}{'masked':>8}  answered otherwise")
    for name in ("honest", "renter", "outage"):
        row = result[name]
        other = ", ".join(f"{count} x {status}" for status, count in sorted(row["refused"].items())) or "-"
        lines.append(f"{name:<10}{row['looks']:>6}{row['plain']:>7}{row['masked']:>8}  {other}")
    renter, psql = result["renter"], result["psql"]
    cases = "; ".join(f"{case['kind']}, {case['persons']} persons exposed" for case in renter["cases"]) or "none"
    lines += [
        "", f"the renter had {renter['plain before the stop']} records in plain before he was stopped ({', '.join(renter['steps'])}); case: {cases}",
        f"the honest clerk was masked {result['honest']['masked']} times; steps: {', '.join(result['honest']['steps']) or 'none'}",
        f"psql fetched {psql['rows']:,} rows: {psql['looks']} looks in the ledger, at most {_count(psql['persons at most'])} persons",
        f"  {psql['findings']} finding; steps: {', '.join(psql['steps']) or 'none'}",
        f"{result['ledger']['height']:,} records in the ledger, {result['ledger']['quarantined']} quarantined",
    ]  # fmt: skip
    return "\n".join(lines)


def _count(number: int | None) -> str:
    return "an unknown number of" if number is None else f"{number:,}"


if __name__ == "__main__":
    sys.exit(main())

"""Decisions over HTTP: latency at a steady rate with durability on, decisions a CPU second, overload; beside Cerbos and a bare fsync.

Bias: one machine runs server and load generator; CPU seconds are the server's whole process tree alone. Cerbos (npm binary, HTTP) evaluates a
comparable rule (role, field, explained) and keeps no record of anything; the bare endpoint appends a line and syncs it, several
requests with one sync, and decides nothing. All three under the same server-side HTTP load from the same generator.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import load
from common import SOURCE, say

TOKEN = "a-token-of-this-benchmark"  # noqa: S105 - it opens nothing
ACCOUNTS = 5_000
LIMIT_P50, LIMIT_P99 = 3.0, 10.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """CPU seconds of a process and its children that live."""
    total = 0.0
    pids = [pid]
    while pids:
        one = pids.pop()
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            pids += [int(child) for child in Path(f"/proc/{one}/task/{one}/children").read_text().split()]
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def process(command: list[str], ready: Callable[[], bool], **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, **more
    )
    try:
        load.until(lambda: ready() or started.poll() is not None)
        if started.poll() is not None:
            raise RuntimeError(f"{command[0]} ended with {started.returncode}")
        yield started
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGTERM)
            try:
                started.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(started.pid, signal.SIGKILL)
                started.wait()


def listening(port: int) -> Callable[[], bool]:
    def there() -> bool:
        with socket.socket() as one:
            one.settimeout(0.2)
            return one.connect_ex(("127.0.0.1", port)) == 0

    return there


# -- the three servers ---------------------------------------------------------------------------------------------


def watchbill(place: Path, port: int, waiting_max: int = 1024) -> Any:
    """`watchbill run` with a roster of ACCOUNTS couriers and nothing but decisions."""
    (place / "reference").mkdir(parents=True)
    roster = "".join(f"a{n},courier,O{n % 100}\n" for n in range(ACCOUNTS))
    (place / "reference" / "accounts.csv").write_text("account,role,outlet\n" + roster)
    (place / "reference" / "outlets.csv").write_text("outlet,name\n" + "".join(f"O{n},o{n}\n" for n in range(100)))
    (place / "watchbill.toml").write_text(
        f'home = "home"\nreference = "reference"\n[http]\nport = {port}\n'
        f"[decisions]\nwaiting_max = {waiting_max}\n[decisions.callers.desk]\n"
        f'token = "{TOKEN}"\nrequests_per_second_max = 1000000\n'
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "watchbill.cli", "run", "--config", str(place / "watchbill.toml")]
    return process(command, listening(port), env=environment)


def evaluation(number: int) -> dict[str, Any]:
    return {
        "subject": {"type": "user", "id": f"a{number * 7919 % ACCOUNTS}", "properties": {"device": f"d{number * 7919 % ACCOUNTS}"}},
        "action": {"name": "view"},
        "resource": {
            "type": "waybill", "id": f"YT{number}",
            "properties": {"subjects": [f"p{number}"], "fields": ["recipient.name", "recipient.phone", "recipient.address"]},
        },
        "context": {"ip": "10.0.0.1", "session": f"s{number * 7919 % ACCOUNTS}"},
    }  # fmt: skip


def ask(run: str) -> Callable[[int], bytes]:
    return lambda number: load.post(
        "/access/v1/evaluation",
        json.dumps(evaluation(number)).encode(),
        f"Authorization: Bearer {TOKEN}",
        f"X-Request-ID: {run}-{number}",
    )


def asks(run: str, size: int) -> Callable[[int], bytes]:
    def make(number: int) -> bytes:
        body = {"evaluations": [evaluation(number * size + k) for k in range(size)]}
        return load.post(
            "/access/v1/evaluations",
            json.dumps(body).encode(),
            f"Authorization: Bearer {TOKEN}",
            f"X-Request-ID: {run}-{number}",
        )

    return make


POLICY = """
apiVersion: api.cerbos.dev/v1
resourcePolicy:
  resource: waybill
  version: default
  rules:
    - actions: ["view"]
      effect: EFFECT_ALLOW
      roles: ["courier"]
      condition:
        match:
          all:
            of:
              - expr: request.resource.attr.outlet == request.principal.attr.outlet
              - expr: request.principal.attr.unexplained < 8
              - expr: '!("recipient.id_number" in request.resource.attr.fields)'
"""


def cerbos(place: Path, port: int, binary: str) -> Any:
    (place / "policies").mkdir(parents=True)
    (place / "policies" / "waybill.yaml").write_text(POLICY)
    (place / "conf.yaml").write_text(
        f"server:\n  httpListenAddr: 127.0.0.1:{port}\n  grpcListenAddr: 127.0.0.1:{free_port()}\n  requestLimits:\n    maxResourcesPerRequest: 50\n"
        f"storage:\n  driver: disk\n  disk:\n    directory: {place / 'policies'}\ntelemetry:\n  disabled: true\n"
    )
    return process([binary, "server", f"--config={place / 'conf.yaml'}", "--log-level=error"], listening(port))


def check(size: int) -> Callable[[int], bytes]:
    def make(number: int) -> bytes:
        resources = [
            {
                "resource": {
                    "kind": "waybill", "id": f"YT{number * size + k}",
                    "attr": {"outlet": "O1", "fields": ["recipient.name", "recipient.phone", "recipient.address"]},
                },
                "actions": ["view"],
            }
            for k in range(size)
        ]  # fmt: skip
        principal = {"id": f"a{number % ACCOUNTS}", "roles": ["courier"], "attr": {"outlet": "O1", "unexplained": 3}}
        body = {"requestId": str(number), "principal": principal, "resources": resources}
        return load.post("/api/check/resources", json.dumps(body).encode())

    return make


BARE = """
import asyncio, os, sys
from concurrent.futures import ThreadPoolExecutor
file = os.open(sys.argv[2], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
pool, waiting, busy = ThreadPoolExecutor(1), [], False
def sync(lines):
    os.write(file, b"".join(lines)); os.fdatasync(file)
async def flush():
    global busy, waiting
    busy = True
    while waiting:
        now, waiting = waiting, []
        await asyncio.get_running_loop().run_in_executor(pool, sync, [line for line, _ in now])
        for _, done in now:
            done.set_result(None)
    busy = False
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = (await receive())["body"]
    done = asyncio.get_running_loop().create_future()
    waiting.append((body + b"\\n", done))
    if not busy:
        asyncio.ensure_future(flush())
    await done
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})
import uvicorn
uvicorn.run(app, port=int(sys.argv[1]), access_log=False, log_level="error", lifespan="off")
"""


def bare(place: Path, port: int) -> Any:
    place.mkdir(parents=True)
    (place / "bare.py").write_text(BARE)
    return process([sys.executable, str(place / "bare.py"), str(port), str(place / "lines")], listening(port))


# -- measuring -----------------------------------------------------------------------------------------------------


def steady(port: int, pid: int, make: Callable[[int], bytes], rate: float, seconds: float) -> list[str]:
    before = cpu_seconds(pid)
    got = load.run(("127.0.0.1", port), make, count=int(rate * seconds), rate=rate)
    spent = cpu_seconds(pid) - before
    good = got.statuses.get(200, 0)
    return [
        f"{good / got.took:,.0f}", f"{load.quantile(got.seconds, 0.5):.2f}", f"{load.quantile(got.seconds, 0.99):.2f}",
        f"{load.quantile(got.seconds, 0.999):.1f}", f"{good / spent:,.0f}" if spent else "-", f"{got.failed + sum(got.statuses.values()) - good}",
    ]  # fmt: skip


def closed(port: int, pid: int, make: Callable[[int], bytes], count: int, size: int, lines: int) -> list[str]:
    load.run(("127.0.0.1", port), make, count=max(50, count // 20), lines=lines)
    before = cpu_seconds(pid)
    got = load.run(("127.0.0.1", port), lambda n: make(n + count), count=count, lines=lines)
    spent = cpu_seconds(pid) - before
    good = got.statuses.get(200, 0) * size
    return [
        f"{good / got.took:,.0f}",
        f"{good / spent:,.0f}",
        f"{got.failed + sum(got.statuses.values()) * size - good}",
    ]


def overload(port: int, pid: int, run: str, seconds: float) -> list[str]:
    """More asks at once than may wait: sent away with 429, and whoever is answered is answered rightly."""
    got = load.run(("127.0.0.1", port), ask(run), count=int(6_000 * seconds), rate=6_000, lines=900, keep=True)
    wrong = 0
    for _, body in got.bodies:
        said = json.loads(body)
        if "decision" in said:
            fields = said["context"]["watchbill"].get("fields", {})
            wrong += not (
                said["decision"] in (True, False)
                and set(fields) <= {"recipient.name", "recipient.phone", "recipient.address"}
            )
            wrong += said["context"]["watchbill"]["decision"] != "allow" and "plain" in fields.values()
        else:
            wrong += said["error"]["status"] != 429
    return [
        f"{got.statuses.get(200, 0):,}",
        f"{got.statuses.get(429, 0):,}",
        f"{got.failed}",
        str(wrong),
        f"{rss_mb(pid):.0f}",
    ]


def cerbos_binary(given: str) -> str | None:
    found = given or shutil.which("cerbos") or ""
    place = Path(tempfile.gettempdir()) / "watchbill-bench" / "cerbos"
    if not found and shutil.which("npm"):
        name = "@cerbos/cerbos-linux-x64"
        subprocess.run(
            ["npm", "install", "--silent", "--no-save", "--prefix", str(place), name],
            check=False,
            stdout=subprocess.DEVNULL,
        )
        held = sorted(place.glob("node_modules/@cerbos/cerbos-*/cerbos-*"))
        found = str(held[0]) if held else ""
    return found or None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=1_000)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--closed", type=int, default=20_000, help="requests of the closed loops")
    parser.add_argument("--cerbos", default="", help="its binary; else npm's package is fetched")
    given = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="watchbill-decisions-"))
    latency: list[list[str]] = []
    power: list[list[str]] = []
    shed: list[list[str]] = []
    try:
        port = free_port()
        with watchbill(place / "w", port) as server:
            load.run(("127.0.0.1", port), ask("warm"), count=3_000, rate=500)
            latency.append(["Watchbill", *steady(port, server.pid, ask("steady"), given.rate, given.seconds)])
            for name, make, size, lines in (
                ("singly", ask("one"), 1, 64),
                ("in batches of 50", asks("many", 50), 50, 8),
            ):
                count = given.closed // size * (4 if size > 1 else 1)
                power.append(["Watchbill", name, *closed(port, server.pid, make, count, size, lines)])
            shed.append(overload(port, server.pid, "over", 5))
        binary = cerbos_binary(given.cerbos)
        if binary:
            port = free_port()
            with cerbos(place / "c", port, binary) as server:
                load.run(("127.0.0.1", port), check(1), count=3_000, rate=500)
                latency.append(["Cerbos", *steady(port, server.pid, check(1), given.rate, min(60, given.seconds))])
                for name, size, lines in (("singly", 1, 64), ("in batches of 50", 50, 8)):
                    count = given.closed // size * (4 if size > 1 else 1)
                    power.append(["Cerbos", name, *closed(port, server.pid, check(size), count, size, lines)])
        port = free_port()
        with bare(place / "b", port) as server:
            load.run(("127.0.0.1", port), ask("warm"), count=3_000, rate=500)
            latency.append(
                ["write and fsync only", *steady(port, server.pid, ask("x"), given.rate, min(60, given.seconds))]
            )
            power.append(["write and fsync only", "singly", *closed(port, server.pid, ask("y"), given.closed, 1, 64)])
    finally:
        shutil.rmtree(place, ignore_errors=True)
    say(
        f"Decisions over HTTP at {given.rate:,.0f}/s for {given.seconds:.0f} s, durable before the answer",
        ["server", "answered/s", "p50 ms", "p99 ms", "p99.9 ms", "a CPU second", "not 200"], latency,
        f"limits: p50 {LIMIT_P50:g} ms, p99 {LIMIT_P99:g} ms at 1,000/s for 300 s; the peers ran at most 60 s",
        "latency counts from the moment a request was due, so waiting behind a stall counts",
        "" if binary else "Cerbos could not be had here: no npm, or no package for this machine",
    )  # fmt: skip
    say(
        "Decisions a second and a CPU second, closed loop",
        ["server", "how", "decisions/s", "decisions a CPU second", "not 200"],
        power,
    )
    say(
        "Overload: 6,000/s offered for 5 s over 900 connections",
        ["answered", "sent away (429)", "broken", "wrong answers", "RSS MB"],
        shed,
    )


if __name__ == "__main__":
    main()

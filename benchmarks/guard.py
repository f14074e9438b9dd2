"""What the guard and its client cost an application: masking an answer, and the way to a decision and back over loopback.

Bias: the deciding side is a stand-in that reads and answers the protocol and decides at once, in a process of its own on the same
cores; what deciding costs is in decisions.py. Answers are lists whose name, telephone number and address are all masked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time

from common import say

from watchbill.client.guard import Given, Page, Person, Reply, Shows, close_page, open_page
from watchbill.client.http import BlockingClient, HttpClient
from watchbill.client.look import Look
from watchbill.client.settings import client_settings
from watchbill.responses.asks import Ask, Decided

TOKEN = "a-token-of-this-benchmark"  # noqa: S105 - it opens nothing
ROWS = (1, 10, 100, 1_000, 10_000)
SHOWS = Shows(
    {"r.name": "items[].name", "r.phone": "items[].phone", "r.address": "items[].address"},
    kind="search",
    subjects="items[].id",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--asks", type=int, default=3_000)
    parser.add_argument("--serve", action="store_true", help="be the deciding side")
    given = parser.parse_args()
    if given.serve:
        serve()
        return
    say("Masking an answer", ("rows", "KB", "ms", "ms without the sweep"), [masked(rows) for rows in ROWS])
    say("A decision over loopback", ("client", "at once", "a second", "p50 ms", "p99 ms"), decisions(given.asks))


def masked(rows: int) -> tuple[str, ...]:
    """The best of five, in milliseconds."""
    draw = random.Random(rows)
    items = [
        {"id": f"c{n}", "name": "王小" + chr(0x4E00 + draw.randrange(2000)), "phone": f"100{draw.randrange(10**8):08d}",
         "address": f"虚构市样例区演练路{draw.randrange(1000)}号{draw.randrange(100)}幢{n}室", "waybill": f"W{n}", "note": "请放门口，谢谢配合。"}
        for n in range(rows)
    ]  # fmt: skip
    body = json.dumps({"items": items}, ensure_ascii=False).encode()
    spent = []
    for sweep in (True, False):
        times = []
        for _ in range(5):
            began = time.perf_counter()
            page: Page = open_page(
                SHOWS, Reply(200, [("Content-Type", "application/json")], body), Person("a"), Given(), "r"
            )
            assert page.ask is not None
            close_page(page, Look(page.ask, Decided("d", "mask")), sweep=sweep)
            times.append(time.perf_counter() - began)
        spent.append(f"{1e3 * min(times):.2f}")
    return (f"{rows:,}", f"{len(body) / 1024:.1f}", *spent)


def decisions(asks: int) -> list[tuple[str, ...]]:
    """One after another and 32 at once, awaited; one after another from a thread."""
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    settings = client_settings(url=server.stdout.readline().strip(), token=TOKEN, timeout_seconds=30)
    out = []
    try:
        for at_once in (1, 32):
            asyncio.run(_awaited(settings, at_once, 200))
            began = time.perf_counter()
            took = asyncio.run(_awaited(settings, at_once, asks))
            out.append(_row("HttpClient", at_once, took, time.perf_counter() - began))
        client = BlockingClient(settings)
        took = []
        began = time.perf_counter()
        for number in range(asks):
            start = time.perf_counter()
            assert client.decide([_ask(number)])[0].reveals
            took.append(time.perf_counter() - start)
        out.append(_row("BlockingClient", 1, took, time.perf_counter() - began))
        client.close()
    finally:
        server.terminate()
        server.wait(10)
    return out


def _ask(number: int) -> Ask:
    return Ask(f"r{number}", "a1", waybill=f"W{number}", subjects=("c1",), fields=("recipient.name", "recipient.phone"))


async def _awaited(settings: object, at_once: int, asks: int) -> list[float]:
    client = HttpClient(settings)  # type: ignore[arg-type]
    took: list[float] = []
    numbers = iter(range(asks))

    async def one() -> None:
        for number in numbers:
            start = time.perf_counter()
            assert (await client.decide([_ask(number)]))[0].reveals
            took.append(time.perf_counter() - start)

    await asyncio.gather(*(one() for _ in range(at_once)))
    await client.aclose()
    return took


def _row(name: str, at_once: int, took: list[float], seconds: float) -> tuple[str, ...]:
    ordered = sorted(took)
    return (
        name, str(at_once), f"{len(took) / seconds:,.0f}", f"{1e3 * ordered[len(took) // 2]:.2f}", f"{1e3 * ordered[int(len(took) * 0.99)]:.2f}",
    )  # fmt: skip


def serve() -> None:
    """Read and answer the protocol; decide at once."""
    import socket

    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    from watchbill.web.authzen import EVALUATION_PATH, answer, read_one

    async def evaluate(request: Request) -> JSONResponse:
        name = request.headers["x-request-id"]
        question = read_one(await request.json(), name)
        decided = Decided(f"d-{name}", "allow", dict.fromkeys(question.ask.fields, "plain"))
        return JSONResponse(answer(question, decided), headers={"X-Request-ID": name})

    door = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{door.getsockname()[1]}", flush=True)
    app = Starlette(routes=[Route(EVALUATION_PATH, evaluate, methods=["POST"])])
    uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="off")).run(sockets=[door])


if __name__ == "__main__":
    main()

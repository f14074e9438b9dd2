"""A small AuthZEN server over loopback, built on web/authzen.py's own functions, that can also misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from watchbill.responses.asks import Ask, Decided
from watchbill.responses.masks import PLAIN
from watchbill.web.authzen import EVALUATION_PATH, EVALUATIONS_PATH, Several, answer, read_one, read_several, refused

TOKEN = "a-token-of-the-desk-1"  # noqa: S105 - of a test
RECORDS_TOKEN = "a-token-of-the-spool-1"  # noqa: S105 - of a test


def allow(ask: Ask) -> Decided:
    return Decided(f"d-{ask.request}", "allow", dict.fromkeys(ask.fields, PLAIN))


@dataclass
class Pdp:
    """`decide` answers; `before` may answer in its place (any Response), or wait."""

    decide: Callable[[Ask], Decided] = allow
    before: Callable[[Request], Any] | None = None
    asked: list[Ask] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    records_status: int = 202
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def evaluate(self, request: Request) -> Response:
        name = request.headers.get("x-request-id", "")
        self.requests.append(name)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return JSONResponse({"what": "no such token"}, 401)
        if self.before is not None and (early := await self.before(request)) is not None:
            assert isinstance(early, Response)
            return early
        body = json.loads(await request.body())
        several = request.url.path == EVALUATIONS_PATH
        found = read_several(body, name) if several else read_one(body, name)
        headers = {"X-Request-ID": name}
        if not isinstance(found, Several):
            self.asked.append(found.ask)
            return JSONResponse(answer(found, self.decide(found.ask)), headers=headers)
        out = []
        for one in found.questions:
            if isinstance(one, str):
                out.append(refused(one))
            else:
                self.asked.append(one.ask)
                out.append(answer(one, self.decide(one.ask)))
        return JSONResponse({"evaluations": out}, headers=headers)

    async def take(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {RECORDS_TOKEN}":
            return JSONResponse({"what": "no such token"}, 401)
        body = await request.body()
        if self.records_status == 202:
            self.records += [json.loads(line) for line in body.splitlines()]
        return JSONResponse({"accepted": 1, "quarantined": 0, "height": 1}, self.records_status)

    def app(self) -> Starlette:
        routes = [Route(path, self.evaluate, methods=["POST"]) for path in (EVALUATION_PATH, EVALUATIONS_PATH)]
        return Starlette(routes=[*routes, Route("/v1/records", self.take, methods=["POST"])])


class Quiet(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        pass


@contextlib.contextmanager
def serving(app: Any, port: int = 0, **more: Any) -> Iterator[int]:
    """The port that an application is served on."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_level="error", access_log=False, lifespan="off", ws="none", **more
    )
    server = Quiet(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    until = time.monotonic() + 10
    while not server.started and time.monotonic() < until:
        time.sleep(0.01)
    assert server.started
    try:
        yield int(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)


@contextlib.contextmanager
def running(pdp: Pdp) -> Iterator[Pdp]:
    with serving(pdp.app()) as port:
        pdp.port = port
        yield pdp

"""The decision service over HTTP: AuthZEN 1.0 evaluation, evaluations and metadata (web/authzen.py is its pure half).

An answer that reveals goes out only when its look is durable. 400 for what breaks the protocol, 401 no such caller, 413 too
large, 415 not JSON, 429 come back (Retry-After); who waits too long, or asks while nothing can be written, is told to mask.
The bare ASGI interface is used because this is the path of every look: routing and request objects cost as much as deciding.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from watchbill.core.errors import SettingsError
from watchbill.responses.asks import closed, identity_of
from watchbill.runners.desk import DeskFull
from watchbill.web import authzen
from watchbill.web.ingest import Rate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Message, Receive, Scope, Send

    from watchbill.responses.asks import Decided
    from watchbill.runners.desk import CallerSettings, Desk, Waiting

REQUEST_ID_MAX: Final = 256
PROOF_PATH: Final = f"{authzen.PRESENCE_BASE}/proof/begin"
_TOKEN_MIN: Final = 16
_JSON: Final = b"application/json"


@dataclass(frozen=True, slots=True)
class _Caller:
    name: str
    enforce: bool
    rate: Rate


class _Fault(Exception):
    """An answer other than 200: status, text, seconds until it may be tried again."""

    def __init__(self, status: int, what: str, retry_seconds: int = 0) -> None:
        super().__init__(what)
        self.status, self.what, self.retry_seconds = status, what, retry_seconds


class Evaluation:
    """One endpoint as an ASGI application; `several` says which of the two it is."""

    def __init__(self, desk: Desk, callers: Mapping[bytes, _Caller], *, several: bool) -> None:
        self._desk, self._callers, self._several = desk, callers, several

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = dict(scope["headers"])
        request = headers.get(b"x-request-id", b"").decode("latin-1")
        try:
            body = await self._ask(headers, receive, request)
            status, more = 200, []
        except _Fault as fault:
            status, more = (
                fault.status,
                [(b"retry-after", str(fault.retry_seconds).encode())] if fault.retry_seconds else [],
            )
            if status == 401:  # noqa: PLR2004 - the status' own rule (RFC 9110, 15.5.2)
                more = [(b"www-authenticate", b"Bearer")]
            body = {"error": {"status": status, "message": fault.what}}
        data = orjson.dumps(body)
        if request and len(request) <= REQUEST_ID_MAX:
            more.append((b"x-request-id", headers[b"x-request-id"]))
        head = [(b"content-type", _JSON), (b"content-length", str(len(data)).encode()), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": head + more})
        await send({"type": "http.response.body", "body": data})

    async def _ask(self, headers: Mapping[bytes, bytes], receive: Receive, request: str) -> dict[str, Any]:
        caller = self._caller(headers.get(b"authorization", b""))
        if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != _JSON:
            raise _Fault(400, "Content-Type is not application/json")
        if len(request) > REQUEST_ID_MAX:
            raise _Fault(400, f"X-Request-ID is longer than {REQUEST_ID_MAX} characters")
        body = _parsed(await _body(receive, self._desk.settings.body_bytes_max))
        try:
            name = request or uuid.uuid4().hex
            read = authzen.read_several(body, name) if self._several else authzen.read_one(body, name)
        except authzen.ProtocolError as error:
            raise _Fault(400, str(error)) from None
        if isinstance(read, authzen.Question):
            caller.rate.add(1)
            return self._answer(read, (await self._decide([read], caller))[0])
        caller.rate.add(len(read.questions))
        return {"evaluations": await self._batch(read, caller)}

    def _answer(self, question: authzen.Question, decided: Decided) -> dict[str, Any]:
        desk = self._desk
        prove = desk.settings.base_url.rstrip("/") + PROOF_PATH if desk.proving else ""
        return authzen.answer(question, decided, bridge=desk.bridge, prove=prove)

    async def _batch(self, read: authzen.Several, caller: _Caller) -> list[dict[str, Any]]:
        if read.semantic == "execute_all":
            good = [one for one in read.questions if isinstance(one, authzen.Question)]
            decided = iter(await self._decide(good, caller))
            return [
                self._answer(one, next(decided)) if isinstance(one, authzen.Question) else authzen.refused(one)
                for one in read.questions
            ]
        answers: list[dict[str, Any]] = []
        for one in read.questions:  # one by one: what is not evaluated was not asked, and is no look
            if isinstance(one, authzen.Question):
                answers.append(self._answer(one, (await self._decide([one], caller))[0]))
            else:
                answers.append(authzen.refused(one))
            if len(authzen.cut_off(read.semantic, [*answers, {"decision": None}])) == len(answers):
                break
        return answers

    def _caller(self, header: bytes) -> _Caller:
        scheme, _, token = header.partition(b" ")
        # found by its SHA-256: the time it takes says nothing about a token
        caller = self._callers.get(hashlib.sha256(token.strip()).digest())
        if caller is None or scheme.lower() != b"bearer":
            raise _Fault(401, "no caller has this token")
        wait = caller.rate.wait_seconds()
        if wait > 0:
            raise _Fault(429, "more requests than requests_per_second_max", max(1, round(wait)))
        return caller

    async def _decide(self, questions: list[authzen.Question], caller: _Caller) -> list[Decided]:
        desk, loop = self._desk, asyncio.get_running_loop()
        if desk.shut:
            return [closed(one.ask, identity_of(caller.name, one.ask), "unavailable") for one in questions]
        waiting: list[tuple[Waiting, asyncio.Future[Decided]]] = []
        deliver = _Deliver.of(loop)
        try:
            for one in questions:
                future: asyncio.Future[Decided] = loop.create_future()
                waiting.append((desk.put(one.ask, caller.name, deliver, reply=future, enforce=caller.enforce), future))
        except DeskFull:
            for entry, _ in waiting:
                desk.give_up(entry)
            raise _Fault(429, "too many decisions wait", 1) from None
        timer = loop.call_later(desk.settings.answer_ms_max / 1000, _expire, desk, waiting)
        try:
            return [await future for _, future in waiting]
        finally:
            timer.cancel()


class _Deliver:
    """Brings answers from the engine's thread into the event loop, several at once."""

    _made: _Deliver | None = None

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> _Deliver:
        """The one of this loop."""
        if cls._made is None or cls._made.loop is not loop:
            cls._made = cls(loop)
        return cls._made

    def __call__(self, answers: list[tuple[Waiting, Decided]]) -> None:
        """Called in the engine's thread."""
        try:
            self.loop.call_soon_threadsafe(_set, answers)
        except RuntimeError:  # the loop has ended: nobody waits any more
            return


def _set(answers: list[tuple[Waiting, Decided]]) -> None:
    for waiting, decided in answers:
        future: asyncio.Future[Decided] = waiting.reply
        if not future.done():
            future.set_result(decided)


def _expire(desk: Desk, waiting: list[tuple[Waiting, asyncio.Future[Decided]]]) -> None:
    for entry, future in waiting:
        if not future.done():
            decided = desk.give_up(entry)
            if decided is not None:
                future.set_result(decided)


async def _body(receive: Receive, limit: int) -> bytes:
    message: Message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body", False):
        if len(body) > limit:
            break
        message = await receive()
        body += message.get("body", b"")
    if len(body) > limit:
        raise _Fault(413, f"larger than body_bytes_max = {limit} bytes")
    return body


def _parsed(body: bytes) -> object:
    try:
        parsed: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _Fault(400, "the body is not JSON in UTF-8") from None
    return parsed


def _token(name: str, settings: CallerSettings) -> bytes:
    """SHA-256 of a caller's token.

    Raises:
        SettingsError: there is none, or it is too short.
    """
    text = settings.token.get_secret_value() if settings.token else os.environ.get(settings.token_env or "", "")
    if len(text) < _TOKEN_MIN:
        todo = f"Set token_env to an environment variable with a token of at least {_TOKEN_MIN} characters"
        raise SettingsError("its token is missing or too short", where=f"[decisions.callers.{name}]", todo=todo)
    return hashlib.sha256(text.encode()).digest()


def decide_routes(desk: Desk, clock: Callable[[], float] = time.monotonic) -> list[Route]:
    """POST evaluation and evaluations for the callers of the settings, GET metadata for anybody.

    Raises:
        SettingsError: a caller has no token.
    """
    callers = {
        _token(name, table): _Caller(name, table.enforce, Rate(table.requests_per_second_max, clock))
        for name, table in desk.settings.callers.items()
    }

    async def metadata(request: Request) -> JSONResponse:
        base = desk.settings.base_url.rstrip("/") or str(request.base_url).rstrip("/")
        return JSONResponse(authzen.metadata(base))

    return [
        Route(authzen.EVALUATION_PATH, Evaluation(desk, callers, several=False), methods=["POST"]),
        Route(authzen.EVALUATIONS_PATH, Evaluation(desk, callers, several=True), methods=["POST"]),
        Route(authzen.METADATA_PATH, metadata, methods=["GET"]),
    ]

"""The guard for Starlette and FastAPI: pure ASGI middleware, and `look()` for pages that a server renders.

    app = Guard(app, decider, who=who)          # or app.add_middleware(Guard, decider=..., who=...)

It keeps an answer back until it is decided on. Put it outside of the router and inside of whatever compresses.
"""

from __future__ import annotations

import inspect
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import HTTPConnection
from starlette.responses import Response

from watchbill.client.guard import (
    LOGGER,
    Given,
    Headers,
    Person,
    Reply,
    Shows,
    Undeclared,
    close_page,
    declared,
    header_text,
    is_success,
    of_errors,
    open_page,
    refused,
    undeclared,
    under,
)
from watchbill.client.look import Look
from watchbill.client.refusals import REASON_HEADER, TICKET_HEADER, Refusal, refusal
from watchbill.client.settings import GuardSettings
from watchbill.responses.asks import Ask

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from watchbill.client.decider import AsyncDecider

Who = Callable[[HTTPConnection], Person | Awaitable[Person | None] | None]
Log = Callable[[dict[str, Any]], object]
Ended = Callable[[HTTPConnection, Person], object]
_NS_A_MS: Final = 1_000_000
_POLICY_VIOLATION: Final = 1008


class Guard:
    """Asks before data leaves.

    Args:
        app: the application. decider: an `HttpClient`, or `Awaited(...)` over a blocking one. who: who is logged in (None: nobody).
        log: takes the record of each look, before anything is shown; what it raises keeps the data back. ended: called when
            Watchbill ends a session. settings: see docs/guard-your-app.md. token_hex, now_ns: ids and time, for tests.
    """

    def __init__(
        self, app: ASGIApp, decider: AsyncDecider, who: Who, *, log: Log | None = None, ended: Ended | None = None,
        settings: GuardSettings | None = None, token_hex: Callable[[int], str] = secrets.token_hex,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        self.app, self.settings = app, settings or GuardSettings()
        self._decider, self._who, self._log, self._ended = decider, who, log, ended
        self._token_hex, self._now_ns = token_hex, now_ns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "websocket" and under(scope["path"], self.settings.guarded):
            LOGGER.error("a websocket under a guarded path was refused: it cannot be masked")
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        elif scope["type"] != "http":
            await self.app(scope, receive, send)
        else:
            await self.app(scope, receive, _Held(self, scope, send))

    # -- for pages that a server renders ------------------------------------------------------------------------------

    async def look(
        self, connection: HTTPConnection, *, fields: Sequence[str], kind: str = "view", waybill: str = "",
        subjects: Sequence[str] = (), reason: str = "", ticket: str = "", results: int | None = None,
    ) -> Look:  # fmt: skip
        """Ask for a page: `look.refusal` first, then `look.show("recipient.phone", value)` for each value.

        Raises:
            NobodyLoggedIn: `who` knows nobody.
        """
        person = await self._person(connection)
        if person is None:
            raise NobodyLoggedIn
        ask = Ask(
            self._token_hex(16), person.account, kind, person.device, person.ip, person.session,
            person.app or self.settings.app, waybill, tuple(subjects), tuple(fields), ticket, reason, results,
        )  # fmt: skip
        return await self._looked(connection, person, ask)

    def refuse(self, connection: HTTPConnection, what: Refusal) -> Response:
        """A refusal as a response, in the form that the browser or program asks for."""
        status, headers, body = what.rendered(connection.headers.get("accept", ""))
        return Response(body, status, headers)

    # -- inside -------------------------------------------------------------------------------------------------------

    async def _looked(self, connection: HTTPConnection, person: Person, ask: Ask) -> Look:
        (decided,) = await self._decider.decide([ask])
        look = Look(ask, decided, self.settings)
        if self._log is not None and (record := look.record(self._now_ns() // _NS_A_MS)) is not None:
            await _maybe(self._log(record))
        if decided.step == "end_session" and self._ended is not None:
            await _maybe(self._ended(connection, person))
        return look

    async def _person(self, connection: HTTPConnection) -> Person | None:
        found = self._who(connection)
        return await found if inspect.isawaitable(found) else found

    async def guarded(self, declares: Shows, reply: Reply, scope: Scope) -> Reply:
        """The answer of a route that declares something, as it may leave."""
        connection = HTTPConnection(scope)
        accept = connection.headers.get("accept", "")
        if not is_success(reply.status):
            return of_errors(reply)
        try:
            person = await self._person(connection)
            if person is None:
                return refused(refusal("no_person"), accept)
            if not person.app:
                person = Person(person.account, person.device, person.ip, person.session, self.settings.app)
            given = Given(
                scope.get("path_params", {}),
                header_text(connection.headers.get(REASON_HEADER, "")),
                header_text(connection.headers.get(TICKET_HEADER, "")),
            )
            page = open_page(declares, reply, person, given, self._token_hex(16))
            look = await self._looked(connection, person, page.ask) if page.ask else None
            return close_page(page, look, sweep=self.settings.sweep, accept=accept)
        except Undeclared as error:
            return undeclared(accept, str(error))
        except Exception as error:  # noqa: BLE001 - whatever fails, nothing unmasked leaves; its text may hold data
            LOGGER.error("an answer was held back: %s in the guard", type(error).__name__)
            return refused(refusal("unavailable"), accept)


class NobodyLoggedIn(Exception):  # a fact, not a fault
    """`who` knows nobody: send the person to the login."""


async def _maybe(value: object) -> None:
    if inspect.isawaitable(value):
        await value


def _text_headers(start: MutableMapping[str, Any]) -> Headers:
    return [(key.decode("latin-1"), value.decode("latin-1")) for key, value in start.get("headers", ())]


class _Held:
    """The `send` of one request: keeps the answer of a declaring route back, and lets others through."""

    def __init__(self, guard: Guard, scope: Scope, send: Send) -> None:
        self._guard, self._scope, self._send = guard, scope, send
        self._start: MutableMapping[str, Any] | None = None
        self._declares: Shows | None = None
        self._body = bytearray()
        self._done = False  # our own answer went out: the rest of the application's is dropped

    async def __call__(self, message: Message) -> None:
        if self._done:
            return
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif self._declares is None:
            await self._send(message)
        elif message["type"] != "http.response.body":
            await self._answer(self._undeclared("the answer is not sent as a body"))
        else:
            self._body += message.get("body", b"")
            if len(self._body) > self._guard.settings.body_bytes_max:
                await self._answer(self._undeclared("the answer is larger than body_bytes_max"))
            elif not message.get("more_body", False):
                await self._finish()

    async def _begin(self, message: Message) -> None:
        says, self._declares = declared(self._scope.get("endpoint"))
        if not says and under(self._scope["path"], self._guard.settings.guarded):
            await self._answer(self._unsaid(message["status"], _text_headers(message)))
        elif self._declares is None:
            await self._send(message)
        else:
            self._start = message

    async def _finish(self) -> None:
        if self._start is None or self._declares is None:
            return
        reply = Reply(self._start["status"], _text_headers(self._start), bytes(self._body))
        await self._answer(await self._guard.guarded(self._declares, reply, self._scope))

    def _unsaid(self, status: int, headers: Headers) -> Reply:
        if is_success(status):
            return self._undeclared("a route under a guarded path declares nothing (shows, shows_nothing)")
        return of_errors(Reply(status, headers, b""))

    def _undeclared(self, why: str) -> Reply:
        return undeclared(HTTPConnection(self._scope).headers.get("accept", ""), why)

    async def _answer(self, reply: Reply) -> None:
        self._done = True
        self._body.clear()
        headers = [(key.lower().encode("latin-1"), value.encode("latin-1")) for key, value in reply.headers]
        await self._send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": reply.body, "more_body": False})

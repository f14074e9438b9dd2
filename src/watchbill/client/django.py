"""The guard for Django: middleware by a class of yours, and `look()` for templates. Django is imported when it is used.

    # guarding.py                                          # settings.py
    guard = DjangoGuard(BlockingClient(...), who=who)      MIDDLEWARE = [..., "guarding.guard.middleware"]

Put it last, inside of GZipMiddleware and the session's. It waits in the view's own thread.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from watchbill.client.guard import (
    LOGGER,
    Given,
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
    from django.http import HttpRequest, HttpResponse
    from django.http.response import HttpResponseBase

    from watchbill.client.decider import Decider

Who = Callable[["HttpRequest"], Person | None]
_NS_A_MS: Final = 1_000_000


class DjangoGuard:
    """Asks before data leaves.

    Args:
        decider: a `BlockingClient`, or any `Decider`. who: who is logged in (None: nobody). log: takes the record of each look
            before anything is shown; what it raises keeps the data back. ended: called when Watchbill ends a session.
        settings: see docs/guard-your-app.md. token_hex, now_ns: ids and time, for tests.
    """

    def __init__(
        self, decider: Decider, who: Who, *, log: Callable[[dict[str, Any]], object] | None = None,
        ended: Callable[[HttpRequest, Person], object] | None = None, settings: GuardSettings | None = None,
        token_hex: Callable[[int], str] = secrets.token_hex, now_ns: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        self.settings = settings or GuardSettings()
        self._decider, self._who, self._log, self._ended = decider, who, log, ended
        self._token_hex, self._now_ns = token_hex, now_ns

    def middleware(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> Middleware:
        """For MIDDLEWARE: the dotted path of this method."""
        return Middleware(self, get_response)

    def look(
        self, request: HttpRequest, *, fields: Sequence[str], kind: str = "view", waybill: str = "",
        subjects: Sequence[str] = (), reason: str = "", ticket: str = "", results: int | None = None,
    ) -> Look | None:  # fmt: skip
        """Ask for a page: `look.refusal` first, then `look.show("recipient.phone", value)`. None: nobody is logged in."""
        person = self._person(request)
        if person is None:
            return None
        ask = Ask(
            self._token_hex(16), person.account, kind, person.device, person.ip, person.session, person.app, waybill,
            tuple(subjects), tuple(fields), ticket, reason, results,
        )  # fmt: skip
        return self._looked(request, person, ask)

    def refuse(self, request: HttpRequest, what: Refusal) -> HttpResponse:
        """A refusal as a response, in the form that the browser or program asks for."""
        return _response(refused(what, request.headers.get("Accept", "")))

    def _person(self, request: HttpRequest) -> Person | None:
        person = self._who(request)
        if person is None or person.app:
            return person
        return Person(person.account, person.device, person.ip, person.session, self.settings.app)

    def _looked(self, request: HttpRequest, person: Person, ask: Ask) -> Look:
        (decided,) = self._decider.decide([ask])
        look = Look(ask, decided, self.settings)
        if self._log is not None and (record := look.record(self._now_ns() // _NS_A_MS)) is not None:
            self._log(record)
        if decided.step == "end_session" and self._ended is not None:
            self._ended(request, person)
        return look

    def guarded(
        self, declares: Shows, response: HttpResponseBase, request: HttpRequest, parameters: dict[str, Any]
    ) -> Reply:
        """The answer of a view that declares something, as it may leave."""
        accept = request.headers.get("Accept", "")
        try:
            reply = self._reply(response)
            if not is_success(reply.status):
                return of_errors(reply)
            person = self._person(request)
            if person is None:
                return refused(refusal("no_person"), accept)
            reason, ticket = (header_text(request.headers.get(name, "")) for name in (REASON_HEADER, TICKET_HEADER))
            page = open_page(declares, reply, person, Given(parameters, reason, ticket), self._token_hex(16))
            look = self._looked(request, person, page.ask) if page.ask else None
            return close_page(page, look, sweep=self.settings.sweep, accept=accept)
        except Undeclared as error:
            return undeclared(accept, str(error))
        except Exception as error:  # noqa: BLE001 - whatever fails, nothing unmasked leaves; its text may hold data
            LOGGER.error("an answer was held back: %s in the guard", type(error).__name__)
            return refused(refusal("unavailable"), accept)

    def _reply(self, response: HttpResponseBase) -> Reply:
        if response.streaming:
            raise Undeclared("the answer is streamed")
        headers = list(response.items())
        headers += [("Set-Cookie", morsel.OutputString()) for morsel in response.cookies.values()]
        body = getattr(response, "content", b"")
        if len(body) > self.settings.body_bytes_max:
            raise Undeclared("the answer is larger than body_bytes_max")
        return Reply(response.status_code, headers, body)


class Middleware:
    """One link of Django's chain."""

    def __init__(self, guard: DjangoGuard, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._guard, self._next = guard, get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request."""
        response = self._next(request)
        match = request.resolver_match
        says, declares = declared(match.func) if match else (False, None)
        if match and not says:
            says, declares = declared(getattr(match.func, "view_class", None))
        if declares is None or match is None:
            if not says and is_success(response.status_code) and under(request.path, self._guard.settings.guarded):
                accept = request.headers.get("Accept", "")
                return _response(
                    undeclared(accept, "a view under a guarded path declares nothing (shows, shows_nothing)")
                )
            return response
        reply = self._guard.guarded(declares, response, request, dict(match.kwargs))
        response.close()
        return _response(reply)


def _unsaid(response: HttpResponseBase, accept: str) -> Reply:
    if is_success(response.status_code):
        return undeclared(accept, "a view under a guarded path declares nothing (shows, shows_nothing)")
    return of_errors(Reply(response.status_code, list(response.items()), b""))


def _response(reply: Reply) -> HttpResponse:
    from django.http import HttpResponse

    out = HttpResponse(reply.body, status=reply.status, content_type=reply.header("content-type") or "application/json")
    for key, value in reply.headers:
        if key.lower() == "set-cookie":
            out.cookies.load(value)
        elif key.lower() not in ("content-type", "content-length"):
            out[key] = value
    return out

"""The waybill desk: clerks log in and look up waybills, as a page and as JSON, guarded by `watchbill.client`.

    python app.py          # everything it needs stands in the environment, see `main`

Small, but nothing about it is pretended: passwords are hashed, sessions live on the server, the data in PostgreSQL. What it would
need besides in earnest is said in README.md.
"""

from __future__ import annotations

import asyncio
import hmac
import html
import json
import os
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

import psycopg
import uvicorn
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from world import password_hash

from watchbill.client.guard import Person, shows, shows_nothing
from watchbill.client.http import HttpClient
from watchbill.client.looklog import LookLog
from watchbill.client.settings import GuardSettings, client_settings
from watchbill.client.starlette import Guard, NobodyLoggedIn

APP: Final = "waybill-desk"
COOKIE: Final = "desk_session"
SESSIONS_MAX: Final = 10_000
SESSION_SECONDS: Final = 8 * 3600
FORM_BYTES_MAX: Final = 4096
_LOOKUP: Final = "SELECT w.waybill, w.outlet, c.customer, c.name, c.phone, c.address FROM waybills w JOIN customers c USING (customer) WHERE w.waybill = %s"
_FIELDS: Final = ("recipient.name", "recipient.phone", "recipient.address")
_PAGE: Final = '<!doctype html><html lang="zh"><head><meta charset="utf-8"><title>运单查询</title></head><body><main>{}</main></body></html>'
_LOGIN: Final = (
    '<form method="post" action="/login"><label>工号 <input name="account"></label>'
    '<label>密码 <input name="password" type="password"></label><button>登录</button></form>'
)


@dataclass(frozen=True)
class Session:
    """Somebody who is logged in."""

    account: str
    device: str
    until: float


class Desk:
    """What the routes share: sessions, one database connection, the log."""

    def __init__(self, dsn: str, log: LookLog) -> None:
        self.log = log
        self._dsn = dsn
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._turn = asyncio.Lock()

    async def row(self, query: str, value: str) -> tuple[Any, ...] | None:
        """The first row of a query."""
        async with self._turn:
            if self._connection is None or self._connection.closed:
                self._connection = await psycopg.AsyncConnection.connect(self._dsn, autocommit=True)
            cursor = await self._connection.execute(query, (value,))
            return await cursor.fetchone()

    def open(self, session: Session) -> str:
        """A new session's name; the oldest goes when there are too many."""
        name = secrets.token_urlsafe(24)
        self._sessions[name] = session
        if len(self._sessions) > SESSIONS_MAX:
            self._sessions.popitem(last=False)
        return name

    def session(self, connection: HTTPConnection) -> Session | None:
        """Whose request this is."""
        found = self._sessions.get(connection.cookies.get(COOKIE, ""))
        return found if found is not None and found.until > time.time() else None

    def end(self, connection: HTTPConnection, _person: Person | None = None) -> None:
        """End the session; also when Watchbill says so."""
        self._sessions.pop(connection.cookies.get(COOKIE, ""), None)

    def who(self, connection: HTTPConnection) -> Person | None:
        """For the guard."""
        session = self.session(connection)
        if session is None:
            return None
        name = connection.cookies[COOKIE][:8]  # enough to tell sessions apart, too little to use one
        return Person(session.account, session.device, address_of(connection), f"{session.account}-{name}", APP)


def address_of(connection: HTTPConnection) -> str:
    """Where the request came from: as the proxy on this machine says, else the other end of the line."""
    peer = connection.client.host if connection.client else ""
    forwarded = connection.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return forwarded if forwarded and peer == "127.0.0.1" else peer


@shows_nothing
async def front(request: Request) -> Response:
    """The login, or what to do next."""
    desk: Desk = request.app.state.desk
    text = _LOGIN if desk.session(request) is None else "<p>/waybills/运单号</p>"
    return HTMLResponse(_PAGE.format(text))


@shows_nothing
async def login(request: Request) -> Response:
    """Check the password; every attempt is a record in the log."""
    desk: Desk = request.app.state.desk
    given = parse_qs((await _body(request)).decode(errors="replace"))
    account, password = (given.get(name, [""])[0][:100] for name in ("account", "password"))
    kept = await desk.row("SELECT salt, hash FROM staff WHERE account = %s", account.replace("\0", ""))
    salt, known = kept or ("nobody", "")
    good = hmac.compare_digest(await asyncio.to_thread(password_hash, password, salt), known)
    device = request.headers.get("x-device", "")[:100] or "browser"
    if account:
        told = {"time": time.time_ns() // 1_000_000, "kind": "login", "account": account, "device": device, "app": APP,
                "ip": address_of(request), "outcome": "success" if good else "failure"}  # fmt: skip
        desk.log(told | {"id": f"login-{secrets.token_hex(8)}"})
    if not good:
        return HTMLResponse(_PAGE.format("<p>工号或密码错误</p>" + _LOGIN), 401)
    answer = RedirectResponse("/", 303)
    name = desk.open(Session(account, device, time.time() + SESSION_SECONDS))
    answer.set_cookie(COOKIE, name, httponly=True, samesite="strict", max_age=SESSION_SECONDS)
    return answer


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > FORM_BYTES_MAX:
            return b""
    return body


@shows({name: name for name in _FIELDS}, waybill="{number}", subjects="recipient.id")
async def waybill_json(request: Request) -> Response:
    """A waybill as JSON; the guard masks it."""
    row = await request.app.state.desk.row(_LOOKUP, request.path_params["number"])
    if row is None:
        return JSONResponse({"error": "no such waybill"}, 404)
    number, outlet, customer, name, phone, address = row
    return JSONResponse(
        {
            "waybill": number,
            "outlet": outlet,
            "recipient": {"id": customer, "name": name, "phone": phone, "address": address},
        }
    )


@shows_nothing  # it masks by itself, value by value
async def waybill_page(request: Request) -> Response:
    """A waybill as a page; where a reason is asked, masked and with a field for it."""
    guard: Guard = request.app.state.guard
    row = await request.app.state.desk.row(_LOOKUP, request.path_params["number"])
    if row is None:
        return HTMLResponse(_PAGE.format("<p>没有这个运单</p>"), 404)
    number, outlet, customer, *values = row
    try:
        look = await guard.look(
            request,
            fields=_FIELDS,
            waybill=number,
            subjects=[customer],
            reason=request.query_params.get("reason", "")[:200],
        )
    except NobodyLoggedIn:
        return RedirectResponse("/", 303)
    if look.refusal is not None and not look.asks_reason:
        return guard.refuse(request, look.refusal)
    lines = [f"<h1>{html.escape(number)}</h1><p>{html.escape(outlet)}</p>"]
    lines += [f"<p>{html.escape(look.show(name, value))}</p>" for name, value in zip(_FIELDS, values, strict=True)]
    if look.asks_reason:
        lines.append('<form><label>查询事由 <input name="reason"></label><button>查看</button></form>')
    return HTMLResponse(_PAGE.format("".join(lines)))


ROUTES: Final = [
    Route("/", front), Route("/login", login, methods=["POST"]), Route("/waybills/{number}", waybill_page),
    Route("/api/waybills/{number}", waybill_json),
]  # fmt: skip


def make_app(dsn: str, log: LookLog, decider: HttpClient) -> Callable[..., Any]:
    """The desk under its guard."""
    inner = Starlette(routes=ROUTES)
    desk = Desk(dsn, log)
    guard = Guard(inner, decider, desk.who, log=log, ended=desk.end, settings=GuardSettings(app=APP))
    inner.state.desk, inner.state.guard = desk, guard
    return guard


def main() -> None:
    """Serve it. DESK_SETTINGS is JSON: dsn, log, port, and `client` with the settings of the client."""
    given = json.loads(os.environ["DESK_SETTINGS"])
    decider = HttpClient(client_settings(**given["client"]))
    app = make_app(given["dsn"], LookLog(given["log"]), decider)
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=given["port"],
        log_level="warning",
        access_log=False,
        lifespan="off",
        proxy_headers=False,
    )


if __name__ == "__main__":
    main()

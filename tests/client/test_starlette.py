"""The middleware in Starlette and FastAPI applications: nothing leaves before it is decided on."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import fastapi
import httpx
import pytest
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from client.pages import FIELDS, MASK, NAME, PAGE, PHONE, Told, nothing_plain
from watchbill.client.decider import Awaited
from watchbill.client.guard import Person, shows, shows_nothing
from watchbill.client.settings import GuardSettings
from watchbill.client.starlette import Guard, NobodyLoggedIn
from watchbill.responses.asks import Decided

WAYBILL = shows(FIELDS, waybill="{number}", subjects="recipient.id")


def who(connection: HTTPConnection) -> Person | None:
    account = connection.headers.get("x-account", "")
    return Person(account, device="PC1", ip="10.0.0.1") if account else None


@WAYBILL
async def waybill(_request: Request) -> Response:
    return JSONResponse(PAGE, headers={"ETag": "x"})


@WAYBILL
async def odd(request: Request) -> Response:
    kind = request.path_params["number"]
    if kind == "stream":

        async def parts() -> AsyncIterator[bytes]:
            for letter in json.dumps(PAGE):
                yield letter.encode()

        return StreamingResponse(parts(), media_type="application/json")
    if kind == "huge":
        return JSONResponse(PAGE | {"more": "x" * 5000})
    if kind == "raise":
        raise RuntimeError(PHONE)
    if kind == "login":
        return RedirectResponse("/login", headers={"x-more": PHONE})
    return {
        "text": HTMLResponse(f"<p>{PHONE}</p>"), "renamed": JSONResponse(PAGE | {"recipient": {"mobile": PHONE}}),
        "404": JSONResponse({"detail": f"no {PHONE}"}, 404), "204": Response(status_code=204),
    }[kind]  # fmt: skip


class Classy(HTTPEndpoint):
    async def get(self, _request: Request) -> Response:
        return JSONResponse(PAGE)


async def silent(_request: Request) -> Response:
    return JSONResponse(PAGE)


@shows_nothing
async def health(_request: Request) -> Response:
    return JSONResponse({"ok": True})


@shows_nothing
async def page(request: Request) -> Response:
    guard: Guard = request.app.state.guard
    try:
        look = await guard.look(
            request,
            fields=["recipient.phone"],
            waybill="W1",
            subjects=["c1"],
            reason=request.query_params.get("reason", ""),
        )
    except NobodyLoggedIn:
        return RedirectResponse("/login")
    if look.refusal and not look.asks_reason:
        return guard.refuse(request, look.refusal)
    return HTMLResponse(
        f"<p>{look.show('recipient.phone', PHONE)}|{look.show('sender.phone', PHONE)}|{look.asks_reason}</p>"
    )


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(PHONE)


ROUTES = [
    Route("/w/{number}", waybill), Route("/odd/{number}", odd), Route("/silent", silent), Route("/health", health), Route("/page", page),
    Route("/c/{number}", WAYBILL(Classy)), Mount("/sub", routes=[Route("/w/{number}", waybill), Route("/silent", silent)]),
    WebSocketRoute("/ws", socket),
]  # fmt: skip


def fetch(app: Any, path: str, **headers: str) -> httpx.Response:
    """One request straight into an application."""

    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://desk.example.com") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(once())


class Desk:
    """An application under a guard, as a browser sees it."""

    def __init__(self, **more: Any) -> None:
        self.told, self.records, self.ended = Told(), [], []  # type: ignore[var-annotated]
        app = Starlette(routes=ROUTES)
        self.guard = Guard(
            app, Awaited(self.told), who, log=more.pop("log", self.records.append), ended=lambda _c, person: self.ended.append(person),
            settings=GuardSettings(app="desk", **more), now_ns=lambda: 1_800_000_000_000_000_000,
        )  # fmt: skip
        app.state.guard = self.guard

    def get(self, path: str, **headers: str) -> httpx.Response:
        return fetch(self.guard, path, **{"x-account": "YT001"} | headers)


def test_a_declared_route_asks_masks_and_logs() -> None:
    desk = Desk()
    assert desk.get("/w/W1").json()["recipient"]["phone"] == PHONE
    desk.told.answer = MASK
    answer = desk.get("/w/W1", **{"X-Look-Reason": "%E6%9D%A5%E7%94%B5", "X-Look-Ticket": "T1"})
    assert answer.json()["recipient"]["phone"] == "138******34"
    assert nothing_plain(answer.text + str(answer.headers))
    assert answer.headers["x-watchbill-decision"] == "d1"
    assert "etag" not in answer.headers
    asked = desk.told.asked[1]
    assert (asked.account, asked.app, asked.waybill, asked.subjects, asked.reason, asked.ticket) == (
        "YT001",
        "desk",
        "W1",
        ("c1",),
        "来电",
        "T1",
    )
    assert desk.told.asked[0].request != asked.request
    assert [(row["decision"], row["masked"]) for row in desk.records] == [("d1", False), ("d1", True)]


def test_routes_in_mounts_and_classes_are_found() -> None:
    desk = Desk()
    desk.told.answer = MASK
    for path in ("/sub/w/W1", "/c/W1"):
        assert desk.get(path).json()["recipient"]["name"] == "王**"


def test_a_route_that_declares_nothing_is_held_back_under_guarded_paths_only(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    for path in ("/silent", "/sub/silent"):
        answer = desk.get(path)
        assert answer.status_code == 500
        assert nothing_plain(answer.text)
    assert desk.get("/health").json() == {"ok": True}
    assert desk.get("/none").status_code == 404
    assert Desk(guarded=("/sub",)).get("/silent").json() == PAGE
    assert nothing_plain(caplog.text)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("stream", 200),
        ("huge", 500),
        ("text", 500),
        ("renamed", 500),
        ("404", 404),
        ("204", 204),
        ("raise", 500),
        ("login", 307),
    ],
)
def test_odd_answers_of_a_declared_route(kind: str, status: int, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(body_bytes_max=3000)
    desk.told.answer = MASK
    with caplog.at_level(logging.DEBUG, "watchbill.client"):
        answer = desk.get(f"/odd/{kind}")
    assert answer.status_code == status
    assert nothing_plain(answer.text + str(answer.headers))
    if kind == "login":
        assert answer.headers["location"] == "/login"
    assert nothing_plain("".join(record.getMessage() for record in caplog.records if record.name == "watchbill.client"))


@pytest.mark.parametrize(
    ("decided", "status"),
    [
        (Decided("d", "deny"), 403),
        (Decided("d", "step_up"), 401),
        (Decided("d", "throttle", retry_seconds=9), 429),
        (Decided("d", "ask_reason"), 422),
    ],
)
def test_refusals_are_clear_for_programs_and_browsers(decided: Decided, status: int) -> None:
    desk = Desk(challenge_url="https://w.example.com/{id}")
    desk.told.answer = decided
    answer = desk.get("/w/W1")
    assert answer.status_code == status
    assert set(answer.json()["reason"]) == {"zh", "en"}
    seen = desk.get("/w/W1", accept="text/html")
    assert seen.status_code == status
    assert "<html" in seen.text
    assert nothing_plain(answer.text + seen.text + str(answer.headers))
    assert desk.records[0]["outcome"] == "denied"
    if status == 401:
        assert answer.json()["challenge"] == "https://w.example.com/d"
    if status == 429:
        assert answer.headers["retry-after"] == "9"


def test_while_a_reason_is_asked_the_answer_may_be_masked_instead() -> None:
    desk = Desk(ask_reason="mask")
    desk.told.answer = Decided("d", "ask_reason")
    answer = desk.get("/w/W1")
    assert answer.json()["recipient"]["phone"] == "138******34"
    assert answer.headers["x-watchbill-ask"] == "reason"
    assert nothing_plain(answer.text)
    assert (desk.records[0]["masked"], desk.records[0].get("outcome")) == (True, None)


def test_files_that_are_mounted_declare_themselves(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("p {}")
    routes = [Mount("/s", shows_nothing(StaticFiles(directory=tmp_path))), Mount("/t", StaticFiles(directory=tmp_path))]
    guard = Guard(Starlette(routes=routes), Awaited(Told()), who)
    assert [fetch(guard, f"/{where}/a.css").status_code for where in "st"] == [200, 500]


def test_an_ended_session_is_ended_here_too() -> None:
    desk = Desk()
    desk.told.answer = Decided("d", "deny", step="end_session")
    assert desk.get("/w/W1").status_code == 401
    assert [person.account for person in desk.ended] == ["YT001"]


def test_nobody_sees_nothing() -> None:
    answer = fetch(Desk().guard, "/w/W1")
    assert answer.status_code == 401
    assert nothing_plain(answer.text)


def test_what_cannot_be_logged_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    def full(_record: object) -> None:
        raise OSError(28, f"no space for {NAME}")

    answer = Desk(log=full).get("/w/W1")
    assert answer.status_code == 503
    assert nothing_plain(answer.text + caplog.text)


def test_a_page_shows_what_the_look_lets_it() -> None:
    desk = Desk()
    assert desk.get("/page").text == f"<p>{PHONE}||False</p>"
    desk.told.answer = Decided("d", "ask_reason")
    assert desk.get("/page?reason=x").text == "<p>138******34||True</p>"
    assert desk.told.asked[-1].reason == "x"
    desk.told.answer = Decided("d", "deny")
    assert desk.get("/page").status_code == 403
    assert fetch(desk.guard, "/page").status_code == 307


def test_websockets_under_guarded_paths_are_refused() -> None:
    async def sent(guard: Guard) -> list[str]:
        out: list[str] = []

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            out.append(message["type"])

        scope = {"type": "websocket", "path": "/ws", "headers": [], "query_string": b"", "root_path": ""}
        await guard(scope, receive, send)
        return out

    assert asyncio.run(sent(Desk().guard)) == ["websocket.close"]
    assert asyncio.run(sent(Desk(guarded=()).guard)) == ["websocket.accept", "websocket.send"]


def test_a_compressor_inside_of_the_guard_is_noticed() -> None:
    told = Told(MASK)
    app = GZipMiddleware(Starlette(routes=ROUTES), minimum_size=1)
    answer = fetch(Guard(app, Awaited(told), who), "/w/W1", **{"x-account": "a", "accept-encoding": "gzip"})
    assert answer.status_code == 500
    right = GZipMiddleware(Guard(Starlette(routes=ROUTES), Awaited(told), who), minimum_size=1)
    assert fetch(right, "/w/W1", **{"x-account": "a"}).json()["recipient"]["name"] == "王**"


def test_a_middleware_that_hides_the_route_makes_it_undeclared() -> None:
    inner = Starlette(routes=ROUTES)

    async def copies(scope: Scope, receive: Receive, send: Send) -> None:
        await inner(dict(scope), receive, send)

    answer = fetch(Guard(copies, Awaited(Told()), who), "/w/W1", **{"x-account": "a"})
    assert answer.status_code == 500
    assert nothing_plain(answer.text)


def test_it_works_in_fastapi() -> None:
    told = Told(MASK)
    app = fastapi.FastAPI()
    router = fastapi.APIRouter(prefix="/api")

    @router.get("/w/{number}")
    @WAYBILL
    def waybill_of(number: str) -> dict[str, Any]:
        return PAGE | {"waybill": number}

    @router.get("/silent")
    def silent_one() -> dict[str, Any]:
        return PAGE

    app.include_router(router)
    app.add_middleware(Guard, decider=Awaited(told), who=who, settings=GuardSettings(guarded=("/api",)))
    answer = fetch(app, "/api/w/W7", **{"x-account": "YT001"})
    assert answer.json()["recipient"]["phone"] == "138******34"
    assert told.asked[0].waybill == "W7"
    assert fetch(app, "/api/silent", **{"x-account": "YT001"}).status_code == 500
    assert fetch(app, "/openapi.json").status_code == 200

"""The middleware in a Django project: the same laws, in a view's own thread. Django is set up for this file alone."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import django
import pytest
from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.test import Client
from django.urls import path
from django.views import View

from client.pages import FIELDS, MASK, PAGE, PHONE, Told, nothing_plain
from watchbill.client.django import DjangoGuard, Middleware
from watchbill.client.guard import Person, shows, shows_nothing
from watchbill.client.settings import GuardSettings
from watchbill.responses.asks import Decided

WAYBILL = shows(FIELDS, waybill="{number}", subjects="recipient.id")
TOLD = Told()
RECORDS: list[dict[str, Any]] = []
ENDED: list[Person] = []


def who(request: HttpRequest) -> Person | None:
    account = request.headers.get("X-Account", "")
    return Person(account, device="PC1") if account else None


def _log(record: dict[str, Any]) -> None:
    RECORDS.append(record)


GUARD = DjangoGuard(
    TOLD,
    who,
    log=_log,
    ended=lambda _request, person: ENDED.append(person),
    settings=GuardSettings(app="desk", body_bytes_max=3000),
)


@WAYBILL
def waybill(_request: HttpRequest, number: str) -> HttpResponse:
    out = JsonResponse(PAGE | {"waybill": number})
    out.set_cookie("seen", "1", httponly=True)
    return out


@WAYBILL
def odd(_request: HttpRequest, number: str) -> Any:
    if number == "raise":
        raise RuntimeError(PHONE)
    return {
        "stream": StreamingHttpResponse([PHONE.encode()], content_type="application/json"), "huge": JsonResponse(PAGE | {"more": "x" * 5000}),
        "text": HttpResponse(PHONE), "renamed": JsonResponse(PAGE | {"recipient": {"mobile": PHONE}}),
        "404": JsonResponse({"detail": PHONE}, status=404), "login": HttpResponseRedirect("/login"),
    }[number]  # fmt: skip


@WAYBILL
class Classy(View):
    def get(self, _request: HttpRequest, number: str) -> HttpResponse:
        return JsonResponse(PAGE | {"waybill": number})


def silent(_request: HttpRequest) -> HttpResponse:
    return JsonResponse(PAGE)


@shows_nothing
def page(request: HttpRequest) -> HttpResponse:
    look = GUARD.look(request, fields=["recipient.phone"], waybill="W1", subjects=["c1"])
    if look is None:
        return HttpResponseRedirect("/login")
    if look.refusal:
        return GUARD.refuse(request, look.refusal)
    return HttpResponse(look.show("recipient.phone", PHONE))


urlpatterns = [
    path("w/<str:number>", waybill), path("odd/<str:number>", odd), path("c/<str:number>", Classy.as_view()), path("silent", silent),
    path("page", page),
]  # fmt: skip


def guard_middleware(get_response: Any) -> Middleware:
    return GUARD.middleware(get_response)


@pytest.fixture(scope="module")
def http() -> Client:
    if not django_settings.configured:
        django_settings.configure(
            SECRET_KEY="of-a-test", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_TZ=True, DEFAULT_CHARSET="utf-8",  # noqa: S106 - of a test
            MIDDLEWARE=["django.middleware.gzip.GZipMiddleware", f"{__name__}.guard_middleware"], LOGGING_CONFIG=None,
        )  # fmt: skip
        django.setup()
    sys.modules.setdefault(__name__, sys.modules[who.__module__])
    return Client(raise_request_exception=False, headers={"x-account": "YT001"})


@pytest.fixture(autouse=True)
def fresh() -> None:
    TOLD.answer, TOLD.asked = MASK, []
    RECORDS.clear()
    ENDED.clear()


def test_a_declared_view_asks_masks_and_logs(http: Client) -> None:
    answer = http.get("/w/W1", headers={"x-look-reason": "%E6%9D%A5%E7%94%B5"})
    assert answer.json()["recipient"] == {"id": "c1", "name": "王**", "phone": "138******34", "id_number": ""}
    assert nothing_plain(answer.content.decode() + str(answer.headers))
    assert answer.headers["X-Watchbill-Decision"] == "d1"
    assert answer.cookies["seen"]["httponly"]
    asked = TOLD.asked[0]
    assert (asked.account, asked.app, asked.waybill, asked.reason) == ("YT001", "desk", "W1", "来电")
    assert RECORDS[0]["decision"] == "d1"
    TOLD.answer = Decided("d2", "allow")
    assert http.get("/w/W1").json()["recipient"]["phone"] == PHONE


def test_classes_are_found_and_silent_views_held_back(http: Client) -> None:
    assert http.get("/c/W1").json()["recipient"]["name"] == "王**"
    answer = http.get("/silent")
    assert answer.status_code == 500
    assert nothing_plain(answer.content.decode())


@pytest.mark.parametrize(
    ("kind", "status"),
    [("stream", 500), ("huge", 500), ("text", 500), ("renamed", 500), ("404", 404), ("login", 302), ("raise", 500)],
)
def test_odd_answers_of_a_declared_view(http: Client, kind: str, status: int) -> None:
    answer = http.get(f"/odd/{kind}")
    assert answer.status_code == status
    assert nothing_plain(answer.content.decode() + str(answer.headers))


@pytest.mark.parametrize(
    ("decision", "status"), [("deny", 403), ("step_up", 401), ("throttle", 429), ("ask_reason", 422)]
)
def test_refusals_are_clear(http: Client, decision: str, status: int) -> None:
    TOLD.answer = Decided("d", decision)
    answer = http.get("/w/W1")
    assert answer.status_code == status
    assert set(answer.json()["reason"]) == {"zh", "en"}
    assert "<html" in http.get("/w/W1", headers={"accept": "text/html"}).content.decode()
    assert http.get("/page").status_code == status


def test_an_ended_session_and_nobody(http: Client) -> None:
    TOLD.answer = Decided("d", "deny", step="end_session")
    assert http.get("/w/W1").status_code == 401
    assert [person.account for person in ENDED] == ["YT001"]
    nobody = Client(raise_request_exception=False)
    assert nobody.get("/w/W1").status_code == 401
    assert nobody.get("/page").status_code == 302


def test_a_page_shows_what_the_look_lets_it(http: Client) -> None:
    assert http.get("/page").content.decode() == "138******34"


def test_what_cannot_be_logged_is_not_shown(http: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_record: object) -> None:
        raise OSError(28, PHONE)

    monkeypatch.setattr(GUARD, "_log", full)
    answer = http.get("/w/W1")
    assert answer.status_code == 503
    assert nothing_plain(answer.content.decode())


def test_django_is_imported_only_where_it_is_used() -> None:
    text = (
        "import sys, watchbill.client.django, watchbill.client.guard; assert 'django' not in sys.modules; print('ok')"
    )
    done = subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "ok"

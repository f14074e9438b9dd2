from __future__ import annotations

import json

import pytest

from watchbill.client.refusals import DECISION_HEADER, refusal, refusal_of
from watchbill.responses.asks import ACR_PRESENCE, Decided
from watchbill.responses.policy import DECISIONS


@pytest.mark.parametrize(
    ("decided", "status", "code"),
    [
        (Decided("d", "deny", step="suspend"), 403, "deny"), (Decided("d", "deny", step="end_session"), 401, "end_session"),
        (Decided("d", "step_up"), 401, "step_up"), (Decided("d", "throttle", retry_seconds=7), 429, "throttle"),
        (Decided("d", "ask_reason"), 422, "ask_reason"), (Decided("", "deny", why="unavailable"), 503, "unavailable"),
        (Decided("d", "deny", why="obligation"), 403, "obligation"),
    ],
)  # fmt: skip
def test_each_decision_has_its_answer_in_both_languages(decided: Decided, status: int, code: str) -> None:
    found = refusal_of(decided)
    assert found is not None
    assert (found.status, found.code) == (status, code)
    body = json.loads(found.json())
    assert set(body["reason"]) == {"zh", "en"}
    page = found.html().decode()
    assert body["reason"]["zh"] in page
    assert 'lang="en"' in page
    assert found.headers.get(DECISION_HEADER, "") == decided.id


def test_what_may_be_shown_is_no_refusal_and_all_else_is_one() -> None:
    shown = {name for name in DECISIONS if refusal_of(Decided("d", name)) is None}
    assert shown == {"allow", "mask"}


def test_throttled_says_when_to_come_back() -> None:
    found = refusal_of(Decided("d", "throttle", retry_seconds=7))
    assert found
    assert found.headers["Retry-After"] == "7"
    least = refusal_of(Decided("d", "throttle"))
    assert least
    assert least.headers["Retry-After"] == "1"


def test_a_challenge_is_a_header_for_programs_and_a_link_for_people() -> None:
    found = refusal_of(Decided('d/1"x', "step_up"), challenge_url="https://w.example.com/p/{id}", step_up_status=403)
    assert found
    assert found.status == 403
    assert ACR_PRESENCE in found.headers["WWW-Authenticate"]
    assert found.more["challenge"] == "https://w.example.com/p/d%2F1%22x"
    assert found.headers["Link"] == '<https://w.example.com/p/d%2F1%22x>; rel="authenticate"'
    assert 'href="https://w.example.com/p/d%2F1%22x"' in found.html().decode()


def test_an_ended_session_takes_its_cookies() -> None:
    found = refusal_of(Decided("d", "deny", step="end_session"))
    assert found
    assert found.headers["Clear-Site-Data"] == '"cookies"'


def test_an_id_that_no_header_can_hold_is_left_out() -> None:
    found = refusal_of(Decided("a\r\nSet-Cookie: x", "deny"))
    assert found
    assert DECISION_HEADER not in found.headers


@pytest.mark.parametrize(
    ("accept", "kind"),
    [("text/html,*/*", "text/html; charset=utf-8"), ("application/json", "application/json"), ("", "application/json"),
     ("*/*", "application/json"), ("application/json, text/html", "application/json")],
)  # fmt: skip
def test_browsers_get_a_page_and_programs_json(accept: str, kind: str) -> None:
    _, headers, _ = refusal("no_person").rendered(accept)
    assert headers["Content-Type"] == kind
    assert headers["Cache-Control"] == "no-store"

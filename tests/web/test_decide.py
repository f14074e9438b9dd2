"""The decision service over real HTTP: the certification scenario, tokens, limits, and nothing plain without an answer in time."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from watchbill.core.errors import SettingsError
from watchbill.ledger.reader import Ledger
from watchbill.runners.config import load_config
from watchbill.runners.desk import CallerSettings, Desk, DeskSettings
from watchbill.runners.live import LiveRunner
from watchbill.web.authzen import EVALUATION_PATH, EVALUATIONS_PATH, METADATA_PATH
from watchbill.web.decide import decide_routes
from watchbill.web.door import open_door

TOKEN = "a-token-of-this-test"  # noqa: S105 - it opens nothing
SETTINGS = f"""
home = "home"
reference = "reference"
[engine.reasons.roles.courier]
reasons = []
looks_a_day = 5
[http]
port = 0
[decisions]
answer_ms_max = 20000
body_bytes_max = 20000
[decisions.callers.desk]
token = "{TOKEN}"
[decisions.callers.trial]
token = "another-token-of-this-test"
enforce = false
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRunner]:
    place = tmp_path_factory.mktemp("decide")
    (place / "reference").mkdir()
    (place / "reference" / "accounts.csv").write_text("account,role,outlet\na1,courier,O1\na2,courier,O1\n")
    (place / "reference" / "outlets.csv").write_text("outlet,name\nO1,one\n")
    (place / "watchbill.toml").write_text(SETTINGS)
    runner = LiveRunner(load_config(place / "watchbill.toml"), door=open_door)
    thread = threading.Thread(target=runner.run)
    thread.start()
    assert runner.ready.wait(60)
    yield runner
    runner.stop()
    thread.join(60)


def body(number: int, account: str = "a1", **more: Any) -> dict[str, Any]:
    return {
        "subject": {"type": "user", "id": account}, "action": {"name": "view"},
        "resource": {"type": "waybill", "id": f"W{number}", "properties": {"fields": ["recipient.phone"], "subjects": [f"p{number}"]}},
    } | more  # fmt: skip


def post(live: LiveRunner, content: Any, path: str = EVALUATION_PATH, **headers: str) -> httpx.Response:
    assert live.address is not None
    told = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return httpx.post(f"http://{live.address[0]}:{live.address[1]}{path}", content=text, headers=told, timeout=30)


def test_a_look_is_decided_and_stands_in_the_ledger(live: LiveRunner) -> None:
    answer = post(live, body(1, unknown={"member": 1}), X_Request_ID="r-1")
    assert (answer.status_code, answer.headers["x-request-id"]) == (200, "r-1")
    assert answer.headers["content-type"] == "application/json"
    said = answer.json()
    assert said["decision"] is True
    assert said["context"]["watchbill"]["fields"] == {"recipient.phone": "plain"}
    assert Ledger(live.config.home).find("id", said["context"]["watchbill"]["id"]).num_rows == 1


def test_the_same_request_id_gets_the_same_answer_and_is_one_look(live: LiveRunner) -> None:
    first, again = (post(live, body(2), X_Request_ID="r-2").json() for _ in range(2))
    assert first == again
    other = post(live, body(3), X_Request_ID="r-2").json()
    assert other["context"]["watchbill"]["id"] != first["context"]["watchbill"]["id"]
    nameless = [post(live, body(4)).json()["context"]["watchbill"]["id"] for _ in range(2)]
    assert nameless[0] != nameless[1]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (body(1), {"Content_Type": "text/plain"}, 400),
        (body(1), {"Content_Type": ""}, 400),
        (b"{", {}, 400),
        (b'{"subject": "\\ud800"}', {}, 400),
        (b"[" * 10_000, {}, 400),
        (b"[]", {}, 400),
        (body(1) | {"subject": {"type": "user"}}, {}, 400),
        (body(1) | {"action": {"name": 5}}, {}, 400),
        (body(1) | {"context": {"ip": "nowhere"}}, {}, 400),
        (body(1), {"X_Request_ID": "x" * 300}, 400),
        (body(1), {"Authorization": "Bearer wrong-token-of-nobody"}, 401),
        (body(1), {"Authorization": f"Basic {TOKEN}"}, 401),
        (b" " * 30_000, {}, 413),
    ],
)
def test_what_breaks_the_protocol_is_refused(
    live: LiveRunner, content: Any, headers: dict[str, str], status: int
) -> None:
    answer = post(live, content, **headers)
    assert answer.status_code == status
    assert "decision" not in answer.json()
    assert answer.json()["error"]["status"] == status
    if headers.get("X_Request_ID"):
        assert "x-request-id" not in answer.headers


def test_a_content_type_may_carry_a_charset_and_a_refusal_still_echoes_the_request_id(live: LiveRunner) -> None:
    assert post(live, body(5), Content_Type="application/json; charset=utf-8").status_code == 200
    assert post(live, b"{", X_Request_ID="r-9").headers["x-request-id"] == "r-9"


def test_several_share_defaults_and_a_bad_one_denies_itself_only(live: LiveRunner) -> None:
    many = {
        "subject": {"type": "user", "id": "a2"}, "action": {"name": "view"},
        "evaluations": [
            {"resource": {"type": "waybill", "id": "W20", "properties": {"fields": ["recipient.name"]}}},
            {"resource": {"type": "waybill"}},
            {"resource": {"type": "waybill", "id": "W21"}, "subject": {"type": "user", "id": "a1"}},
        ],
    }  # fmt: skip
    said = post(live, many, EVALUATIONS_PATH).json()["evaluations"]
    assert [one["decision"] for one in said] == [True, False, True]
    assert said[1]["context"]["error"]["status"] == 400
    alone = post(live, body(22, "a2"), EVALUATIONS_PATH).json()
    assert alone["decision"] is True
    assert "evaluations" not in alone


def test_a_short_circuit_asks_no_more_than_it_answers(live: LiveRunner) -> None:
    before = _looks(live, "a2")
    many = {
        "subject": {"type": "user", "id": "a2"}, "action": {"name": "view"},
        "options": {"evaluations_semantic": "permit_on_first_permit"},
        "evaluations": [{"resource": {"type": "waybill", "id": f"W3{n}"}} for n in range(3)],
    }  # fmt: skip
    said = post(live, many, EVALUATIONS_PATH).json()["evaluations"]
    assert [one["decision"] for one in said] == [True]
    assert _looks(live, "a2") == before + 1


def _looks(live: LiveRunner, account: str) -> int:
    table = [part.to_pylist() for part in Ledger(live.config.home).records(["kind", "account"])]
    return sum(row["kind"] == "view" and row["account"] == account for part in table for row in part)


def test_the_metadata_names_the_endpoints(live: LiveRunner) -> None:
    assert live.address is not None
    base = f"http://{live.address[0]}:{live.address[1]}"
    said = httpx.get(base + METADATA_PATH).json()
    assert said["access_evaluation_endpoint"] == base + EVALUATION_PATH
    assert said["policy_decision_point"] == base
    assert httpx.get(base + EVALUATION_PATH).status_code == 405


def test_in_shadow_everything_is_allowed_and_what_would_have_been_is_recorded(live: LiveRunner) -> None:
    said = [
        post(live, body(n, "a9"), Authorization="Bearer another-token-of-this-test").json() for n in range(100, 110)
    ]
    assert all(one["context"]["watchbill"]["fields"] == {"recipient.phone": "plain"} for one in said)
    assert {one["context"]["watchbill"]["why"] for one in said} == {"shadow"}


def test_a_caller_without_a_token_is_an_error_in_the_settings() -> None:
    desk = Desk(DeskSettings(callers={"x": CallerSettings(token_env="NO_SUCH_VARIABLE")}))  # noqa: S106 - a name
    with pytest.raises(SettingsError, match="missing or too short"):
        decide_routes(desk)


def test_too_many_and_too_fast_are_told_when_to_come_back() -> None:
    table: dict[str, Any] = {"x": {"token": TOKEN, "requests_per_second_max": 0.2}}
    desk = Desk(DeskSettings(callers=table, waiting_max=1, answer_ms_max=50))
    app = Starlette(routes=decide_routes(desk, lambda: 0.0))

    async def run() -> list[httpx.Response]:
        told = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://test", headers=told
        ) as client:
            return [await client.post(EVALUATION_PATH, json=body(number)) for number in range(4)]

    late, full, _, fast = asyncio.run(run())
    assert late.json()["context"]["watchbill"]["why"] == "late"  # nobody takes it: the closed answer, masked
    assert late.json()["context"]["obligations"][0]["action"] == "mask"
    assert (full.status_code, full.headers["retry-after"]) == (429, "1")
    assert fast.status_code == 429
    assert int(fast.headers["retry-after"]) >= 1

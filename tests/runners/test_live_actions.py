"""`watchbill run` with actions, from a look over HTTP to what other systems on loopback are told, in real time."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from standardwebhooks import Webhook

from commands.shell import start
from responses.worlds import SECRET, Server
from watchbill.cases.verdicts import Verdict
from watchbill.responses.caep import ACCOUNT_DISABLED, ACCOUNT_ENABLED
from watchbill.runners.clock import SystemClock
from watchbill.runners.config import load_config
from watchbill.runners.delivery import said_now
from watchbill.runners.inbox import put
from watchbill.runners.live import LiveRunner
from watchbill.runners.local import replay
from watchbill.runners.outbox import FILE, Outbox
from watchbill.sources.base import open_source
from watchbill.web.door import open_door

TOKEN = "a-token-of-this-test-0123"  # noqa: S105 - made up
pytestmark = pytest.mark.timeout(300)  # on a machine that has no compiled kernels yet the first test waits for them
SETTINGS = """
home = "home"
checkpoint_seconds = 600
reference = "reference"
[engine.policy]
suspend_at = 1.01
suspend_minutes = SUSPEND
[sources.push]
kind = "http"
token = "TOKEN"
[http]
port = 0
commit_seconds_max = 100
[actions.door]
kind = "webhook"
on = ["suspend"]
url = "http://HOST/door"
secret = "SECRET"
[actions.first]
kind = "notify"
on = []
urls = ["json://HOST/first"]
[actions.second]
kind = "notify"
on = []
urls = ["json://HOST/second"]
[on_call]
actions = ["first", "second"]
"""


def until(true: Callable[[], Any], seconds: float = 110.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


class House:
    """A runner in a thread, and the other side."""

    def __init__(self, place: Path, suspend_minutes: float, *, started: bool = True) -> None:
        self.place, self.home, self.server = place, place / "home", Server()
        (place / "reference").mkdir(parents=True)
        (place / "reference" / "accounts.csv").write_text("account,role,outlet\nA1,courier,O1\nA2,courier,O1\n")
        (place / "reference" / "outlets.csv").write_text("outlet,name\nO1,one\n")
        text = SETTINGS.replace("HOST", self.server.host).replace("TOKEN", TOKEN).replace("SECRET", SECRET)
        (place / "w.toml").write_text(text.replace("SUSPEND", str(suspend_minutes)))
        self.number = 0
        if started:
            self.start()

    def start(self) -> None:
        self.runner = LiveRunner(load_config(self.place / "w.toml"), door=open_door)
        self.thread = threading.Thread(target=self.runner.run)
        self.thread.start()
        assert self.runner.ready.wait(60)

    def stop(self) -> None:
        self.runner.stop()
        self.thread.join(60)

    def rows(self, account: str, count: int, age_ms: int = 0) -> bytes:
        now = time.time_ns() // 1_000_000 - age_ms
        self.number += count
        return "".join(
            json.dumps({
                "id": f"x{n}", "time": now, "kind": "view", "account": account, "waybill": f"W{n}", "subjects": [f"p{n}"],
                "fields": ["recipient.phone"],
            }) + "\n" for n in range(self.number - count, self.number)
        ).encode()  # fmt: skip

    def look(self, account: str, count: int = 300, age_ms: int = 0) -> None:
        assert self.runner.address is not None
        host, port = self.runner.address
        told = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/x-ndjson"}
        body = self.rows(account, count, age_ms)
        assert (
            httpx.post(f"http://{host}:{port}/v1/records", content=body, headers=told, timeout=110).status_code == 202
        )

    def told(self, path: str) -> list[dict[str, Any]]:
        return [json.loads(body) for at, _, body in self.server.requests if at == path]

    def door(self) -> list[tuple[str, str]]:
        events = [Webhook(SECRET).verify(body, headers) for at, headers, body in self.server.requests if at == "/door"]
        return [(event["type"], event["data"]["account"]) for event in events]


@pytest.fixture
def open_house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], House]]:
    """Started, and stopped whatever happens."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    houses: list[House] = []

    def start(minutes: float) -> House:
        houses.append(House(tmp_path / "place", minutes))
        return houses[-1]

    yield start
    for house in houses:
        house.stop()
        house.server.close()


def test_suspended_paged_not_looked_at_released_and_written_down(open_house: Callable[[float], House]) -> None:
    house = open_house(0.1)
    house.look("A1")
    until(house.door)
    until(lambda: house.told("/first"))
    # no further record of that account comes: it is given back all the same, and the next is paged
    until(lambda: len(house.door()) == 2)
    until(lambda: house.told("/second"))
    assert house.door() == [("watchbill.step.applied", "A1"), ("watchbill.step.undone", "A1")]
    assert "Nobody looked" in house.told("/second")[0]["title"]
    assert all("A1" not in body["message"] for path in ("/first", "/second") for body in house.told(path))
    house.stop()
    with Outbox(house.home) as outbox:
        (failure,) = outbox.failures()
        assert (failure["paged"], failure["noticed"] >= failure["until"]) == ("second", True)
    before = len(house.server.requests)
    house.start()  # no checkpoint since: every change is said again
    house.look("A1", 5)
    time.sleep(2.5)
    assert len(house.server.requests) == before


def test_an_identity_provider_polls_the_running_house(open_house: Callable[[float], House]) -> None:
    house = open_house(0.1)
    house.stop()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    base, token = f"http://127.0.0.1:{port}", "a-token-of-the-idp-0123"
    text = (house.place / "w.toml").read_text().replace("port = 0", f"port = {port}")
    (house.place / "w.toml").write_text(f"""{text}
[actions.idp]
kind = "caep"
issuer = "{base}"
audience = "idp"
token = "{token}"
subject_format = "email"
subject = "{{account}}@example.com"
""")
    house.start()
    with httpx.Client(headers={"authorization": f"Bearer {token}"}, timeout=60, trust_env=False) as idp:
        about = idp.get(base + "/.well-known/ssf-configuration").json()
        stream = idp.post(about["configuration_endpoint"], json={}).json()
        keys = jwt.PyJWKClient(about["jwks_uri"])
        house.look("A1")
        told: list[str] = []
        acked: list[str] = []
        end = time.monotonic() + 60
        while len(told) < 2 and time.monotonic() < end:
            sets = idp.post(stream["delivery"]["endpoint_url"], json={"ack": acked}).json()["sets"]
            for one in sets.values():
                key = keys.get_signing_key_from_jwt(one).key
                claims = jwt.decode(one, key, algorithms=["RS256"], audience="idp", issuer=base)
                assert claims["sub_id"] == {"format": "email", "email": "A1@example.com"}
                told += claims["events"]
            acked = list(sets)
    assert told == [ACCOUNT_DISABLED, ACCOUNT_ENABLED]


def test_a_person_who_looks_gives_the_account_back(open_house: Callable[[float], House]) -> None:
    house = open_house(15)
    house.look("A2")
    until(house.door)
    told = {"account": "A2", "verdict": "dismissed", "by": "lead-1", "note": "", "reason": "task"}
    put(house.home, said_now(told, SystemClock(), Verdict))
    until(lambda: len(house.door()) == 2)
    assert house.door()[1] == ("watchbill.step.undone", "A2")
    assert house.told("/second") == []


def test_a_confirmed_suspension_is_not_given_back_by_the_clock(open_house: Callable[[float], House]) -> None:
    house = open_house(0.15)
    house.look("A2")
    until(house.door)
    told = {"account": "A2", "verdict": "confirmed", "by": "lead-1", "note": "", "reason": "leased"}
    put(house.home, said_now(told, SystemClock(), Verdict))
    until(lambda: not list((house.home / "inbox").glob("*.json")))
    time.sleep(11)
    assert [kind for kind, _ in house.door()] == ["watchbill.step.applied"]
    assert house.told("/second") == []


def test_a_backfill_is_recorded_and_never_acted_on(open_house: Callable[[float], House]) -> None:
    house = open_house(15)
    house.look("A1", age_ms=3_600_000)
    house.look("A2")
    until(house.door)
    assert {who for _, who in house.door()} == {"A2"}
    house.stop()
    with Outbox(house.home) as outbox:
        assert {entry.order.account for entry in outbox.listed(("skipped",))} == {"A1"}


def test_killed_while_it_tells_it_tells_again_with_the_same_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    house = House(tmp_path / "place", 15, started=False)
    (house.place / "in").mkdir()
    text = (house.place / "w.toml").read_text().replace('kind = "http"', "paths = ['in']\nfollow = true")
    (house.place / "w.toml").write_text(text.replace(f'token = "{TOKEN}"', ""))
    (house.place / "in" / "a.ndjson").write_bytes(house.rows("A1", 300))
    try:
        first = start("run", "--config", house.place / "w.toml")
        house.server.on_next = first.kill
        _, said = first.communicate(timeout=110)
        assert first.returncode == -signal.SIGKILL, said
        second = start("run", "--config", house.place / "w.toml")
        with Outbox(house.home) as outbox:
            assert "waiting" in {entry.state for entry in outbox.listed()}
            until(lambda: {entry.state for entry in outbox.listed()} == {"sent"}, 110)
            assert [entry.action for entry in outbox.listed()].count("door") == 1
            assert max(entry.attempts for entry in outbox.listed()) == 2
        second.terminate()
        _, more = second.communicate(timeout=60)
        assert second.returncode == 0, more
        assert b"A1" not in said + more
        sent = [json.loads(body) for at, _, body in house.server.requests if at == "/door"]
        assert ({told["data"]["account"] for told in sent}, len({told["id"] for told in sent})) == ({"A1"}, 1)
        pages = {told["message"].rpartition("id: ")[2] for told in house.told("/first")}
        assert (len(pages), len(house.server.requests) >= 3) == (1, True)
    finally:
        house.server.close()


def test_a_replay_never_acts(open_house: Callable[[float], House]) -> None:
    house = open_house(15)
    path = house.place / "old.ndjson"
    path.write_bytes(house.rows("A1", 300))
    settings = load_config(house.place / "w.toml")
    source = open_source("old", {"paths": [str(path)]})
    replay([source], house.place / "other", house.place / "out", settings.engine, reference=settings.reference)
    assert '"step": "suspend"' in (house.place / "out" / "interventions.ndjson").read_text()
    assert not (house.place / "other" / FILE).exists()
    assert house.server.requests == []

"""A receiver over loopback: it finds the transmitter, makes a stream, verifies tokens through the key set, polls and acks."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
import uvicorn
from starlette.applications import Starlette

from responses.worlds import Server
from watchbill.core.errors import SettingsError
from watchbill.responses.base import Around, Order, open_action
from watchbill.responses.caep import ACCOUNT_DISABLED, ACCOUNT_ENABLED, EVENTS, SESSION_REVOKED, VERIFICATION, Caep
from watchbill.web import ssf
from watchbill.web.door import Door
from watchbill.web.ssf import routes

TOKENS = {"idp": "token-of-the-idp-0123", "other": "token-of-another-0123"}
POLL, PUSH = "urn:ietf:rfc:8936", "urn:ietf:rfc:8935"


def order(number: int, step: str = "suspend", verb: str = "apply", account: str = "E1") -> Order:
    now = time.time_ns() // 1_000_000
    return Order(f"msg_{number}", verb, "step", step, now, None, "c7", account, txn=f"t{number}")  # type: ignore[arg-type]


class House:
    """A served transmitter with two receivers."""

    def __init__(self, home: Path, push: str, path: str = "") -> None:
        self.actions: dict[str, Caep] = {}
        app = Starlette()
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", access_log=False)
        self.door = Door(config)
        self.thread = threading.Thread(target=self.door.run, daemon=True)
        self.thread.start()
        while not self.door.started:
            time.sleep(0.01)
        self.base = "http://{}:{}".format(*self.door.address()) + path
        around = Around(home, lambda: time.time_ns() // 1_000_000, time.monotonic)
        for name, token in TOKENS.items():
            action = open_action(name, {
                "kind": "caep", "issuer": self.base, "audience": f"aud-{name}", "token": token, "streams_max": 2,
                "subject_format": "email", "subject": "{account}@example.com", "push_urls": [push],
            }, around)  # fmt: skip
            assert isinstance(action, Caep)
            self.actions[name] = action
        app.router.routes.extend(routes(list(self.actions.values())))
        self.idp = self.actions["idp"]
        self.idp.keys.turn(around.now_ms())

    def close(self) -> None:
        self.door.should_exit = True
        self.thread.join(10)
        for action in self.actions.values():
            action.streams.close()


class Receiver:
    """An identity provider's side: only what stands in the metadata is known to it."""

    def __init__(self, base: str, name: str = "idp") -> None:
        self.client = httpx.Client(headers={"authorization": f"Bearer {TOKENS[name]}"}, timeout=30, trust_env=False)
        self.name = name
        self.about = self.client.get(base + "/.well-known/ssf-configuration").json()
        self.keys = jwt.PyJWKClient(self.about["jwks_uri"])

    def ask(self, method: str, endpoint: str, told: Any = None, **query: str) -> httpx.Response:
        url = self.about[endpoint + "_endpoint"]
        return self.client.request(method, url, json=told, params=query) if told is not None else (
            self.client.request(method, url, params=query)
        )  # fmt: skip

    def made(self, **told: Any) -> dict[str, Any]:
        answer = self.ask("POST", "configuration", told)
        assert answer.status_code == 201, answer.text
        stream: dict[str, Any] = answer.json()
        return stream

    def poll(self, stream: dict[str, Any], **told: Any) -> tuple[dict[str, dict[str, Any]], bool]:
        answer = self.client.post(stream["delivery"]["endpoint_url"], json={"returnImmediately": True, **told})
        assert answer.status_code == 200, answer.text
        said = answer.json()
        assert set(said) == {"sets", "moreAvailable"}
        return {jti: self.verified(token) for jti, token in said["sets"].items()}, said["moreAvailable"]

    def verified(self, token: str) -> dict[str, Any]:
        assert jwt.get_unverified_header(token)["typ"] == "secevent+jwt"
        key = self.keys.get_signing_key_from_jwt(token)
        told: dict[str, Any] = jwt.decode(
            token, key.key, algorithms=["RS256"], audience=f"aud-{self.name}", issuer=self.about["issuer"]
        )
        assert len(told["events"]) == 1
        assert {"sub", "exp"}.isdisjoint(told)
        assert {"iss", "jti", "iat", "aud", "sub_id"} <= set(told)
        return told


@pytest.fixture
def pushed() -> Iterator[Server]:
    """Where pushes go."""
    one = Server()
    one.status = 202
    yield one
    one.close()


@pytest.fixture
def house(tmp_path: Path, pushed: Server) -> Iterator[House]:
    """Served."""
    one = House(tmp_path / "home", f"http://{pushed.host}/events")
    yield one
    one.close()


@pytest.fixture
def idp(house: House) -> Iterator[Receiver]:
    """The receiver of the first action."""
    one = Receiver(house.base)
    yield one
    one.client.close()


def test_what_a_receiver_finds(house: House, idp: Receiver) -> None:
    about = idp.about
    assert about["spec_version"] == "1_0"
    assert about["issuer"] == house.base
    assert set(about["delivery_methods_supported"]) == {PUSH, POLL}
    bare = httpx.get(about["jwks_uri"], trust_env=False).json()  # keys and metadata need no token
    assert {"kty", "n", "e", "kid", "use", "alg"} == set(bare["keys"][0])


def test_poll_verify_and_acknowledge(house: House, idp: Receiver) -> None:
    stream = idp.made(events_requested=[*EVENTS, "urn:x:unknown"], description="d")
    assert (stream["iss"], stream["aud"], stream["description"]) == (house.base, "aud-idp", "d")
    assert stream["events_delivered"] == list(EVENTS)
    assert idp.poll(stream) == ({}, False)
    for number, one in enumerate((order(1, "end_session"), order(2), order(3, verb="undo"))):
        (house.idp.undo if one.verb == "undo" else house.idp.apply)(one)
        house.idp.apply(one)  # tried again: still once
        assert len(idp.poll(stream)[0]) == number + 1
    first, more = idp.poll(stream, maxEvents=2)
    assert (len(first), more) == (2, True)
    told = list(idp.poll(stream)[0].values())
    assert [next(iter(one["events"])) for one in told] == [SESSION_REVOKED, ACCOUNT_DISABLED, ACCOUNT_ENABLED]
    assert told[0]["sub_id"] == {"format": "email", "email": "E1@example.com"}
    assert told[0]["events"][SESSION_REVOKED]["initiating_entity"] == "policy"
    assert (told[1]["txn"], told[0]["txn"]) == ("t2", "t1")
    rest, _ = idp.poll(
        stream, ack=[told[0]["jti"]], setErrs={told[1]["jti"]: {"err": "invalid_key", "description": "x"}}
    )
    assert list(rest) == [told[2]["jti"]]
    assert idp.poll(stream, ack=[told[2]["jti"]], maxEvents=0) == ({}, False)
    house.idp.apply(order(2))
    assert idp.poll(stream) == ({}, False)


def test_a_poll_that_waits_is_answered_when_something_comes(house: House, idp: Receiver) -> None:
    stream = idp.made()
    threading.Timer(0.6, house.idp.apply, [order(1)]).start()
    began = time.monotonic()
    told, _ = idp.poll(stream, returnImmediately=False)
    assert len(told) == 1
    assert 0.4 < time.monotonic() - began < 10


def test_a_poll_that_waits_for_nothing_ends(house: House, idp: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssf, "POLL_SECONDS_MAX", 0.5)
    assert idp.poll(idp.made(), returnImmediately=False) == ({}, False)


def test_a_stream_is_read_changed_replaced_and_deleted(house: House, idp: Receiver, pushed: Server) -> None:
    assert idp.ask("GET", "configuration").json() == []
    url = f"http://{pushed.host}/events"
    stream = idp.made(
        delivery={"method": PUSH, "endpoint_url": url, "authorization_header": "Bearer p"}, description="d"
    )
    name = {"stream_id": stream["stream_id"]}
    assert idp.ask("GET", "configuration", **name).json() == stream
    assert idp.ask("GET", "configuration").json() == [stream]
    changed = idp.ask("PATCH", "configuration", {**name, "events_requested": [SESSION_REVOKED]}).json()
    assert changed == {**stream, "events_requested": [SESSION_REVOKED], "events_delivered": [SESSION_REVOKED]}
    replaced = idp.ask(
        "PUT", "configuration", {**stream, "events_delivered": [SESSION_REVOKED], "description": "e"}
    ).json()
    assert (replaced["description"], replaced["events_delivered"]) == ("e", list(EVENTS))
    bare = idp.ask("PUT", "configuration", {**name, "delivery": {"method": PUSH, "endpoint_url": url}}).json()
    assert "description" not in bare
    assert "authorization_header" not in bare["delivery"]
    assert idp.ask("PATCH", "configuration", {**name, "aud": "me"}).status_code == 400
    assert idp.ask("DELETE", "configuration", **name).status_code == 204
    assert idp.ask("GET", "configuration", **name).status_code == 404
    assert idp.ask("DELETE", "configuration", **name).status_code == 404


def test_pushed_with_the_receivers_own_header(house: House, idp: Receiver, pushed: Server) -> None:
    url = f"http://{pushed.host}/events"
    idp.made(delivery={"method": PUSH, "endpoint_url": url, "authorization_header": "Bearer p"})
    house.idp.apply(order(1))
    ((path, headers, body),) = pushed.requests
    assert (path, headers["authorization"], headers["accept"]) == ("/events", "Bearer p", "application/json")
    assert idp.verified(body.decode())["events"] == {ACCOUNT_DISABLED: {}}


def test_verification_by_poll_and_push_and_not_too_often(house: House, idp: Receiver, pushed: Server) -> None:
    stream = idp.made()
    name = {"stream_id": stream["stream_id"]}
    assert idp.ask("POST", "verification", {**name, "state": "s1"}).status_code == 204
    (told,) = idp.poll(stream)[0].values()
    assert told["events"] == {VERIFICATION: {"state": "s1"}}
    assert told["sub_id"] == {"format": "opaque", "id": stream["stream_id"]}
    assert idp.ask("POST", "verification", name).status_code == 429
    other = idp.made(delivery={"method": PUSH, "endpoint_url": f"http://{pushed.host}/events"})
    assert idp.ask("POST", "verification", {"stream_id": other["stream_id"]}).status_code == 204
    house.idp.tend()
    assert idp.verified(pushed.requests[0][2].decode())["events"] == {VERIFICATION: {}}


def test_status_paused_holds_and_disabled_drops(house: House, idp: Receiver) -> None:
    stream = idp.made()
    name = {"stream_id": stream["stream_id"]}
    assert idp.ask("GET", "status", **name).json() == {**name, "status": "enabled"}
    said = idp.ask("POST", "status", {**name, "status": "paused", "reason": "night"}).json()
    assert said == {**name, "status": "paused", "reason": "night"}
    house.idp.apply(order(1))
    assert idp.poll(stream) == ({}, False)
    idp.ask("POST", "status", {**name, "status": "enabled"})
    assert len(idp.poll(stream)[0]) == 1
    idp.ask("POST", "status", {**name, "status": "disabled"})
    house.idp.apply(order(2))
    idp.ask("POST", "status", {**name, "status": "enabled"})
    assert idp.poll(stream) == ({}, False)
    assert idp.ask("POST", "status", {**name, "status": "asleep"}).status_code == 400


def test_a_removed_subject_is_not_told_of_until_it_is_added(house: House, idp: Receiver) -> None:
    stream = idp.made()
    told = {"stream_id": stream["stream_id"], "subject": {"email": "E1@example.com", "format": "email"}}
    assert idp.ask("POST", "remove_subject", told).status_code == 204
    house.idp.apply(order(1))
    house.idp.apply(order(2, account="E2"))
    assert [one["sub_id"]["email"] for one in idp.poll(stream)[0].values()] == ["E2@example.com"]
    assert idp.ask("POST", "add_subject", {**told, "verified": True}).status_code == 200
    house.idp.apply(order(3))
    assert len(idp.poll(stream)[0]) == 2


def test_a_receiver_sees_its_own_streams_only(house: House, idp: Receiver) -> None:
    stream = idp.made()
    other = Receiver(house.base, "other")
    name = {"stream_id": stream["stream_id"]}
    assert other.ask("GET", "configuration").json() == []
    for method, endpoint, told in [
        ("PATCH", "configuration", name), ("PUT", "configuration", name), ("POST", "status", {**name, "status": "disabled"}),
        ("POST", "verification", name), ("POST", "remove_subject", {**name, "subject": {"format": "email", "email": "x"}}),
    ]:  # fmt: skip
        assert other.ask(method, endpoint, told).status_code == 404
    for method in ("GET", "DELETE"):
        assert other.ask(method, "configuration", **name).status_code == 404
    assert other.client.post(stream["delivery"]["endpoint_url"], json={}).status_code == 404
    other.client.close()


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong-token-0123456", "Basic " + TOKENS["idp"], "Bearer \u00ff"]
)
def test_no_token_no_entry(house: House, header: str) -> None:
    for path in ("/ssf/streams", "/ssf/status"):
        told = [(b"authorization", header.encode("latin-1"))]
        answer = httpx.get(house.base + path, headers=told, trust_env=False)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.json()["err"] == "authentication_failed"


def test_limits_and_nonsense(house: House, idp: Receiver) -> None:
    url = idp.about["configuration_endpoint"]
    for body, status in [
        (b"{", 400), (b"[]", 400), (b"[" * 30_000, 400), (b"x" * (ssf.BODY_BYTES_MAX + 1), 413), (b'{"delivery": 5}', 400),
        (b'{"delivery": {"method": "urn:x"}}', 400), (b'{"events_requested": "all"}', 400), (b'{"events_requested": [5]}', 400),
        (json.dumps({"description": "x" * 1001}).encode(), 400),
        (json.dumps({"delivery": {"method": PUSH, "endpoint_url": "http://169.254.169.254/"}}).encode(), 400),
        (json.dumps({"events_requested": ["x"] * 101}).encode(), 400), (b'{"description": "\\ud800"}', 400),
        (b'{"description": ' + b"9" * 5_000 + b"}", 400),
    ]:  # fmt: skip
        answer = idp.client.post(url, content=body)
        assert answer.status_code == status, (body[:40], answer.text)
        assert "169.254" not in answer.text
    streams = [idp.made(), idp.made()]
    assert len({stream["stream_id"] for stream in streams}) == 2
    assert idp.ask("POST", "configuration", {}).status_code == 409
    poll = streams[0]["delivery"]["endpoint_url"]
    nonsense: list[dict[str, Any]] = [
        {"maxEvents": -1}, {"maxEvents": True}, {"ack": "x"}, {"ack": [5]}, {"setErrs": []}, {"ack": ["x"] * 1001},
    ]  # fmt: skip
    for told in nonsense:
        assert idp.client.post(poll, json=told).status_code == 400
    assert idp.ask("POST", "remove_subject", {"stream_id": streams[0]["stream_id"], "subject": "E1"}).status_code == 400
    assert idp.ask("PATCH", "configuration", {"events_requested": []}).status_code == 400
    assert idp.ask("HEAD", "configuration").status_code == 200
    assert idp.client.put(idp.about["status_endpoint"], json={}).status_code == 405


def test_an_issuer_with_a_path_is_found_where_the_standard_says(tmp_path: Path, pushed: Server) -> None:
    house = House(tmp_path / "home", f"http://{pushed.host}/events", "/watch")
    try:
        root = house.base.removesuffix("/watch")
        about = httpx.get(root + "/.well-known/ssf-configuration/watch", trust_env=False).json()
        assert about["issuer"] == house.base
        assert httpx.get(about["jwks_uri"], trust_env=False).status_code == 200
    finally:
        house.close()


def test_receivers_must_agree_on_who_we_are(tmp_path: Path) -> None:
    assert routes([]) == []
    around = Around(tmp_path, lambda: 0, lambda: 0.0)
    table = {"kind": "caep", "audience": "x", "subject_issuer": "https://idp.example.com"}
    both = [open_action(name, {**table, "issuer": f"https://{name}.example.com"}, around) for name in "ab"]
    with pytest.raises(SettingsError, match="issuer"):
        routes(both)  # type: ignore[arg-type]

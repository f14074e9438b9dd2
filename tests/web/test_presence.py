"""Enrolment and proof over HTTP with a real (software) authenticator; py_webauthn verifies, nothing is mocked."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from runners.counter import AWAY, HOUR, MINUTE, firm_settings, look, said_of, trap, write_tables
from runners.test_engine import START, batch
from watchbill.core.errors import SettingsError
from watchbill.responses.policy import DECISIONS
from watchbill.runners.clock import ManualClock
from watchbill.runners.engine import Engine
from watchbill.runners.inbox import put, take_inbox
from watchbill.runners.presencekeys import PresenceKeys
from watchbill.runners.proving import Proof
from watchbill.web.presence import PresenceSettings, read_presence, routes
from web.authenticator import ORIGIN, RP_ID, Authenticator, b64, unb64

TOKEN = "token-of-the-internal-system"  # noqa: S105 - it opens nothing
GIVEN: dict[str, Any] = {"rp_id": RP_ID, "origins": [ORIGIN], "token": TOKEN, "requests_per_second_max": 1000}


class Desk:
    """The firm's internal system, with a clock of its own."""

    def __init__(self, home: Path, **more: Any) -> None:
        self.keys = PresenceKeys(home)
        self.proofs: list[Proof] = []
        self.now, self.seconds = START, 0.0
        self.full = False
        settings = read_presence({**GIVEN, **more})
        self.app = Starlette(
            routes=routes(self.keys, settings, self._hand, now_ms=lambda: self.now, clock=lambda: self.seconds)
        )

    def _hand(self, proof: Proof) -> None:
        if self.full:
            raise OSError(28, "no space")
        self.proofs.append(proof)

    def post(self, path: str, body: Any = None, **more: Any) -> httpx.Response:
        """One request."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
                headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"} | more.pop(
                    "headers", {}
                )
                content = more.pop("content", None) or json.dumps(body).encode()
                return await client.post(f"/presence/v1/{path}", content=content, headers=headers)

        return asyncio.run(send())

    def enrol(
        self, authenticator: Authenticator, account: str = "a1", device: str = "", *, confirm: bool = True
    ) -> str:
        """All of an enrolment; the key's id."""
        _, code = self.keys.invite(account, "boss", self.now, hours=24, device=device)
        begun = self.post("enrol/begin", {"account": account, "invite": code}).json()
        done = self.post("enrol/finish", {"id": begun["id"], "credential": authenticator.create(begun["options"])})
        assert done.status_code == 200, done.text
        if confirm:
            self.keys.confirm(done.json()["key"], "boss", self.now)
        return str(done.json()["key"])

    def begin(self, account: str = "a1", session: str = "s-clerk", **more: str) -> dict[str, Any]:
        """A challenge for a session."""
        answer = self.post("proof/begin", {"account": account, "session": session, **more})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def prove(self, authenticator: Authenticator, **more: str) -> httpx.Response:
        """All of a proof."""
        begun = self.begin(**more)
        return self.post("proof/finish", {"id": begun["id"], "credential": authenticator.get(begun["options"])})


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_confirmed_key_proves_the_session_that_was_asked_about(desk: Desk) -> None:
    key = Authenticator()
    name = desk.enrol(key)
    begun = desk.begin()
    assert begun["options"]["rpId"] == RP_ID
    assert begun["options"]["userVerification"] == "required"
    assert [unb64(one["id"]) for one in begun["options"]["allowCredentials"]] == [key.credential]
    answer = desk.post("proof/finish", {"id": begun["id"], "credential": key.get(begun["options"])})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    (proof,) = desk.proofs
    assert answer.json() == {"proven": True, "proof": proof.id}
    assert (proof.account, proof.session, proof.device, proof.credential) == ("a1", "s-clerk", "", name)
    assert (proof.time, desk.keys.key(name).signs, desk.keys.key(name).used) == (START, 1, START)


def test_enrolment_asks_for_a_verified_key_of_the_kind_that_was_invited(desk: Desk) -> None:
    for device, attachment, hint in (("PC1", "platform", "client-device"), ("", None, "hybrid")):
        _, code = desk.keys.invite("a1", "boss", desk.now, hours=1, device=device)
        options = desk.post("enrol/begin", {"account": "a1", "invite": code}).json()["options"]
        wanted = options["authenticatorSelection"]
        assert wanted["userVerification"] == "required"
        assert wanted.get("authenticatorAttachment") == attachment
        assert hint in options["hints"]
        assert b64(b"a1") != options["user"]["id"]


def test_a_key_that_nobody_confirmed_or_that_is_revoked_proves_nothing(desk: Desk) -> None:
    key = Authenticator()
    name = desk.enrol(key, confirm=False)
    assert desk.post("proof/begin", {"account": "a1", "session": "s"}).status_code == 404
    desk.keys.confirm(name, "boss", desk.now)
    begun = desk.begin()
    desk.keys.revoke(name, "boss", desk.now)
    answer = desk.post("proof/finish", {"id": begun["id"], "credential": key.get(begun["options"])})
    assert answer.status_code == 403
    assert desk.post("proof/begin", {"account": "a1", "session": "s"}).status_code == 404
    assert desk.proofs == []


def test_a_key_of_a_device_proves_that_device_and_no_other(desk: Desk) -> None:
    key = Authenticator()
    desk.enrol(key, device="PC1")
    assert desk.post("proof/begin", {"account": "a1", "session": "s"}).status_code == 404
    assert desk.post("proof/begin", {"account": "a1", "session": "s", "device": "PC2"}).status_code == 404
    assert desk.prove(key, device="PC1").status_code == 200
    assert (desk.proofs[0].device, desk.proofs[0].session) == ("PC1", "")


@pytest.mark.parametrize(
    "wrong",
    [
        {"origin": "https://desk.example.net"}, {"rp_id": "example.net"}, {"verified": False}, {"present": False},
        {"signs": -1}, {"private": Authenticator().private}, {"credential": b"x" * 32},
    ],
    ids=lambda wrong: next(iter(wrong)),
)  # fmt: skip
def test_an_answer_that_is_wrong_in_one_thing_proves_nothing(desk: Desk, wrong: dict[str, Any]) -> None:
    key = Authenticator(signs=5)
    name = desk.enrol(key)
    assert desk.prove(key).status_code == 200
    for attribute, value in wrong.items():
        setattr(key, attribute, value if attribute != "signs" else key.signs + value)
    assert desk.prove(key).status_code == 403
    assert len(desk.proofs) == 1
    assert desk.keys.key(name).signs == 6


def test_a_counter_that_does_not_rise_is_a_copied_key_and_one_that_never_counts_is_none(desk: Desk) -> None:
    key = Authenticator()
    desk.enrol(key)
    assert desk.prove(key).status_code == 200
    key.counts = False
    assert desk.prove(key).status_code == 403
    quiet = Authenticator(counts=False)
    desk.enrol(quiet)
    assert [desk.prove(quiet).status_code for _ in range(2)] == [200, 200]


def test_a_challenge_is_answered_once_in_time_and_for_what_it_was_asked(desk: Desk) -> None:
    key = Authenticator()
    desk.enrol(key)
    begun = desk.begin()
    answer = {"id": begun["id"], "credential": key.get(begun["options"])}
    assert desk.post("proof/finish", answer).status_code == 200
    assert desk.post("proof/finish", answer).status_code == 409
    other = desk.begin()  # an old answer under a new challenge
    assert desk.post("proof/finish", {**answer, "id": other["id"]}).status_code == 403
    late = desk.begin()
    desk.seconds += 60
    assert desk.post("proof/finish", {"id": late["id"], "credential": key.get(late["options"])}).status_code == 409
    crossed = desk.begin()
    assert (
        desk.post("enrol/finish", {"id": crossed["id"], "credential": key.create(crossed["options"])}).status_code
        == 409
    )
    assert len(desk.proofs) == 1


def test_another_account_s_key_proves_nothing(desk: Desk) -> None:
    mine, yours = Authenticator(), Authenticator()
    desk.enrol(mine)
    desk.enrol(yours, account="a2")
    begun = desk.begin()
    assert desk.post("proof/finish", {"id": begun["id"], "credential": yours.get(begun["options"])}).status_code == 403


def test_no_endpoint_takes_a_code(desk: Desk) -> None:
    desk.enrol(Authenticator())
    for path in ("proof/code", "proof/otp", "code", "proof"):
        assert desk.post(path, {"account": "a1", "session": "s", "code": "123456"}).status_code == 404
    begun = desk.begin(code="123456", otp="123456")
    for credential in ("123456", {"code": "123456"}, {}, None, {"id": "123456", "rawId": "123456", "type": "otp"}):
        again = desk.begin()
        assert desk.post("proof/finish", {"id": again["id"], "credential": credential, "code": "1"}).status_code in {
            400,
            403,
        }
    assert begun["id"]
    assert desk.proofs == []


def test_an_invitation_opens_one_account_once_and_in_time(desk: Desk) -> None:
    _, code = desk.keys.invite("a1", "boss", desk.now, hours=1)
    assert desk.post("enrol/begin", {"account": "a2", "invite": code}).status_code == 403
    assert desk.post("enrol/begin", {"account": "a1", "invite": code + "x"}).status_code == 403
    one, two = (desk.post("enrol/begin", {"account": "a1", "invite": code}).json() for _ in range(2))
    for begun, status in ((one, 200), (two, 409)):
        done = desk.post("enrol/finish", {"id": begun["id"], "credential": Authenticator().create(begun["options"])})
        assert done.status_code == status
    _, late = desk.keys.invite("a1", "boss", desk.now, hours=1)
    desk.now += HOUR
    assert desk.post("enrol/begin", {"account": "a1", "invite": late}).status_code == 403


@pytest.mark.parametrize(
    ("settings", "key", "status"),
    [
        ({}, Authenticator(synced=True), 403),
        ({"synced_keys": True}, Authenticator(synced=True), 200),
        ({}, Authenticator(verified=False), 403),
        ({}, Authenticator(origin="https://desk.example.net"), 403),
        ({}, Authenticator(fmt="packed"), 200),
        ({}, Authenticator(fmt="unheard-of"), 403),
    ],
    ids=range(6),
)
def test_which_keys_are_let_in(tmp_path: Path, settings: dict[str, Any], key: Authenticator, status: int) -> None:
    desk = Desk(tmp_path, **settings)
    _, code = desk.keys.invite("a1", "boss", desk.now, hours=1)
    begun = desk.post("enrol/begin", {"account": "a1", "invite": code}).json()
    answer = desk.post("enrol/finish", {"id": begun["id"], "credential": key.create(begun["options"])})
    assert answer.status_code == status
    assert len(desk.keys.keys()) == (status == 200)
    assert bool(desk.keys.invites()[0].used) == (status == 200)  # a failure costs no invitation


def test_with_attestation_a_key_has_to_say_its_maker(tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_text("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")
    model = "00000000-0000-0000-0000-000000000000"
    desk = Desk(
        tmp_path / "home", attestation="direct", attestation_roots=[str(tmp_path / "roots.pem")], aaguids=[model]
    )
    _, code = desk.keys.invite("a1", "boss", desk.now, hours=1)
    begun = desk.post("enrol/begin", {"account": "a1", "invite": code}).json()
    assert begun["options"]["attestation"] == "direct"
    answer = desk.post("enrol/finish", {"id": begun["id"], "credential": Authenticator().create(begun["options"])})
    assert answer.status_code == 403


def test_a_store_that_does_not_take_the_proof_says_so(desk: Desk) -> None:
    key = Authenticator()
    desk.enrol(key)
    desk.full = True
    answer = desk.prove(key)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")


def test_a_store_that_is_gone_says_so(desk: Desk) -> None:
    desk.keys.path.unlink()
    desk.keys.path.mkdir()
    assert desk.post("proof/begin", {"account": "a1", "session": "s"}).status_code == 503


# --- hostile ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"headers": {"Authorization": "Bearer wrong"}}, 401),
        ({"headers": {"Authorization": f"Basic {TOKEN}"}}, 401),
        ({"headers": {"Authorization": ""}}, 401),
        ({"headers": {"Content-Type": "text/plain"}}, 415),
        ({"content": b"no json"}, 400),
        ({"content": b"[1]"}, 400),
        ({"content": b"[" * 60_000}, 400),
        ({"content": b"\xff" * 10}, 400),
        ({"content": b"x" * 65_537}, 413),
        ({"content": json.dumps({"account": "a" * 4097, "session": "s"}).encode()}, 400),
        ({"content": json.dumps({"account": ["a"], "session": "s"}).encode()}, 400),
        ({"content": json.dumps({"account": "a\0b", "session": "s"}).encode()}, 400),
        ({"content": json.dumps({"account": "a1"}).encode()}, 400),
    ],
    ids=range(13),
)
def test_refusals(desk: Desk, more: dict[str, Any], status: int) -> None:
    answer = desk.post("proof/begin", **more)
    assert answer.status_code == status
    assert set(answer.json()) == {"what", "where", "todo"}
    assert "a1" not in answer.text


@pytest.mark.parametrize("field", ["clientDataJSON", "authenticatorData", "signature"])
@pytest.mark.parametrize("value", ["", "####", "A" * 40_000, b64(b"\x9f" * 200), b64(b"{}"), None, 5, {}])
def test_no_garbage_in_an_answer_gets_through_or_breaks_the_door(desk: Desk, field: str, value: Any) -> None:
    key = Authenticator()
    desk.enrol(key)
    begun = desk.begin()
    answer = key.get(begun["options"])
    answer["response"][field] = value
    assert desk.post("proof/finish", {"id": begun["id"], "credential": answer}).status_code == 403


def test_challenges_are_bounded_in_all_and_an_account(tmp_path: Path) -> None:
    desk = Desk(tmp_path, challenges_max=4)
    key = Authenticator()
    desk.enrol(key)
    first = desk.begin()
    later = [desk.begin() for _ in range(3)]
    for begun, status in ((first, 409), (later[0], 200)):  # the account's oldest gave way
        answer = {"id": begun["id"], "credential": key.get(begun["options"])}
        assert desk.post("proof/finish", answer).status_code == status
    desk.enrol(Authenticator(), account="a2")
    for _ in range(2):
        desk.begin(account="a2")
    assert desk.post("proof/begin", {"account": "a2", "session": "s"}).status_code == 429
    desk.seconds += 61
    desk.begin(account="a2")


def test_the_rate_is_bounded(tmp_path: Path) -> None:
    desk = Desk(tmp_path, requests_per_second_max=0.5)
    assert [desk.post("proof/begin", {}).status_code for _ in range(7)] == [400] * 6 + [429]


@pytest.mark.parametrize(
    "wrong",
    [
        {"origins": ["http://desk.example.com"]}, {"origins": []}, {"rp_id": ""}, {"aaguids": ["x"]},
        {"attestation": "direct"}, {"code": True}, {"challenge_seconds": 3600},
    ],
    ids=str,
)  # fmt: skip
def test_settings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as told:
        read_presence({**GIVEN, **wrong})
    assert TOKEN not in str(told.value)


def test_a_token_is_needed_and_comes_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"rp_id": RP_ID, "origins": [ORIGIN]}
    for more in ({}, {"token": "short"}, {"token_env": "WATCHBILL_TEST_TOKEN"}):
        with pytest.raises(SettingsError):
            read_presence({**given, **more}).token_digest()
    monkeypatch.setenv("WATCHBILL_TEST_TOKEN", TOKEN)
    made = read_presence({**given, "token_env": "WATCHBILL_TEST_TOKEN"})
    assert made.token_digest() == PresenceSettings(**GIVEN).token_digest()


# --- from the key to the decision -------------------------------------------------------------------------------------


def test_from_an_answered_challenge_to_the_next_look(tmp_path: Path) -> None:
    home = tmp_path / "home"
    engine = Engine(home, firm_settings(), ManualClock(START + HOUR))
    engine.reload(write_tables(tmp_path / "reference"))
    said: list[dict[str, Any]] = []
    decided: list[str] = []
    engine.on_said = said.extend
    engine.on_step = lambda _, out: decided.extend(DECISIONS[code] for code in out.verdicts.decision)

    def take(*records: dict[str, Any]) -> None:
        rows = [{"id": f"r{one['time']}", "fields": ["recipient.phone"], **one} for one in records]
        engine.take(batch(*({**row, "time": START + row["time"]} for row in rows)))

    desk = Desk(home)
    desk.proofs = _Inbox(home)
    key = Authenticator()
    desk.enrol(key)
    take(trap(1, AWAY))
    desk.now = START + 2 * MINUTE
    assert desk.prove(key).status_code == 200
    take_inbox(engine, desk.now + 1_000)
    take(look(2.1, {"session": "s-clerk"}), look(2.2, AWAY))
    assert [said_of(row) for row in said] == ["step_up", "none key", "step_up again"]
    assert said[1]["time"] - said[0]["time"] <= MINUTE
    assert decided == ["step_up", "allow", "step_up"]
    engine.close()


class _Inbox(list[Proof]):
    """Proofs go where the runner looks for them."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        self.home = home

    def append(self, proof: Proof) -> None:
        put(self.home, proof)

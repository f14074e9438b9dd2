"""What an identity provider is told: the claims, and how paused, polled and removed ones are treated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest

from responses.closing import closed  # noqa: F401 - a fixture that runs by itself
from responses.worlds import CaepWorld
from watchbill.core.errors import ActionError, SettingsError
from watchbill.responses.base import Around, Order, open_action
from watchbill.responses.caep import ACCOUNT_DISABLED, ACCOUNT_ENABLED, SESSION_REVOKED, VERIFICATION, Caep, event_type
from watchbill.responses.setkeys import canonical_subject
from watchbill.responses.streams import POLL, Stream

NOW = 1_750_000_900_000
SUSPEND = Order("msg_1", "apply", "step", "suspend", 1_750_000_000_000, None, "c7", "E1", txn="t1")
ENDED = replace(SUSPEND, id="msg_2", step="end_session")
POLLED = {
    "kind": "caep", "issuer": "https://watch.example.com", "audience": "idp", "subject_issuer": "https://idp.example.com",
}  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CaepWorld]:
    """A receiver of pushes."""
    one = CaepWorld(tmp_path / "other", tmp_path / "home")
    one.fail(yes=False)
    yield one
    one.close()


def caep(home: Path, table: dict[str, Any]) -> Caep:
    clock = {"at": 0.0}

    def seconds() -> float:
        clock["at"] += 60
        return clock["at"]

    action = open_action("idp", {"kind": "caep", **table}, Around(home, lambda: NOW, seconds))
    assert isinstance(action, Caep)
    return action


def polled(action: Caep) -> list[dict[str, Any]]:
    action.keys.turn(NOW)
    keys = jwt.PyJWKSet.from_dict(action.keys.jwks())
    tokens = action.streams.waiting("s1", ("ready", "held"), 99)
    return [jwt.decode(t.token, keys.keys[0].key, algorithms=["RS256"], audience="idp") for t in tokens]


def test_an_ended_session(tmp_path: Path) -> None:
    action = caep(tmp_path, POLLED)
    action.streams.keep(Stream("s1", "idp"))
    action.apply(ENDED)
    (told,) = polled(action)
    jti = told.pop("jti")
    assert jti.startswith("msg_2.")
    assert told == {
        "iss": "https://watch.example.com", "iat": NOW // 1000, "aud": "idp", "txn": "t1",
        "sub_id": {"format": "iss_sub", "iss": "https://idp.example.com", "sub": "E1"},
        "events": {SESSION_REVOKED: {
            "event_timestamp": 1_750_000_000, "initiating_entity": "policy",
            "reason_admin": {"en": "Containment step, case c7", "zh": "风控措施，案件 c7"},
        }},
    }  # fmt: skip
    action.apply(ENDED)
    assert len(polled(action)) == 1


def test_which_event_says_what() -> None:
    undo = replace(SUSPEND, verb="undo")
    assert event_type(SUSPEND) == ACCOUNT_DISABLED
    assert event_type(undo) == ACCOUNT_ENABLED
    assert event_type(ENDED) == SESSION_REVOKED
    assert event_type(replace(ENDED, verb="undo")) is None


def test_without_a_stream_nothing_arrives_and_that_is_said(tmp_path: Path) -> None:
    action = caep(tmp_path, POLLED)
    with pytest.raises(ActionError, match="no stream yet"):
        action.apply(SUSPEND)
    action.streams.keep(Stream("s0", "another-receiver"))
    with pytest.raises(ActionError, match="no stream yet"):
        action.apply(SUSPEND)


def test_only_what_a_stream_asks_for(tmp_path: Path) -> None:
    action = caep(tmp_path, POLLED)
    action.streams.keep(Stream("s1", "idp", events=(SESSION_REVOKED,)))
    action.apply(SUSPEND)
    assert polled(action) == []
    action.apply(ENDED)
    assert len(polled(action)) == 1
    action.streams.remove_subject(
        "s1", canonical_subject({"sub": "E2", "iss": "https://idp.example.com", "format": "iss_sub"})
    )
    action.apply(replace(ENDED, id="msg_3", account="E2"))
    assert len(polled(action)) == 1


def test_devices_and_mild_steps_have_no_event(tmp_path: Path) -> None:
    action = caep(tmp_path, POLLED)
    assert action.suits(SUSPEND) == ""
    assert "devices" in action.suits(replace(SUSPEND, account="", device="D1"))
    assert "no event" in action.suits(replace(SUSPEND, step="mask"))


def test_a_paused_stream_is_pushed_when_it_goes_on_in_order(world: CaepWorld) -> None:
    action = caep(world.home, world.table())
    (stream,) = action.all_streams()
    action.streams.keep(replace(stream, status="paused"))
    action.apply(SUSPEND)
    action.undo(replace(SUSPEND, id="msg_9", verb="undo"))
    action.tend()
    assert world.ids() == []
    action.streams.keep(replace(stream, status="enabled"))
    action.tend()
    assert [next(iter(told["events"])) for told in world.sets()] == [ACCOUNT_DISABLED, ACCOUNT_ENABLED]
    action.tend()
    assert len(world.ids()) == 2


def test_a_disabled_stream_gets_nothing(world: CaepWorld) -> None:
    action = caep(world.home, world.table())
    (stream,) = action.all_streams()
    action.streams.keep(replace(stream, status="disabled"))
    action.apply(SUSPEND)
    action.streams.keep(replace(stream, status="enabled"))
    action.tend()
    assert world.ids() == []


def test_a_verification_is_pushed(world: CaepWorld) -> None:
    action = caep(world.home, world.table())
    (stream,) = action.all_streams()
    action.verification(stream, "state-1")
    world.fail(yes=True)
    with pytest.raises(ActionError, match="503"):
        action.tend()
    world.fail(yes=False)
    action.tend()
    action.tend()
    told = world.sets()[-1]
    assert told["events"] == {VERIFICATION: {"state": "state-1"}}
    assert told["sub_id"] == {"format": "opaque", "id": stream.id}
    assert len(set(world.ids())) == 1


def test_one_stream_that_fails_keeps_nothing_from_another(world: CaepWorld) -> None:
    action = caep(world.home, world.table())
    action.streams.keep(Stream("s1", "idp", POLL))
    world.fail(yes=True)
    with pytest.raises(ActionError):
        action.apply(SUSPEND)
    assert len(polled(action)) == 1
    world.fail(yes=False)
    action.apply(SUSPEND)
    assert len(polled(action)) == 1


def test_an_address_that_is_no_longer_agreed_is_not_pushed_to(world: CaepWorld) -> None:
    action = caep(world.home, world.table())
    action.streams.keep(Stream("s1", "idp", "urn:ietf:rfc:8935", "https://elsewhere.example.com/"))
    with pytest.raises(ActionError, match="push_urls"):
        action.apply(SUSPEND)


def test_subjects_from_a_file_that_changes(tmp_path: Path) -> None:
    file = tmp_path / "names.csv"
    file.write_text("account,subject\nE1,one@example.com\n")
    table = {**POLLED, "subject_format": "email", "subjects_file": str(file)}
    action = caep(tmp_path / "home", table)
    claims = action.describe(SUSPEND)["claims"]
    assert claims["sub_id"] == {"format": "email", "email": "one@example.com"}
    with pytest.raises(ActionError, match="subjects_file") as told:
        action.describe(replace(SUSPEND, account="E-secret"))
    assert "E-secret" not in str(told.value)
    file.write_text("account,subject\nE1,one@example.com\nE-secret,two@example.com\n")
    assert action.describe(replace(SUSPEND, account="E-secret"))["claims"]["sub_id"]["email"] == "two@example.com"
    file.unlink()
    with pytest.raises(SettingsError, match="subjects_file"):
        caep(tmp_path / "home", table)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"issuer": "http://watch.example.com"}, "https"), ({"issuer": "https://w.example.com/"}, "slash"),
        ({"subject_issuer": ""}, "subject_issuer"), ({"subject": "everybody"}, "account"), ({"stream": "given"}, "push_urls"),
        ({"push_urls": ["http://10.0.0.1/"]}, "https"), ({"token": "short"}, "token"), ({"token_env": "NOT_SET_HERE"}, "token"),
    ],
)  # fmt: skip
def test_wrong_settings_say_which(tmp_path: Path, change: dict[str, Any], word: str) -> None:
    with pytest.raises(SettingsError, match=word) as told:
        caep(tmp_path, {**POLLED, **change})
    assert "short" not in str(told.value).replace("too short", "")
    assert not json.dumps(str(told.value)).count("10.0.0.1")

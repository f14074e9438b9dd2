"""`watchbill presence`: two people let a key in, take it out, and a list for the time without a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from inquiry.test_assigned import MINUTE, SCANS
from runners.test_engine import START, batch, engine
from watchbill.responses.offline import read_grant, shown_offline
from watchbill.runners.presencekeys import PresenceKeys

Run = Callable[..., Any]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = engine(tmp_path / "home")
    made.take(batch(*SCANS))
    made.close()
    return tmp_path / "home"


def test_a_key_from_invitation_to_revocation(run: Run, home: Path) -> None:
    made = run("presence", "invite", "a1", "--by", "boss", "--device", "PC1", "--home", home, "--json").json
    assert made["until"] - made["made"] == 24 * 3_600_000
    store = PresenceKeys(home)
    found = store.find_invite("a1", made["code"], made["made"])
    assert found is not None
    key = store.add(found.id, b"credential", b"public", 0, "model", made["made"])
    listed = run("presence", "list", "a1", "--home", home, "--json").json
    assert [(one["id"], one["device"], one["counts"]) for one in listed["keys"]] == [(key.id, "PC1", False)]
    assert made["code"] not in str(listed)
    words = ("presence", "confirm", key.id, "--by", "boss", "--home", home)
    assert run(*words, "--fingerprint", "0000").code == 2
    assert run(*words[:4], "a1", *words[5:], "--fingerprint", key.fingerprint).code == 2
    assert not store.key(key.id).counts
    assert run(*words, "--fingerprint", key.fingerprint.replace(" ", "").upper(), "--json").json["counts"]
    assert "confirmed by boss" in run("presence", "list", "--home", home).out
    assert "revoked by chief" in run("presence", "revoke", key.id, "--by", "chief", "--home", home).out
    assert run("presence", "revoke", "nosuch", "--by", "chief", "--home", home).code == 1


def test_an_owner_invites_nobody(run: Run, home: Path) -> None:
    told = run("presence", "invite", "a1", "--by", "a1", "--home", home)
    assert told.code == 2
    assert "a1" not in told.err.replace("--by", "")


def test_an_offline_list_is_signed_for_one_handset(run: Run, home: Path) -> None:
    at = START + 60 * MINUTE
    words = ("presence", "offline", "a1", "--device", "H1", "--at", str(at), "--home", home)
    said = run(*words, "--bridge", "https://bridge.example.com/{waybill}", "--json").json
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(said["public_key"]))
    whole = read_grant(said["token"], public, "H1", at)
    assert said["parcels"] == len(whole["parcels"]) == 4
    assert shown_offline(whole, "W1")["phone"] == "masked"
    assert said["until"] == whole["until"] == at + 12 * 3_600_000
    assert "4 parcels" in run(*words).out
    assert run(*words, "--bridge", "http://bridge.example.com/").code == 2
    assert run(*words, "--hours", "48").code == 2

"""Signing keys: RS256 over 2048 bits, changed with an overlap, readable by their owner only."""

from __future__ import annotations

from pathlib import Path

import jwt
import pytest

from watchbill.core.errors import ActionError
from watchbill.responses import setkeys
from watchbill.responses.setkeys import DAY_MS, SetKeys, canonical_subject

START = 1_750_000_000_000


def test_a_token_verifies_through_the_key_set(tmp_path: Path) -> None:
    keys = SetKeys(tmp_path)
    with pytest.raises(ActionError, match="no signing key"):
        keys.sign({}, START)
    keys.turn(START)
    token = keys.sign({"iss": "i", "n": 1}, START)
    header = jwt.get_unverified_header(token)
    assert (header["typ"], header["alg"]) == ("secevent+jwt", "RS256")
    key = jwt.PyJWKSet.from_dict(SetKeys(tmp_path).jwks())[header["kid"]]
    assert key.key.key_size >= 2048
    assert jwt.decode(token, key.key, algorithms=["RS256"])["n"] == 1
    assert "d" not in SetKeys(tmp_path).jwks()["keys"][0]


def test_only_the_owner_reads_a_key(tmp_path: Path) -> None:
    SetKeys(tmp_path).turn(START)
    folder = tmp_path / "keys" / "ssf"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_whoever_knows_the_published_keys_never_meets_an_unknown_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setkeys, "KEY_BITS", 2048)  # only faster
    keys = SetKeys(tmp_path, days=30)
    fetched: dict[str, int] = {}
    used: set[str] = set()
    for day in range(100):
        now = START + day * DAY_MS
        keys.turn(now)
        published = {key["kid"] for key in keys.jwks()["keys"]}
        signing = keys.signing(now).kid
        # a receiver that fetched the set at any time of the last day knows the key that signs now
        assert day == 0 or fetched.get(signing, day) <= day - 1
        # and one that verifies a token of the last week today finds its key
        assert used <= published or day > 7
        for kid in published:
            fetched.setdefault(kid, day)
        used = {signing} if day % 7 == 0 else used | {signing}
        assert used <= published
        assert len(published) <= 2
    assert len(fetched) == 4
    assert len(list((tmp_path / "keys" / "ssf").iterdir())) <= 2


def test_a_damaged_key_is_said(tmp_path: Path) -> None:
    SetKeys(tmp_path).turn(START)
    (path,) = (tmp_path / "keys" / "ssf").iterdir()
    path.write_text("x")
    with pytest.raises(ActionError, match="cannot be read"):
        SetKeys(tmp_path).sign({}, START)


def test_equal_subjects_are_equal_texts() -> None:
    assert canonical_subject({"format": "email", "email": "a"}) == canonical_subject({"email": "a", "format": "email"})

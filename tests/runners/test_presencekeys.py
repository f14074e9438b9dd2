"""Invitations and keys: two people, limits, nothing counts twice, all of it still there after a restart."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from watchbill.core.errors import LimitError, NotFoundError, SettingsError
from watchbill.runners.presencekeys import INVITES_OPEN_MAX, KEYS_MAX, Key, PresenceKeys

NOW, HOUR = 1_750_000_000_000, 3_600_000


@pytest.fixture
def keys(tmp_path: Path) -> PresenceKeys:
    return PresenceKeys(tmp_path)


def enrolled(keys: PresenceKeys, number: int = 1, account: str = "a1") -> Key:
    """A key that waits to be confirmed."""
    invite, _ = keys.invite(account, "boss", NOW, hours=1)
    return keys.add(invite.id, b"credential-%d" % number, b"public-%d" % number, 0, "model", NOW)


def test_who_let_a_key_in_stands_there_after_a_restart(keys: PresenceKeys, tmp_path: Path) -> None:
    made = enrolled(keys)
    keys.confirm(made.id, "boss-2", NOW + 5)
    keys.revoke(made.id, "chief", NOW + 9)
    (found,) = PresenceKeys(tmp_path).keys("a1")
    assert (found.invited_by, found.confirmed_by, found.revoked_by) == ("boss", "boss-2", "chief")
    assert (found.enrolled, found.confirmed, found.revoked) == (NOW, NOW + 5, NOW + 9)
    assert not found.counts
    assert PresenceKeys(tmp_path).invites()[0].used == NOW
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.path.parent.stat().st_mode) == 0o700


def test_the_code_of_an_invitation_is_not_kept(keys: PresenceKeys) -> None:
    invite, code = keys.invite("a1", "boss", NOW, hours=1)
    assert code.encode() not in keys.path.read_bytes()
    assert keys.find_invite("a1", code, NOW) == invite
    assert keys.find_invite("a2", code, NOW) is None
    assert keys.find_invite("a1", code, NOW + HOUR) is None
    assert keys.find_invite("a1", "", NOW) is None


@pytest.mark.parametrize(
    ("account", "by"), [("a1", "a1"), ("a1", ""), ("a1", "b" * 65), ("", "boss"), ("a" * 4097, "boss")]
)
def test_an_invitation_needs_a_second_person(keys: PresenceKeys, account: str, by: str) -> None:
    with pytest.raises(SettingsError):
        keys.invite(account, by, NOW, hours=1)


def test_a_key_counts_once_a_second_person_confirmed_it_and_until_it_is_revoked(keys: PresenceKeys) -> None:
    made = enrolled(keys)
    assert made.living
    assert not made.counts
    assert not keys.sign(made.id, 1, NOW)
    with pytest.raises(SettingsError):
        keys.confirm(made.id, "a1", NOW)
    assert keys.confirm(made.id, "boss", NOW).counts
    assert keys.confirm(made.id, "boss-2", NOW + 1).confirmed_by == "boss"  # the first word stands
    assert keys.sign(made.id, 1, NOW)
    keys.revoke(made.id, "boss", NOW)
    assert not keys.sign(made.id, 2, NOW)
    with pytest.raises(NotFoundError):
        keys.confirm(made.id, "boss", NOW)


def test_counters_rise_or_stay_at_nothing(keys: PresenceKeys) -> None:
    made = enrolled(keys)
    keys.confirm(made.id, "boss", NOW)
    assert [keys.sign(made.id, n, NOW) for n in (0, 0, 3, 3, 2, 0, 4)] == [True, True, True, False, False, False, True]


def test_of_two_uses_at_once_with_one_counter_one_counts(keys: PresenceKeys) -> None:
    made = enrolled(keys)
    keys.confirm(made.id, "boss", NOW)
    won: list[bool] = []
    threads = [threading.Thread(target=lambda: won.append(keys.sign(made.id, 7, NOW))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False, False, False, True]


def test_limits(keys: PresenceKeys) -> None:
    for _ in range(INVITES_OPEN_MAX):
        keys.invite("a1", "boss", NOW, hours=1)
    with pytest.raises(LimitError):
        keys.invite("a1", "boss", NOW, hours=1)
    keys.invite("a1", "boss", NOW + HOUR, hours=1)  # the others have run out
    made = [enrolled(keys, number, "a2") for number in range(KEYS_MAX)]
    with pytest.raises(LimitError):
        enrolled(keys, 99, "a2")
    keys.revoke(made[0].id, "boss", NOW)
    enrolled(keys, 98, "a2")
    with pytest.raises(LimitError):
        enrolled(keys, 98, "a3")  # one key, one account


def test_an_invitation_is_used_once_and_a_refused_key_uses_none(keys: PresenceKeys) -> None:
    made = enrolled(keys)
    with pytest.raises(NotFoundError):
        keys.add(made.invite, b"other", b"public", 0, "model", NOW)
    invite, code = keys.invite("a1", "boss", NOW, hours=1)
    with pytest.raises(LimitError):
        keys.add(invite.id, b"credential-1", b"public-1", 0, "model", NOW)
    assert keys.find_invite("a1", code, NOW) == invite


def test_unknown_keys(keys: PresenceKeys) -> None:
    for call in (keys.key, lambda name: keys.confirm(name, "boss", NOW), lambda name: keys.revoke(name, "boss", NOW)):
        with pytest.raises(NotFoundError):
            call("0123456789abcdef")
    assert not keys.keys("nobody")
    assert not keys.invites("nobody")


def test_fingerprints_tell_keys_apart(keys: PresenceKeys) -> None:
    one, other = enrolled(keys, 1), enrolled(keys, 2)
    assert one.fingerprint != other.fingerprint
    assert len(one.fingerprint.split()) == 8

"""Offline lists: genuine ones are accepted on their device in their time, and nothing else is."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from watchbill.core.errors import LimitError, SettingsError
from watchbill.responses.offline import PARCELS_MAX, TOKEN_MAX, grant, read_grant, shown_offline

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NOW, HOUR = 1_750_000_000_000, 3_600_000
BRIDGE = "https://bridge.example.com/{waybill}"


def made(**more: object) -> str:
    """A list of two parcels for ten hours."""
    given = {
        "account": "a1",
        "device": "H1",
        "parcels": ["W2", "W1", "W1"],
        "now": NOW,
        "hours": 10.0,
        "bridge": BRIDGE,
    }
    return grant(**(given | more), key=KEY)  # type: ignore[arg-type] # each by its name


def test_a_list_shows_its_parcels_with_masked_phones_and_no_others() -> None:
    whole = read_grant(made(), KEY.public_key(), "H1", NOW)
    assert whole["parcels"] == ["W1", "W2"]
    assert whole["bridge"] == BRIDGE
    assert shown_offline(whole, "W1") == {"name": "plain", "address": "plain", "phone": "masked"}
    assert shown_offline(whole, "W3") == {}
    assert shown_offline({}, "W1") == {}


@pytest.mark.parametrize(
    ("device", "at", "good"),
    [("H1", 0, True), ("H1", 10 * HOUR - 1, True), ("H1", 10 * HOUR, False), ("H1", -1, False), ("H2", 0, False)],
)
def test_only_on_its_device_and_in_its_time(device: str, at: int, good: bool) -> None:
    assert bool(read_grant(made(), KEY.public_key(), device, NOW + at)) is good


def test_another_key_signs_nothing() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    assert read_grant(made(), other.public_key(), "H1", NOW) == {}


@given(at=st.integers(0, 10_000), letter=st.sampled_from("AZaz09-_."))
def test_no_letter_can_be_changed(at: int, letter: str) -> None:
    token = made()
    at %= len(token)
    changed = token[:at] + letter + token[at + 1 :]
    accepted = read_grant(changed, KEY.public_key(), "H1", NOW)
    # the last letter of base64 has bits that mean nothing
    assert (
        accepted == {}
        or changed == token
        or (at == len(token) - 1 and accepted == read_grant(token, KEY.public_key(), "H1", NOW))
    )


@pytest.mark.parametrize("token", ["", ".", "a.b", "é.é", "x" * (TOKEN_MAX + 1), made() + "!", made().replace(".", "")])
def test_garbage_is_no_list(token: str) -> None:
    assert read_grant(token, KEY.public_key(), "H1", NOW) == {}


def test_limits() -> None:
    assert (
        len(read_grant(made(parcels=[f"W{n}" for n in range(PARCELS_MAX)]), KEY.public_key(), "H1", NOW)["parcels"])
        == PARCELS_MAX
    )
    with pytest.raises(LimitError):
        made(parcels=["W"] * (PARCELS_MAX + 1))
    for wrong in ({"hours": 12.1}, {"hours": 0}, {"device": ""}, {"account": ""}):
        with pytest.raises(SettingsError):
            made(**wrong)

"""The list that keeps assigned parcels usable when the network is lost: signed, for one account on one device, with an end.

It says which parcels were assigned before the loss and what of them may be shown: name and address, the phone masked, and where
the bridge is. It holds no customer's data: the handset has that, and shows no more of it than the list says. Pure.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature

from watchbill.core.errors import LimitError, SettingsError
from watchbill.responses.masks import MASKED, PLAIN, Level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

VERSION: Final = 1
PARCELS_MAX: Final = 500
HOURS_MAX: Final = 12.0
TOKEN_MAX: Final = 256 << 10
_PREFIX: Final = b"watchbill offline v1\n"
"""What is signed begins with this, so that the signature means nothing anywhere else."""
SHOWN: Final[dict[str, Level]] = {"name": PLAIN, "address": PLAIN, "phone": MASKED}
"""What may be shown of a listed parcel's recipient; anything else, nothing."""
_HOUR_MS: Final = 3_600_000


def grant(
    account: str, device: str, parcels: Sequence[str], now: int, hours: float, bridge: str, key: Ed25519PrivateKey
) -> str:
    """The signed list: base64url of the JSON, a dot, base64url of the Ed25519 signature.

    Args:
        parcels: waybills. now: epoch ms. hours: until it ends. bridge: the template of `core.bridge`.

    Raises:
        LimitError: over PARCELS_MAX parcels. SettingsError: over HOURS_MAX hours, or no account or device.
    """
    if len(parcels) > PARCELS_MAX:
        raise LimitError(f"more than {PARCELS_MAX} parcels", where="offline", todo="Assign fewer to one account")
    if not account or not device or not 0 < hours <= HOURS_MAX:
        todo = f"Name both, and at most {HOURS_MAX:g} hours"
        raise SettingsError("no account, no device, or a span that is too long", where="offline", todo=todo)
    whole = {
        "v": VERSION, "account": account, "device": device, "issued": now, "until": now + int(hours * _HOUR_MS),
        "parcels": sorted(set(parcels)), "show": SHOWN, "bridge": bridge,
    }  # fmt: skip
    body = _b64(json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode())
    return f"{body}.{_b64(key.sign(_PREFIX + body.encode()))}"


def read_grant(token: str, public: Ed25519PublicKey, device: str, now: int) -> dict[str, Any]:
    """What a handset accepts: the list, when it is genuine, for this device, and not over; else {}.

    A clock that was put back before the list was issued makes it no list; a handset keeps the latest time that it saw.
    """
    body, dot, signature = token.partition(".")
    if not dot or len(token) > TOKEN_MAX:
        return {}
    try:
        public.verify(_unb64(signature), _PREFIX + body.encode())
        whole: dict[str, Any] = json.loads(_unb64(body))
    except (InvalidSignature, ValueError):
        return {}
    genuine = whole["v"] == VERSION and whole["device"] == device and whole["issued"] <= now < whole["until"]
    return whole if genuine else {}


def shown_offline(whole: dict[str, Any], waybill: str) -> dict[str, Level]:
    """Last part of a field's name -> what may be shown of it, for a parcel of a list that `read_grant` accepted."""
    return dict(whole["show"]) if whole and waybill in whole["parcels"] else {}


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)

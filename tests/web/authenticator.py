"""A software authenticator and a browser around it: real CBOR, COSE and signatures (W3C WebAuthn Level 3, 6 and 7)."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

ORIGIN = "https://desk.example.com"
RP_ID = "example.com"
UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40


def b64(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """The inverse."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def cbor(value: int | bytes | str | dict[Any, Any]) -> bytes:
    """CBOR of what attestation needs (RFC 8949): integers, bytes, text, maps in the order given."""
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    return _head(5, len(value)) + b"".join(cbor(key) + cbor(item) for key, item in value.items())


def _head(major: int, number: int) -> bytes:
    for bits, size, code in ((5, 0, 0), (8, 1, 24), (16, 2, 25), (32, 4, 26)):
        if number < (24 if size == 0 else 1 << bits):
            return bytes([major << 5 | (number if size == 0 else code)]) + (
                number.to_bytes(size, "big") if size else b""
            )
    raise ValueError(number)


@dataclass
class Authenticator:
    """One key. `counts`: whether its counter rises; `synced`: backup eligible; what a test falsifies are its attributes."""

    rp_id: str = RP_ID
    origin: str = ORIGIN
    counts: bool = True
    synced: bool = False
    present: bool = True
    verified: bool = True
    fmt: str = "none"
    aaguid: bytes = bytes(16)
    signs: int = 0
    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential: bytes = b""

    def __post_init__(self) -> None:
        """An id that follows from the key."""
        numbers = self.private.public_key().public_numbers()
        self.credential = self.credential or hashlib.sha256(numbers.x.to_bytes(32, "big")).digest()

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """navigator.credentials.create() and toJSON()."""
        client = self._client("webauthn.create", options["challenge"])
        auth = self._data(AT) + self.aaguid + struct.pack(">H", len(self.credential)) + self.credential + self._cose()
        statement: dict[str, Any] = {}
        if self.fmt == "packed":  # self attestation
            statement = {"alg": -7, "sig": self._sign(auth + hashlib.sha256(client).digest())}
        whole = cbor({"fmt": self.fmt, "attStmt": statement, "authData": auth})
        return self._json({"clientDataJSON": b64(client), "attestationObject": b64(whole), "transports": ["internal"]})

    def get(self, options: dict[str, Any]) -> dict[str, Any]:
        """navigator.credentials.get() and toJSON()."""
        client = self._client("webauthn.get", options["challenge"])
        self.signs += self.counts
        auth = self._data(0)
        signature = self._sign(auth + hashlib.sha256(client).digest())
        return self._json(
            {
                "clientDataJSON": b64(client),
                "authenticatorData": b64(auth),
                "signature": b64(signature),
                "userHandle": None,
            }
        )

    def _json(self, response: dict[str, Any]) -> dict[str, Any]:
        name = b64(self.credential)
        return {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}}

    def _client(self, kind: str, challenge: str) -> bytes:
        given = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(given, separators=(",", ":")).encode()

    def _data(self, more: int) -> bytes:
        flags = more | (UP if self.present else 0) | (UV if self.verified else 0) | (BE | BS if self.synced else 0)
        return hashlib.sha256(self.rp_id.encode()).digest() + struct.pack(">BI", flags, self.signs)

    def _cose(self) -> bytes:
        point = self.private.public_key().public_numbers()
        x, y = point.x.to_bytes(32, "big"), point.y.to_bytes(32, "big")
        return cbor({1: 2, 3: -7, -1: 1, -2: x, -3: y})

    def _sign(self, data: bytes) -> bytes:
        return self.private.sign(data, ec.ECDSA(hashes.SHA256()))

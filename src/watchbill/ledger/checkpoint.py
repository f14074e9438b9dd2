"""Checkpoints: what the tree was at a size, signed, in the C2SP signed-note form that other logs' tools read.

Sources: C2SP signed-note and tlog-checkpoint. A verifier key is `name+hash+base64(0x01 || public key)`; the hash is the
first 4 bytes of SHA-256(name || newline || 0x01 || public key).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from watchbill.core.errors import LedgerError

_ED25519: Final = b"\x01"
_NOTE_BYTES_MAX: Final = 64 << 10
_DASH: Final = "\u2014 "
_SPACE: Final = 0x20
_LINE: Final = 0x0A


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree at one size: origin (the log's name), size in leaves, 32-byte root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def key_hash(name: str, public: bytes) -> bytes:
    """4-byte identifier of a named Ed25519 key."""
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


def verifier_key(name: str, public: bytes) -> str:
    """A public key as C2SP writes it.

    Raises:
        LedgerError: the name is empty or holds a space, a plus sign or a line break.
    """
    if not _is_name(name):
        raise LedgerError("a log name that is empty or holds a space or a plus sign", todo="Choose another name")
    return f"{name}+{key_hash(name, public).hex()}+{base64.b64encode(_ED25519 + public).decode()}"


def parse_verifier_key(text: str) -> tuple[str, bytes]:
    """Name and 32-byte public key of a verifier key.

    Raises:
        LedgerError: it is malformed or its hash does not fit.
    """
    try:
        name, hashed, encoded = text.split("+", 2)
        raw = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error) as error:
        raise LedgerError("a verifier key that cannot be read", todo="Give name+hash+base64") from error
    public = raw[1:]
    if raw[:1] != _ED25519 or len(public) != 32 or key_hash(name, public).hex() != hashed:  # noqa: PLR2004 Ed25519
        raise LedgerError("a verifier key that does not fit its hash", todo="Copy it again")
    return name, public


def sign(key: Ed25519PrivateKey, origin: str, size: int, root: bytes) -> bytes:
    """Make a signed note of a checkpoint."""
    return sign_text(key, origin, Checkpoint(origin, size, root).text())


def sign_text(key: Ed25519PrivateKey, name: str, text: str) -> bytes:
    """Make a signed note of any text that ends in a line break; no checkpoint begins as other texts do, with another line."""
    public = key.public_key().public_bytes_raw()
    signature = base64.b64encode(key_hash(name, public) + key.sign(text.encode())).decode()
    return f"{text}\n{_DASH}{name} {signature}\n".encode()


def parse(note: bytes) -> tuple[Checkpoint, list[tuple[str, bytes]]]:
    """Read a note without trusting it: the checkpoint and its signatures as (name, key hash and signature).

    Raises:
        LedgerError: it is not a checkpoint.
    """
    try:
        if (
            len(note) > _NOTE_BYTES_MAX
            or not note.endswith(b"\n")
            or any(byte < _SPACE for byte in note if byte != _LINE)
        ):
            raise ValueError
        text, _, tail = note.decode().rpartition("\n\n")
        origin, size, root64 = text.split("\n")[:3]
        root = _decoded(root64)
        signatures = [_signature(line) for line in tail.removesuffix("\n").split("\n")]
        if not origin or len(root) != 32 or size != str(int(size)) or int(size) < 0:  # noqa: PLR2004 SHA-256
            raise ValueError
    except ValueError as error:
        raise LedgerError("a checkpoint that cannot be read", todo="Run verify") from error
    return Checkpoint(origin, int(size), root), signatures


def _decoded(text: str) -> bytes:
    """Base64 in its one form: another text for the same bytes would be a second form of one note."""
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError
    return raw


def _signature(line: str) -> tuple[str, bytes]:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not _is_name(name):
        raise ValueError
    blob = _decoded(encoded)
    if len(blob) <= 4:  # noqa: PLR2004 the key's hash alone
        raise ValueError
    return name, blob


def _is_name(name: str) -> bool:
    return bool(name) and not any(letter.isspace() or letter == "+" for letter in name)


def verify(note: bytes, verifier: str) -> Checkpoint:
    """Read a checkpoint and check that the named key signed it.

    Raises:
        LedgerError: malformed, of another log, or not signed by this key.
    """
    name, public = parse_verifier_key(verifier)
    found, signatures = parse(note)
    text = note[: note.rindex(b"\n\n") + 1]
    if found.origin != name:
        raise LedgerError("a checkpoint of another log")
    for signer, blob in signatures:
        if signer == name and blob[:4] == key_hash(name, public):
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(blob[4:], text)
            except InvalidSignature as error:
                raise LedgerError("a checkpoint whose signature does not fit", todo="Run verify") from error
            return found
    raise LedgerError("a checkpoint that this log's key did not sign", todo="Run verify")

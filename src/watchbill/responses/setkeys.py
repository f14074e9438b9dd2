"""Keys that sign Security Event Tokens (RFC 8417): RSA of 3072 bits in home/keys/ssf, changed with an overlap.

A new key is published for a while before it signs, and the old one stays published after it last signed, so that receivers
who fetch the key set now and then never meet a token whose key they do not know. A file's name holds when it was made.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from watchbill.core.errors import ActionError
from watchbill.ledger import files

if TYPE_CHECKING:
    from pathlib import Path

KEY_BITS: Final = 3072
ALGORITHM: Final = "RS256"
DAY_MS: Final = 86_400_000
LEAD_MS: Final = DAY_MS
"""So long is a key published before it signs."""
OVERLAP_MS: Final = 7 * DAY_MS
"""So long is a key published after another signs."""
_NAME: Final = re.compile(r"([0-9]{13})-([0-9a-f]{16})\.pem")


@dataclass(frozen=True, slots=True)
class SetKey:
    """One key: when it was made (epoch ms), and its id."""

    made: int
    kid: str
    private: rsa.RSAPrivateKey


class SetKeys:
    """The keys of a home. `days`: how old the newest may grow before the next is made."""

    def __init__(self, home: Path, *, days: float = 90.0) -> None:
        self._folder = home / files.KEYS / "ssf"
        self._days_ms = int(days * DAY_MS)
        self._read: dict[str, SetKey] = {}

    def turn(self, now: int) -> None:
        """Make the first key, or the next where it is time, and drop what is past its overlap.

        Raises:
            ActionError: the disk does not take it.
        """
        keys = self._all()
        try:
            if not keys or now - keys[-1].made >= self._days_ms:
                self._make(now)
                keys = self._all()
            for old, new in pairwise(keys):
                if now >= new.made + LEAD_MS + OVERLAP_MS:
                    (self._folder / f"{old.made:013d}-{old.kid}.pem").unlink(missing_ok=True)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise ActionError(f"a signing key cannot be kept ({why})", where="keys/ssf", todo="Make room") from None

    def signing(self, now: int) -> SetKey:
        """The newest key that was published long enough, else the oldest.

        Raises:
            ActionError: there is none (`turn` makes one).
        """
        keys = self._all()
        if not keys:
            raise ActionError("there is no signing key yet", where="keys/ssf", todo="Start `watchbill run` once")
        ready = [key for key in keys if now >= key.made + LEAD_MS]
        return ready[-1] if ready else keys[0]

    def sign(self, claims: dict[str, Any], now: int) -> str:
        """A token over these claims, explicitly typed.

        Raises:
            ActionError: there is no key.
        """
        key = self.signing(now)
        return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers={"typ": "secevent+jwt", "kid": key.kid})

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JSON Web Key Set (RFC 7517)."""
        out = []
        for key in self._all():
            public = RSAAlgorithm.to_jwk(key.private.public_key(), as_dict=True)
            out.append(
                {name: public[name] for name in ("kty", "n", "e")} | {"kid": key.kid, "use": "sig", "alg": ALGORITHM}
            )
        return {"keys": out}

    def _make(self, now: int) -> None:
        private = rsa.generate_private_key(public_exponent=65_537, key_size=KEY_BITS)
        public = private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        files.make_directory(self._folder)
        self._folder.chmod(0o700)
        name = f"{now:013d}-{hashlib.sha256(public).hexdigest()[:16]}.pem"
        files.write_atomic(self._folder / name, pem, mode=0o600)

    def _all(self) -> list[SetKey]:
        """The keys on disk, oldest first; each file is read once."""
        names = sorted(path.name for path in self._folder.glob("*.pem")) if self._folder.is_dir() else []
        found = []
        for name in names:
            if (match := _NAME.fullmatch(name)) is None:
                continue
            if name not in self._read:
                self._read[name] = SetKey(int(match[1]), match[2], _private(self._folder / name))
            found.append(self._read[name])
        return found


def _private(path: Path) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise ActionError("a signing key cannot be read", where=f"keys/ssf/{path.name}", todo="Restore it") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ActionError("is no RSA key", where=f"keys/ssf/{path.name}", todo="Restore it")
    return key


def canonical_subject(subject: dict[str, Any]) -> str:
    """A subject identifier as text that is equal for equal ones."""
    return json.dumps(subject, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

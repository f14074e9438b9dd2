"""Keys of one home: the log's signing key, and one nonce key for each UTC day of arrival.

Nonces hide a record's content from whoever sees only its leaf hash. They derive from a key per day, so that erasing
payloads later costs one small file a day. Everything here is readable by the owner alone (mode 0600).
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from watchbill.core.errors import LedgerError
from watchbill.ledger import checkpoint, files

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 16
DAY_MS: Final = 86_400_000
_EPOCH: Final = date(1970, 1, 1).toordinal()
_PRIVATE: Final = 0o600
_SEED: Final = "replay.seed"


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a home.

    Attributes:
        folder: where they are.
        origin: the log's name in checkpoints.
        signing: the key that signs checkpoints.
    """

    folder: Path
    origin: str
    signing: Ed25519PrivateKey

    @classmethod
    def open(cls, home: Path, *, origin: str | None = None) -> Keys:
        """Load the keys, or make them when the home has none; `origin` names a new log.

        Raises:
            LedgerError: the key file is damaged, or others can read it.
        """
        folder = home / files.KEYS
        path = folder / "origin.key"
        if not path.exists():
            files.make_directory(folder / "days")
            folder.chmod(0o700)
            seed = Ed25519PrivateKey.generate().private_bytes_raw()
            files.write_atomic(path, seed, mode=_PRIVATE)
        signing = Ed25519PrivateKey.from_private_bytes(_read_key(path))
        public = signing.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        verifier = folder / "origin.pub"
        if not verifier.exists():
            name = origin or f"watchbill/{public[:8].hex()}"
            files.write_atomic(verifier, (checkpoint.verifier_key(name, public) + "\n").encode())
        name, known = checkpoint.parse_verifier_key(verifier.read_text().strip())
        if known != public:
            raise LedgerError("the public key does not belong to the signing key", where=str(verifier))
        return cls(folder, name, signing)

    def day_key(self, day: int) -> bytes:
        """Nonce key of a UTC day (days since 1970), made on first use."""
        path = self.folder / "days" / f"{day_name(day)}.key"
        if not path.exists():
            seed = self.folder / _SEED
            made = AESGCM.generate_key(bit_length=256)
            if seed.exists():
                made = hmac.digest(_read_key(seed), day_name(day).encode(), "sha256")
            files.write_atomic(path, made, mode=_PRIVATE)
        return _read_key(path)

    def sign(self, size: int, root: bytes) -> bytes:
        """A signed checkpoint over the tree."""
        return checkpoint.sign(self.signing, self.origin, size, root)


def seed_days(home: Path, first_record: bytes) -> None:
    """Let the day keys of this home follow from its first record (canonical bytes), for a replay of history.

    Two replays of the same records then have the same root, which is how they are compared (docs/decisions/0006). A
    seed that is there stays.
    """
    path = home / files.KEYS / _SEED
    if not path.exists():
        files.make_directory(home / files.KEYS / "days")
        (home / files.KEYS).chmod(0o700)
        files.write_atomic(path, hashlib.sha256(b"watchbill replay\x00" + first_record).digest(), mode=_PRIVATE)


def is_seeded(home: Path) -> bool:
    """Whether this home is a replay of history, so that its clock is the records' own."""
    return (home / files.KEYS / _SEED).exists()


def renew_seed(home: Path) -> None:
    """Days to come get keys that nothing earlier leads to; keys that are there stay, and so does the clock of a replay."""
    files.write_atomic(home / files.KEYS / _SEED, AESGCM.generate_key(bit_length=256), mode=_PRIVATE)


def forget_seed(home: Path) -> None:
    """From now on new days get random keys: what a live home does at every start."""
    (home / files.KEYS / _SEED).unlink(missing_ok=True)


def day_of(arrival_ms: int) -> int:
    """UTC day, as days since 1970, of an arrival in epoch milliseconds."""
    return arrival_ms // DAY_MS


def day_name(day: int) -> str:
    """A day as YYYY-MM-DD.

    Raises:
        LedgerError: before year 1 or after year 9999.
    """
    try:
        return date.fromordinal(_EPOCH + day).isoformat()
    except (ValueError, OverflowError) as error:
        raise LedgerError("an arrival clock outside the years 1 to 9999", todo="Correct the source's clock") from error


def nonces(day_key: bytes, first_seq: int, count: int) -> NDArray[np.uint8]:
    """Nonces of consecutive seqs: AES-256 of the seq as a 16-byte big-endian block, as one CTR stream.

    Returns:
        uint8[count, 16].
    """
    stream = Cipher(algorithms.AES(day_key), modes.CTR(first_seq.to_bytes(NONCE_BYTES, "big"))).encryptor()
    return np.frombuffer(stream.update(bytes(NONCE_BYTES * count)), dtype=np.uint8).reshape(count, NONCE_BYTES)


def _read_key(path: Path) -> bytes:
    if path.stat().st_mode & 0o077 and os.name == "posix":
        raise LedgerError("a key file that others can read", where=str(path), todo="chmod 600 it")
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise LedgerError("a key file of the wrong length", where=str(path), todo="Put it back from a backup")
    return key

"""The home's key for offline lists: made on first use, readable by its owner alone; handsets are given the public half."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from watchbill.core.errors import LedgerError
from watchbill.ledger.files import write_atomic
from watchbill.runners.presencekeys import FOLDER

if TYPE_CHECKING:
    from pathlib import Path

_BYTES: Final = 32


def offline_key(home: Path) -> Ed25519PrivateKey:
    """The signing key.

    Raises:
        LedgerError: the file is damaged, or others can read it.
    """
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    path = folder / "offline.key"
    if not path.exists():
        write_atomic(path, Ed25519PrivateKey.generate().private_bytes_raw(), mode=0o600)
    data = path.read_bytes()
    if path.stat().st_mode & 0o077 or len(data) != _BYTES:
        todo = "chmod 600 it, or put it back from a backup"
        raise LedgerError("a key that others can read, or of the wrong length", where=path.name, todo=todo)
    return Ed25519PrivateKey.from_private_bytes(data)

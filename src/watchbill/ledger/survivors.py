"""Nonces of the records that outlive their day key: once payloads of a day were erased, the key goes and these stay.

`keys/days/<day>.nonces`: `WBNN`, version (4 bytes), number of runs (8), then each run's first seq and length (8 and 8), then
the nonces, 16 bytes each, in order of seq; little-endian. Without its nonce nobody can test a guess against a leaf.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from watchbill.core.errors import LedgerError
from watchbill.ledger import files
from watchbill.ledger.keys import NONCE_BYTES, day_name, nonces

MAGIC: Final = b"WBNN\x01\x00\x00\x00"
_HEAD: Final = len(MAGIC) + 8
_RUN: Final = 16
_PRIVATE: Final = 0o600


@dataclass(frozen=True, slots=True)
class Survivors:
    """Nonces kept one by one: `seqs` int64[n], ascending; `nonces` uint8[n, 16]."""

    seqs: NDArray[np.int64]
    nonces: NDArray[np.uint8]

    @classmethod
    def none(cls) -> Survivors:
        """Of a day that still has its key."""
        return cls(np.zeros(0, np.int64), np.zeros((0, NONCE_BYTES), np.uint8))


def survivors_path(home: Path, day: int) -> Path:
    """Where the kept nonces of a UTC day (days since 1970) are."""
    return home / files.KEYS / "days" / f"{day_name(day)}.nonces"


def key_path(home: Path, day: int) -> Path:
    """Where the nonce key of a UTC day is."""
    return home / files.KEYS / "days" / f"{day_name(day)}.key"


def read_survivors(home: Path, day: int) -> Survivors:
    """The kept nonces of a day; none where it has its key.

    Raises:
        LedgerError: the file is not whole.
    """
    path = survivors_path(home, day)
    if not path.exists():
        return Survivors.none()
    raw = path.read_bytes()
    count = int.from_bytes(raw[len(MAGIC) : _HEAD], "little")
    begin = _HEAD + _RUN * count
    if not raw.startswith(MAGIC) or len(raw) < begin:
        raise LedgerError("kept nonces are not whole", where=path.name, todo="Put the file back from a backup")
    runs = np.frombuffer(raw[_HEAD:begin], dtype="<i8").reshape(-1, 2)
    if len(raw) != begin + NONCE_BYTES * int(runs[:, 1].sum()):
        raise LedgerError("kept nonces are not whole", where=path.name, todo="Put the file back from a backup")
    parts = [np.arange(first, first + length) for first, length in runs.tolist()]
    seqs = np.concatenate([np.zeros(0, np.int64), *parts])
    return Survivors(seqs, np.frombuffer(raw[begin:], np.uint8).reshape(-1, NONCE_BYTES))


def write_survivors(home: Path, day: int, kept: Survivors) -> None:
    """Replace the kept nonces of a day."""
    breaks = np.flatnonzero(np.diff(kept.seqs) != 1) + 1
    first = np.concatenate([kept.seqs[:1], kept.seqs[breaks]])
    ends = np.concatenate([breaks, [len(kept.seqs)]]) if len(kept.seqs) else np.zeros(0, np.int64)
    runs = np.stack([first, np.diff(ends, prepend=0)], axis=1).astype("<i8") if len(first) else np.zeros((0, 2), "<i8")
    head = MAGIC + len(runs).to_bytes(8, "little") + runs.tobytes()
    files.write_atomic(survivors_path(home, day), head + kept.nonces.tobytes(), mode=_PRIVATE)


def nonces_of(home: Path, day: int, seqs: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Nonces of records of one day; uint8[n, 16].

    Raises:
        LedgerError: the nonce of one of them is gone, as it is after an erasure.
    """
    kept = read_survivors(home, day)
    out = np.zeros((len(seqs), NONCE_BYTES), np.uint8)
    at = np.searchsorted(kept.seqs, seqs)
    known = at < len(kept.seqs)
    known[known] = kept.seqs[at[known]] == seqs[known]
    out[known] = kept.nonces[at[known]]
    rest = np.flatnonzero(~known)
    if not len(rest):
        return out
    path = key_path(home, day)
    if not path.exists():
        raise LedgerError("the nonce of a record is gone, or its day's key is missing", where=path.name)
    key, wanted = path.read_bytes(), seqs[rest]
    low, high = int(wanted.min()), int(wanted.max())
    if high - low < 4 * len(wanted) + WIDE:
        out[rest] = nonces(key, low, high - low + 1)[wanted - low]
    else:
        out[rest] = np.concatenate([nonces(key, seq, 1) for seq in wanted.tolist()])
    return out


WIDE: Final = 1 << 16
"""A span of so many seqs is cheaper to make in one stream than its nonces one by one."""

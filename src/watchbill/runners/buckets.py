"""State by logical bucket: what a distributed engine carries, one blob a bucket a stage; the same 64 in every runner.

The waybill stage is split by the top 6 bits of the item's hash, which every work key carries; the account stage by a
checksum of the account's name. Splitting and joining lose nothing (tests/runners/test_buckets.py), and a shard's state
scores its own keys as the whole does.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BUCKETS: Final = 64
_SHIFT: Final = np.uint64(58)
_BY_ITEM: Final = {
    "context/work.cells": "key",
    "context/tickets.cells": "key",
    "context/signed.cells": "key",
    "context/given.cells": "key",
    "context/pool": "item",
}
_BY_ACCOUNT: Final = ("standing", "presence", "frozen", "records", "context/desk", "coverage/habits")


def bucket_of(account: str) -> int:
    """The logical bucket of an account."""
    return zlib.crc32(account.encode()) % BUCKETS


def split(snapshot: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """(one blob a bucket, what is shared by all) of a pipeline's snapshot.

    A blob holds, per array, the rows of its bucket and where they stood, so that `join` is exact.
    """
    names = snapshot["context/accounts"]
    accounts = np.array([bucket_of(name) for name in names], dtype=np.int64)
    blobs: list[dict[str, Any]] = [{} for _ in range(BUCKETS)]
    shared = dict(snapshot)
    for name in list(snapshot):
        owner = _owner(name, snapshot[name], accounts)
        if owner is None:
            continue
        rows = shared.pop(name)
        shared[f"{name}#rows"] = int(rows.shape[0])
        for bucket in range(BUCKETS):
            at = np.flatnonzero(owner == bucket)
            blobs[bucket][name] = rows[at]
            blobs[bucket][f"{name}#at"] = at
    return blobs, shared


def join(blobs: list[dict[str, Any]], shared: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `split`."""
    out = {name: value for name, value in shared.items() if not name.endswith("#rows")}
    for mark, size in shared.items():
        if not mark.endswith("#rows"):
            continue
        name = mark.removesuffix("#rows")
        whole = np.zeros(size, dtype=blobs[0][name].dtype)
        for blob in blobs:
            whole[blob[f"{name}#at"]] = blob[name]
        out[name] = whole
    return out


def _owner(name: str, value: object, accounts: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """The bucket of each row of an array, None where it is shared by all buckets."""
    if name in _BY_ITEM and isinstance(value, np.ndarray):
        return (value[_BY_ITEM[name]] >> _SHIFT).astype(np.int64)
    by_account = name in _BY_ACCOUNT or (name.startswith("detector.") and name.endswith("/rows"))
    if by_account and isinstance(value, np.ndarray):
        # rows beyond the known accounts are spare room and belong to bucket 0
        return np.concatenate([accounts, np.zeros(max(0, value.shape[0] - accounts.shape[0]), np.int64)])[
            : value.shape[0]
        ]
    return None

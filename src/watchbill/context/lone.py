"""Devices that look for themselves: a scanner's look that names no account gets an account of the device's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from watchbill.core.hashing import combine, hash_text
from watchbill.core.kernel import kernel
from watchbill.records.columns import KIND

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.context.interning import Interner
    from watchbill.core.tables import Table64
    from watchbill.records.columns import Columns

DEVICE_MARK: Final = "\x00device:"
"""Begins the name of a device among the accounts; what the contract admits as an account holds no NUL."""
STRANGE: Final = 1
"""Code of a lone device that the devices table does not know; HOMELESS: known, without an outlet; else dense outlet + AT."""
HOMELESS: Final = 2
AT: Final = 3
_DEVICE_TAG: Final = 14
_LOOKS: Final = (KIND["view"], KIND["print"])


@kernel
def device_key(device: np.uint64) -> np.uint64:
    """The key under which a device (its hash) stands among the accounts."""
    return combine(np.uint64(0), device, _DEVICE_TAG)


@kernel
def _keys(devices: NDArray[np.uint64], out: NDArray[np.uint64]) -> None:
    for i in range(out.shape[0]):
        out[i] = device_key(devices[i])


def device_of(name: str) -> str:
    """The device behind an account's name; "" where it is an account of a person or a robot."""
    return name.removeprefix(DEVICE_MARK) if name.startswith(DEVICE_MARK) else ""


def account_key(name: str) -> int:
    """The 64-bit key of an account's name, devices included."""
    device = device_of(name)
    return int(device_key(np.uint64(hash_text(device)))) if device else hash_text(name)


def lone_looks(
    c: Columns, accounts: Interner, devices: Table64, room: int, *, registry: bool
) -> tuple[NDArray[np.uint64], NDArray[np.int32], int]:
    """Give looks without an account the account of their device.

    Args:
        devices: registered devices (`context.static.device_outlets`). room: how many devices may still be taken in; past
            it they are left without standing and counted. registry: whether there is a devices table at all.

    Returns:
        uint64[n] keys of accounts; int32[n] 0 for an account, else STRANGE, HOMELESS or dense outlet + AT; how many
        devices are new.
    """
    codes = np.zeros(len(c), np.int32)
    rows = np.flatnonzero((c.account == 0) & (c.device != 0) & (c.kind >= _LOOKS[0]) & (c.kind <= _LOOKS[1]))
    if rows.shape[0] == 0:
        return c.account, codes, 0
    keys = np.zeros(rows.shape[0], np.uint64)
    _keys(c.device[rows], keys)
    fresh = np.flatnonzero(accounts.table.get(keys) < 0)
    _, first = np.unique(keys[fresh], return_index=True)
    allowed = keys[fresh[np.sort(first)[: max(0, room)]]]
    taken = np.isin(keys, keys[fresh], invert=True) | np.isin(keys, allowed)
    accounts.left_out += int(np.count_nonzero(~taken))
    out = c.account.copy()
    out[rows[taken]] = keys[taken]
    place = devices.get(c.device[rows])
    strange = STRANGE if registry else HOMELESS
    codes[rows] = np.where(place == -1, strange, np.where(place >= 0, (place >> 4) + AT, HOMELESS))
    return out, codes, int(allowed.shape[0])

"""When an account's owner is meant to be at work: the shifts table as sorted spans by account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from watchbill.core.kernel import kernel

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from watchbill.context.interning import Interner

UNSAID: Final = 0
ON: Final = 1
OFF: Final = 2
_NEAR_MS: Final = 7 * 86_400_000
"""A table that knows no shift of the account within a week of the moment says nothing about it."""
_FOREVER: Final = np.iinfo(np.int64).max // 4


class Shifts(NamedTuple):
    """All shifts, by account.

    Attributes:
        first: int64[accounts known when built + 1]: where each account's spans begin.
        since, until: int64[spans], epoch ms, [since, until), each account's in order of `since`.
    """

    first: NDArray[np.int64]
    since: NDArray[np.int64]
    until: NDArray[np.int64]


@kernel
def shift_at(shifts: Shifts, account: int, time: int) -> int:
    """ON, OFF, or UNSAID where the table names no shift of the account near that time."""
    if account < 0 or account + 1 >= shifts.first.shape[0]:
        return UNSAID
    low, end = shifts.first[account], shifts.first[account + 1]
    start, high = low, end
    while low < high:  # the first span that begins after `time`
        middle = (low + high) // 2
        if shifts.since[middle] <= time:
            low = middle + 1
        else:
            high = middle
    if low > start and time < shifts.until[low - 1]:
        return ON
    before = low > start and time - shifts.until[low - 1] < _NEAR_MS
    after = low < end and shifts.since[low] - time < _NEAR_MS
    return OFF if before or after else UNSAID


def shifts_of(table: pa.Table | None, accounts: Interner) -> Shifts:
    """Build the shifts; accounts that the table names are interned."""
    if table is None or table.num_rows == 0:
        return Shifts(np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
    who = np.array([accounts.add(name or "") for name in table.column("account").to_pylist()], np.int64)
    since = table.column("from").fill_null(0).to_numpy()
    until = np.minimum(table.column("until").fill_null(int(_FOREVER)).to_numpy(), _FOREVER)
    order = np.lexsort((until, since, who))
    counts = np.bincount(who, minlength=len(accounts))
    # of overlapping spans the later one must not hide the longer: ends never go back within an account
    ends = until[order].copy()
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    for start, stop in zip(first[:-1].tolist(), first[1:].tolist(), strict=True):
        if stop - start > 1:
            np.maximum.accumulate(ends[start:stop], out=ends[start:stop])
    return Shifts(first, since[order].astype(np.int64), ends.astype(np.int64))

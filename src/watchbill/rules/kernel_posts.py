"""Who an account was at each record: role, outlet and roster status, row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchbill.context.roster import post_at
from watchbill.core.kernel import kernel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@kernel
def posts_of(
    index: NDArray[np.int32], posts: NDArray[np.void], accounts: NDArray[np.int32], times: NDArray[np.int64],
    found: NDArray[np.int32], status: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Fill, for each of n records, the row in `posts` (-1 none) and the status (context.roster) of its account at its time."""
    for i in range(accounts.shape[0]):
        post, state = post_at(index, posts, accounts[i], times[i])
        found[i] = post
        status[i] = state

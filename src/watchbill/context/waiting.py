"""Relinking the pool of waiting looks: the chain of each item (newest first) and the queue of each account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from watchbill.context.spans import span_slot
from watchbill.core.kernel import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray


@kernel
def link_all(pool: NDArray[np.void], count: int, desk: NDArray[np.void], heads: NDArray[np.void]) -> int:
    """Link pool[0:count] (all alive, in order of seq); `heads` is empty and large enough. Returns distinct items."""
    items = 0
    for at in range(count):
        look = pool[at]
        head = heads[span_slot(heads, look.item)]
        look.next_of_item = -1
        if head.key:
            look.next_of_item = head.since
        else:
            items += 1
            head.key = look.item
        head.since = at
        look.next_of_account = -1
        row = desk[look.account]
        if row.waiting == 0:
            row.waiting_head = at
        else:
            pool[row.waiting_tail].next_of_account = at
        row.waiting_tail = at
        row.waiting += 1
    return items

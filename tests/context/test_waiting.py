from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from watchbill.context.facts import DESK, WAITING
from watchbill.context.spans import SpanTable, span_slot
from watchbill.context.waiting import link_all


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), max_size=40))
def test_chains_run_newest_first_by_item_and_queues_oldest_first_by_account(looks: list[tuple[int, int]]) -> None:
    pool, desk, heads = np.zeros(64, WAITING), np.zeros(4, DESK), SpanTable(len(looks))
    for at, (item, account) in enumerate(looks):
        pool[at]["item"], pool[at]["account"], pool[at]["alive"] = item, account, 1
    assert link_all(pool, len(looks), desk, heads.cells) == len({item for item, _ in looks})
    for item in range(1, 5):
        cell = heads.cells[span_slot(heads.cells, np.uint64(item))]
        chain, at = [], int(cell["since"]) if cell["key"] else -1
        while at >= 0:
            chain.append(at)
            at = int(pool[at]["next_of_item"])
        assert chain == [n for n, look in enumerate(looks) if look[0] == item][::-1]
    for account in range(4):
        mine = [n for n, look in enumerate(looks) if look[1] == account]
        assert desk[account]["waiting"] == len(mine)
        queue, at = [], int(desk[account]["waiting_head"]) if mine else -1
        while at >= 0:
            queue.append(at)
            at = int(pool[at]["next_of_account"])
        assert queue == mine

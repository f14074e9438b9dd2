"""Kernels of the duplicate filter: folding is order-true and null-blind, moving ages by days modulo 256."""

from __future__ import annotations

import numpy as np

from watchbill.records.kernel_seen import CELL, CONFLICT, NEW, SAME, enter, fold, fold_lists, look_up, move

TAG = np.uint64(3)


def u64(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.uint64)


def test_absent_values_change_nothing_and_tags_tell_columns_apart() -> None:
    a, b = u64(1, 1), u64(1, 1)
    fold(a, u64(0, 7), TAG)
    fold(b, u64(0, 7), np.uint64(4))
    assert a[0] == b[0] == 1
    assert a[1] != b[1] != 1


def test_lists_are_folded_in_order() -> None:
    out = np.empty(4, dtype=np.uint64)
    fold_lists(np.array([0, 2, 4, 4, 5], np.int32), u64(5, 6, 6, 5, 5), out)
    assert out[2] == 0
    assert len({int(v) for v in out}) == 4


def test_the_first_of_repeats_stands() -> None:
    cells = np.zeros(16, CELL)
    wanted, content = u64(9, 9, 0, 9, 4), np.array([1, 1, 1, 2, 1], np.uint32)
    verdict = np.zeros(5, np.int8)
    assert enter(wanted, content, 300, cells, verdict) == 2
    assert verdict.tolist() == [NEW, SAME, NEW, CONFLICT, NEW]
    again = np.zeros(5, np.int8)
    look_up(wanted, content, cells, again)
    assert again.tolist() == [SAME, SAME, NEW, CONFLICT, SAME]
    assert set(cells["day"][cells["key"] != 0].tolist()) == {300 % 256}
    for today, kept in ((307, 2), (308, 0)):
        old = np.zeros(2, np.uint64)
        assert move(cells, today, 7, np.zeros(16, CELL), old) == (kept, 2 - kept)

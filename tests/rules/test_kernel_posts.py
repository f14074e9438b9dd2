from __future__ import annotations

import numpy as np

from watchbill.context.roster import ACTIVE, EARLY, ENDED, POST, UNKNOWN
from watchbill.rules.kernel_posts import posts_of


def test_posts_as_of_each_record() -> None:
    posts = np.zeros(2, POST)
    posts["since"], posts["until"] = [10, 20], [20, 30]
    index = np.array([[0, 2]], np.int32)
    accounts, times = np.array([0, 0, 0, 0, -1, 5], np.int32), np.array([5, 10, 20, 30, 10, 10], np.int64)
    found, status = np.zeros(6, np.int32), np.zeros(6, np.uint8)
    posts_of(index, posts, accounts, times, found, status)
    assert found.tolist() == [0, 0, 1, 1, -1, -1]
    assert status.tolist() == [EARLY, ACTIVE, ACTIVE, ENDED, UNKNOWN, UNKNOWN]

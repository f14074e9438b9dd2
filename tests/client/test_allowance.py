from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from watchbill.client.allowance import Allowance

steps = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 4), st.floats(0, 500)), max_size=80)


@given(steps)
def test_no_account_gets_more_than_its_bucket_and_the_table_stays_bounded(steps: list[tuple[int, int, float]]) -> None:
    most, refill, accounts = 5, 100.0, 4
    now = [0.0]
    bucket = Allowance(most, refill, accounts, lambda: now[0])
    given_out: dict[int, list[tuple[float, int]]] = {}
    for account, tokens, pause in steps:
        now[0] += pause
        if bucket.take(str(account), tokens):
            given_out.setdefault(account, []).append((now[0], tokens))
        assert len(bucket) <= accounts
    for takes in given_out.values():  # in any span: at most the bucket and what flowed in meanwhile
        for first in range(len(takes)):
            for last in range(first, len(takes)):
                span = takes[last][0] - takes[first][0]
                assert sum(tokens for _, tokens in takes[first : last + 1]) <= most + span / refill + 1e-6


def test_it_refills_and_crowding_out_gains_nothing() -> None:
    now = [0.0]
    bucket = Allowance(2, 60.0, 2, lambda: now[0])
    assert [bucket.take("a", 1) for _ in range(3)] == [True, True, False]
    assert bucket.take("b", 1)
    assert not bucket.take("c", 1)
    now[0] = 60.0  # b is full again and may be forgotten; a has one of two
    assert bucket.take("c", 2)
    assert [bucket.take("a", 1), bucket.take("a", 1)] == [True, False]


def test_all_or_nothing_and_given_back() -> None:
    bucket = Allowance(3, 60.0, 2, lambda: 0.0)
    assert not bucket.take("a", 4)
    assert not bucket.take("a", 0)
    assert bucket.take("a", 3)
    bucket.give_back("a", 3)
    assert bucket.take("a", 3)

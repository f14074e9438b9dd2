from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.context.interning import Interner
from watchbill.core.errors import LimitError
from watchbill.core.hashing import hash_text


@given(st.lists(st.text(max_size=3) | st.none(), max_size=40), st.integers(1, 10))
def test_numbers_follow_first_appearance_for_any_cut(names: list[str | None], step: int) -> None:
    interner, numbers = Interner("accounts", 100), dict[str, int]()
    for start in range(0, len(names), step):
        part = names[start : start + step]
        hashes = np.array([0 if name is None else hash_text(name) for name in part], np.uint64)
        ids = interner.of(hashes, lambda at, part=part: part[at] or "")  # type: ignore[misc]
        for name, number in zip(part, ids, strict=True):
            assert number == (-1 if name is None else numbers.setdefault(name, len(numbers)))
    assert interner.names == list(numbers)
    assert interner.hashes.tolist() == [hash_text(name) for name in numbers]
    assert [interner.find(name) for name in numbers] == list(range(len(numbers)))
    assert interner.find("never seen at all") == -1


def test_it_grows_past_its_first_room_and_stops_at_its_limit() -> None:
    interner = Interner("accounts", 3_000)
    for number in range(3_000):
        assert interner.add(f"a{number}") == number
    assert interner.add("a7") == 7
    assert len(interner) == 3_000
    with pytest.raises(LimitError, match=r"limits.accounts_max"):
        interner.add("one more")


def test_made_up_names_past_the_limit_are_left_out_and_counted() -> None:
    interner = Interner("accounts", 2)
    hashes = np.array([hash_text(name) for name in "abcac"], dtype=np.uint64)
    assert interner.of(hashes, lambda at: "abcac"[at]).tolist() == [0, 1, -1, 0, -1]
    assert interner.left_out == 2
    assert interner.of(hashes[2:3], lambda _: "c").tolist() == [-1]
    assert interner.names == ["a", "b"]

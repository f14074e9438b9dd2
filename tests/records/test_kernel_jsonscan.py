"""The scanning kernel: names are found by their bytes, and anything odd is left to the exact path."""

from __future__ import annotations

import numpy as np
import pytest

from watchbill.records.kernel_jsonscan import (
    EXTRA,
    INT_0,
    INTS,
    LISTS,
    MASKED,
    TEXTS,
    _key,  # the hash table of names is the one thing here that can be wrong in silence
    scan,
)
from watchbill.records.schema import ASSIGNED_BY_US, SCHEMA


def buffer(text: bytes) -> np.ndarray:
    return np.frombuffer(text, dtype=np.uint8)


def test_every_field_of_the_contract_is_known_by_name() -> None:
    sent = {f.name for f in SCHEMA} - set(ASSIGNED_BY_US)
    assert {*TEXTS, *LISTS, *INTS, "shown", "masked"} == sent
    codes = set()
    for name in sent:
        end, code = _key(buffer(name.encode() + b'":'), 0)
        assert end == len(name)
        codes.add(int(code))
    assert len(codes) == len(sent)
    assert EXTRA not in codes
    assert all(int(_key(buffer(name.encode() + b'"'), 0)[1]) >= INT_0 for name in (*INTS, "masked"))


@pytest.mark.parametrize("name", ["", "i", "idd", "Id", "source", "arrival", "extra", "kin", "kindd", "时间"])
def test_other_names_are_unknown(name: str) -> None:
    assert int(_key(buffer(name.encode() + b'"'), 0)[1]) == EXTRA


def run(text: bytes, tokens: int, rows: int = 4) -> tuple[bool, np.ndarray, np.ndarray]:
    cursor = np.array([0, 0, 1, 0], dtype=np.int64)
    odd = np.zeros(rows, dtype=np.bool_)
    done = scan(
        buffer(text), 1000, cursor, np.zeros((rows, 3), np.int64), np.zeros(rows + 1, np.int64), odd,
        np.zeros((rows, len(INTS)), np.int64), np.zeros(rows, np.int8), np.zeros((tokens, 3), np.int32),
        np.zeros(MASKED + len(LISTS), np.int64),
    )  # fmt: skip
    return bool(done), cursor, odd


def test_odd_lines_are_marked_and_blank_ones_passed_over() -> None:
    done, cursor, odd = run(b'{"id":"a"}\n\n{"id":1}\n{"id":"a"} x\n', 64)
    assert done
    assert cursor.tolist()[1:3] == [3, 5]
    assert odd.tolist() == [False, True, True, False]


def test_it_stops_at_the_row_that_has_no_room() -> None:
    done, cursor, _ = run(b'{"id":"a"}\n{"id":"b","kind":"c"}\n', 2)
    assert not done
    assert cursor.tolist() == [11, 1, 2, 1]

"""Cutting CSV into records against Python's csv module."""

from __future__ import annotations

import csv
import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from watchbill.records.kernel_csv import cut_records

fields = st.text(alphabet='ab,"\n ', max_size=5)


def cut(text: bytes, *, size_max: int = 1000, final: bool = True) -> tuple[list[list[int]], int, int]:
    found = np.zeros((text.count(b"\n") + 1, 4), dtype=np.int64)
    count, taken, line = cut_records(np.frombuffer(text, dtype=np.uint8), size_max, 1, final, found)
    return found[:count].tolist(), int(taken), int(line)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.lists(fields, min_size=2, max_size=4), max_size=5))
def test_records_are_those_of_the_csv_module(rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    text = out.getvalue().encode()
    found, taken, _ = cut(text)
    assert taken == len(text)
    assert [record[3] for record in found] == [len(row) for row in rows]
    assert [next(csv.reader(io.StringIO(text[a:b].decode()))) for a, b, _, _ in found] == rows


def test_an_open_quote_waits_for_more_or_costs_its_line() -> None:
    text = b'a,b\nc,"open\nd,e\n'
    assert cut(text, final=False)[1] == 4
    found, taken, line = cut(text, final=True)
    assert taken == len(text)
    assert [record[3] for record in found] == [2, 0, 2]
    assert line == 4
    assert [r[3] for r in cut(text + b"x" * 50 + b"\n", size_max=60, final=False)[0]] == [2, 0, 2, 1]


def test_blank_lines_are_no_records() -> None:
    found, _, line = cut(b"\r\n\na,b\r\n")
    assert [(record[2], record[3]) for record in found] == [(3, 2)]
    assert line == 4

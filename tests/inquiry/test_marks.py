from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inquiry.leaks import ledger, look
from watchbill.inquiry.attribute import answer_of, shipped
from watchbill.inquiry.leakhits import Asked, Extra
from watchbill.inquiry.leaklist import parse_leak
from watchbill.inquiry.marks import Borne, factors, key_of, mark_of, taken_out
from watchbill.inquiry.sightings import open_sightings

KEY = bytes(range(32))


def test_a_mark_is_of_one_account_and_one_customer_and_of_one_key(tmp_path: Path) -> None:
    assert mark_of(KEY, "E1", "C1", 4) == mark_of(KEY, "E1", "C1", 4)
    assert len({mark_of(KEY, f"E{n}", "C1", 8) for n in range(200)}) == 200
    assert mark_of(KEY, "E1", "C1", 6) != mark_of(bytes(32), "E1", "C1", 6)
    assert mark_of(KEY, "E1", "2C", 8) != mark_of(KEY, "E12", "C", 8)
    assert [len(mark_of(KEY, "E1", f"C{n}", 4)) for n in range(50)] == [4] * 50
    assert key_of(tmp_path) == key_of(tmp_path)


def test_marks_are_even() -> None:
    first = np.bincount([int(mark_of(KEY, f"E{n}", "C", 3)) // 100 for n in range(5_000)], minlength=10)
    assert first.min() > 400
    assert first.max() < 600


@pytest.mark.parametrize(
    ("line", "marks"),
    [
        ("13812345678转4821", ("4821",)), ("13812345678 转 4821", ("4821",)), ("13812345678-4821", ("4821",)), ("13812345678,4821", ("4821",)),
        ("13812345678 ext. 4821", ("4821",)), ("13812345678#4821", ("4821",)), ("13812345678", ()), ("13812345678,12.50", ()),
        ("13812345678,2025-03-03", ()), ("C123 分机：77001", ("77001",)),
    ],
)  # fmt: skip
def test_extensions_are_read_and_prices_are_not(line: str, marks: tuple[str, ...]) -> None:
    left, found = taken_out(line)
    assert found == marks
    assert left.split()[0].startswith(line[:4])
    assert parse_leak(line.encode()).items[0].marks == marks


def test_only_the_accounts_own_mark_weighs() -> None:
    mine = mark_of(KEY, "E1", "C1", 4)
    records = [Borne(("x", "C1"), (mine,)), Borne(("C1",), ("0" * 5,)), Borne(("C1",), ())]
    assert factors(KEY, 4, records, ["E1"] * 3).tolist() == [10_000.0, 1.0, 1.0]
    assert factors(KEY, 4, records, ["E2", "", "E1"]).tolist()[1:] == [1.0, 1.0]


def test_two_who_saw_the_same_are_told_apart_by_the_marks_they_were_shown(tmp_path: Path) -> None:
    index = open_sightings(ledger(tmp_path, [look(account, n) for account in ("E1", "E2") for n in range(300)]))
    customers = [f"C{n:011d}" for n in range(5)]
    text = "\n".join(f"{one} 转{mark_of(KEY, 'E2', one, 4)}" for one in customers)
    items = parse_leak(text.encode()).items
    off = answer_of(index, items, Extra({}), Asked(), shipped())
    on = answer_of(index, items, Extra({}, frozenset(), 4, KEY), Asked(), shipped())
    assert off.outcome == "set"
    assert on.ranking[0].account == "E2"
    assert on.ranking[0].posterior > 0.99 > off.ranking[0].posterior

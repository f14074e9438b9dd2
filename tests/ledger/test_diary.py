from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from watchbill.core.errors import LedgerError, LimitError
from watchbill.ledger import diary
from watchbill.ledger.diary import FIRST, Diary


def three(folder: Path) -> Diary:
    book = Diary(folder / "a" / "book.ndjson")
    for number in range(3):
        book.add("note", {"text": f"第{number}", "list": [number]}, 1000 + number)
    return book


def test_entries_come_back_in_order_and_are_chained(tmp_path: Path) -> None:
    book = three(tmp_path)
    held = book.entries()
    assert [(one.number, one.time, one.kind, one.said["list"]) for one in held] == [
        (n, 1000 + n, "note", [n]) for n in range(3)
    ]
    assert len({one.hash for one in held}) == 3
    assert book.head() == held[-1].hash
    assert stat.S_IMODE(book.path.stat().st_mode) == 0o600
    empty = Diary(tmp_path / "none")
    assert (empty.entries(), empty.head()) == ([], FIRST)


@pytest.mark.parametrize("lines", [[0, 2], [1, 2], [0, 2, 1], [0, 1, 1, 2]])
def test_a_line_left_out_moved_or_doubled_is_noticed(tmp_path: Path, lines: list[int]) -> None:
    book = three(tmp_path)
    held = book.path.read_bytes().splitlines(keepends=True)
    book.path.write_bytes(b"".join(held[at] for at in lines))
    with pytest.raises(LedgerError, match="does not follow"):
        book.entries()
    with pytest.raises(LedgerError):
        book.add("note", {}, 9)


@given(st.integers(0, 10_000), st.integers(1, 255))
@example(-1, 7)  # the end of a line becomes a carriage return
@example(-1, 1)
def test_a_changed_byte_before_the_last_line_is_noticed(place: int, flip: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        book = three(Path(folder))
        data = bytearray(book.path.read_bytes())
        last = bytes(data).rstrip(b"\n").rfind(b"\n") + 1
        data[place % last] ^= flip
        book.path.write_bytes(bytes(data))
        with pytest.raises(LedgerError):
            book.entries()


def test_a_torn_last_line_is_taken_back_by_the_next_entry(tmp_path: Path) -> None:
    book = three(tmp_path)
    with book.path.open("ab") as file:
        file.write(b'{"half')
    assert len(book.entries()) == 3
    book.add("note", {}, 9)
    assert [one.number for one in book.entries()] == [0, 1, 2, 3]


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = three(tmp_path)
    monkeypatch.setattr(diary, "LINE_BYTES_MAX", 200)
    with pytest.raises(LimitError):
        book.add("note", {"text": "x" * 300}, 9)
    monkeypatch.setattr(diary, "FILE_BYTES_MAX", 100)
    with pytest.raises(LimitError):
        book.entries()

"""Streams to lines: whole lines only, long ones passed over in flat memory, damage said once."""

from __future__ import annotations

import gzip
import io
import tracemalloc

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from watchbill.records.lines import DamagedError, LineReader, Readable, decompressed, pass_over


class Dribble:
    """A stream that gives its bytes in pieces of the sizes it is told."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self.data, self.sizes = data, sizes or [1]
        self.at = self.turn = 0

    def read(self, size: int, /) -> bytes:
        step = min(size, self.sizes[self.turn % len(self.sizes)])
        self.turn += 1
        part = self.data[self.at : self.at + step]
        self.at += len(part)
        return part


def read_all(stream: Readable) -> bytes:
    parts = []
    while part := stream.read(1000):
        parts.append(part)
    return b"".join(parts)


@settings(deadline=None)
@given(st.binary(max_size=60), st.lists(st.integers(1, 9), max_size=4), st.integers(1, 20), st.integers(3, 12))
def test_lines_are_the_same_however_they_come(data: bytes, sizes: list[int], chunk: int, limit: int) -> None:
    reader = LineReader(Dribble(data, sizes), line_bytes_max=limit, chunk_bytes=chunk)
    found: dict[int, bytes] = {}
    skipped: dict[int, int] = {}
    parts = []
    while (lines := reader.next()) is not None:
        parts.append(lines)
    if (rest := reader.rest()) is not None:
        parts.append(rest)
    for lines in parts:
        skipped |= {long.number: long.size for long in lines.long}
        for i, line in enumerate(lines.text.removesuffix(b"\n").split(b"\n") if lines.text else []):
            found[lines.first_line + i] = line
    wanted = dict(enumerate(data.removesuffix(b"\n").split(b"\n") if data else [], start=1))
    assert {n: len(line) for n, line in wanted.items() if n in skipped} == skipped
    assert all(size > limit for size in skipped.values())
    assert reader.offset == len(data)
    numbers = sorted(set(found) | set(skipped))
    assert numbers == sorted(wanted)
    assert {n: found[n] for n in found} == {n: wanted[n] for n in found}


class OneLine:
    """A gigabyte without a newline, then a line."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.tail = b"\nafter\n"

    def read(self, size: int, /) -> bytes:
        if self.left:
            given = min(size, self.left)
            self.left -= given
            return b"x" * given
        tail, self.tail = self.tail, b""
        return tail


def test_a_gigabyte_line_is_passed_over_in_flat_memory() -> None:
    reader = LineReader(OneLine(1 << 30), line_bytes_max=1 << 20)
    tracemalloc.start()
    lines = reader.next()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert lines is not None
    assert lines.text == b"after\n"
    assert [(long.number, long.size) for long in lines.long] == [(1, 1 << 30)]
    assert len(lines.long[0].head) < 1 << 15
    assert reader.offset == (1 << 30) + 7
    assert peak < 16 << 20


DATA = b"".join(b"line %d\n" % i for i in range(20_000))


@pytest.mark.parametrize(
    "packed", [DATA, gzip.compress(DATA), gzip.compress(DATA[:50]) + gzip.compress(DATA[50:]) + b"\0" * 100,
               zstandard.compress(DATA), zstandard.compress(DATA[:50]) + zstandard.compress(DATA[50:])]
)  # fmt: skip
def test_compression_is_told_by_the_first_bytes(packed: bytes) -> None:
    assert read_all(decompressed(io.BytesIO(packed))) == DATA
    stream = decompressed(io.BytesIO(packed))
    assert pass_over(stream, 70_000, lambda: False)
    assert read_all(stream) == DATA[70_000:]
    assert not pass_over(decompressed(io.BytesIO(packed)), 10**9, lambda: False)


@pytest.mark.parametrize("head", [b"", b"a", b"\x1f\x8b"])
def test_short_streams(head: bytes) -> None:
    stream = decompressed(io.BytesIO(head))
    if head == b"\x1f\x8b":
        with pytest.raises(DamagedError):
            read_all(stream)
    else:
        assert read_all(stream) == head


def test_truncated_gzip_gives_every_byte_before_the_end() -> None:
    packed = gzip.compress(DATA, 0)
    reader = LineReader(decompressed(io.BytesIO(packed[: len(packed) // 2])), line_bytes_max=1000)
    lines = reader.next()
    assert lines is not None
    assert DATA.startswith(lines.text)
    assert len(lines.text) > len(DATA) // 2 - 100
    assert reader.next() is None
    assert reader.damage == "the gzip stream ends too early"


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_damaged_bytes_are_said(pack: object) -> None:
    packed = bytearray(pack(DATA))  # type: ignore[operator]
    packed[len(packed) // 2] ^= 0xFF
    packed[-6] ^= 0xFF
    reader = LineReader(decompressed(io.BytesIO(bytes(packed))), line_bytes_max=1000)
    while reader.next() is not None:
        pass
    assert reader.damage is not None


def test_a_bomb_gives_no_more_than_was_asked() -> None:
    for pack in (gzip.compress, zstandard.compress):
        stream = decompressed(io.BytesIO(pack(b"\0" * (1 << 24))))
        assert len(stream.read(1 << 16)) <= 1 << 16

"""Byte streams to chunks of whole lines: plain, gzip or zstd, with long lines streamed past instead of held in memory."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, Final, Protocol

import pyarrow as pa

BLOCK_BYTES: Final = 1 << 20
CHUNK_BYTES: Final = 16 << 20
_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_READ_BYTES: Final = 1 << 16
_HEAD_BYTES: Final = 1 << 14


class DamagedError(Exception):
    """The compressed stream ends too early or its bytes are damaged; what came before stands."""


class Readable(Protocol):
    """Anything with `read(n)` that gives b"" at its end."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes."""


class Gunzip:
    """Reads a gzip stream of one or more members; gives every byte before damage, then raises `DamagedError`."""

    def __init__(self, raw: Readable) -> None:
        self._raw = raw
        self._inflate = zlib.decompressobj(wbits=31)
        self._pending = b""
        self._ended = False

    def read(self, size: int, /) -> bytes:
        """Up to `size` decompressed bytes (never more, whatever the ratio)."""
        while not self._ended:
            if self._inflate.eof:
                self._pending = (self._inflate.unused_data or self._raw.read(BLOCK_BYTES)).lstrip(b"\0")
                if not self._pending:
                    self._ended = True
                    break
                self._inflate = zlib.decompressobj(wbits=31)
            data = self._pending or self._raw.read(BLOCK_BYTES)
            if not data:
                self._ended = True
                raise DamagedError("the gzip stream ends too early")
            try:
                out = self._inflate.decompress(data, size)
            except zlib.error:
                self._ended = True
                raise DamagedError("the gzip stream is damaged") from None
            self._pending = self._inflate.unconsumed_tail
            if out:
                return out
        return b""


class Unzstd:
    """Reads a zstd stream of one or more frames; raises `DamagedError` at damage (the last 64 KiB before may be lost)."""

    def __init__(self, raw: BinaryIO) -> None:
        self._stream = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")

    def read(self, size: int, /) -> bytes:
        """Up to `size` decompressed bytes."""
        try:
            data: bytes = self._stream.read(min(size, _ZSTD_READ_BYTES))
        except (OSError, pa.ArrowException):
            raise DamagedError("the zstd stream ends too early or is damaged") from None
        return data


class _Joined:
    """A stream whose first bytes were read already."""

    def __init__(self, head: bytes, rest: Readable) -> None:
        self._head, self._rest = head, rest
        self.closed = False

    def close(self) -> None:
        self.closed = True

    def read(self, size: int = -1, /) -> bytes:
        if self._head:
            size = len(self._head) if size < 0 else size
            given, self._head = self._head[:size], self._head[size:]
            return given
        return self._rest.read(size)


def decompressed(raw: Readable) -> Readable:
    """`raw` as plain bytes: gzip and zstd are told by their first bytes, not by a name."""
    head = b""
    while len(head) < len(_ZSTD_MAGIC):
        more = raw.read(len(_ZSTD_MAGIC) - len(head))
        if not more:
            break
        head += more
    joined = _Joined(head, raw)
    if head.startswith(_GZIP_MAGIC):
        return Gunzip(joined)
    return Unzstd(joined) if head == _ZSTD_MAGIC else joined  # type: ignore[arg-type]


@dataclass(frozen=True)
class LongLine:
    """A line over the limit: its number, its first bytes and its whole length (or the length so far)."""

    number: int
    head: bytes
    size: int


@dataclass(frozen=True)
class Lines:
    """Whole lines: their text, the number of the first, where reading resumes, and lines that were too long."""

    text: bytes
    first_line: int
    end_offset: int
    end_line: int
    long: list[LongLine] = field(default_factory=list)


class LineReader:
    """Cuts a stream into chunks of whole lines; memory stays under one chunk, however long a line is.

    Args:
        stream: plain bytes, standing at `offset`.
        offset: bytes before it in the decompressed file.
        line: number of the line that begins there (the first is 1).
        line_bytes_max: longer unfinished lines are skipped over (finished ones inside a chunk go to the parser, which
            refuses them).
        chunk_bytes: about how much text a chunk holds.
    """

    def __init__(
        self, stream: Readable, *, offset: int = 0, line: int = 1, line_bytes_max: int, chunk_bytes: int = CHUNK_BYTES
    ) -> None:
        self._stream = stream
        self.offset, self.line = offset, line
        self._line_max, self._chunk = line_bytes_max, chunk_bytes
        self._carry = b""
        self._skipping: LongLine | None = None
        self.damage: str | None = None

    def next(self) -> Lines | None:
        """The next whole lines, or None when the stream has no more of them now (look at `damage`)."""
        parts, held, long = [self._carry], len(self._carry), list[LongLine]()
        ended = False
        newline = b"\n" in self._carry
        while held < self._chunk or not newline:
            block = self._block()
            if not block:
                ended = True
                break
            if self._skipping is not None:
                block = self._skip(block, long)
            parts.append(block)
            held += len(block)
            newline = newline or b"\n" in block
            if not newline and held > self._line_max:
                self._skipping = LongLine(self.line, b"".join(parts)[:_HEAD_BYTES], held)
                parts, held = [], 0
        text = b"".join(parts)
        cut = text.rfind(b"\n") + 1
        self._carry = text[cut:]
        return self._lines(text[:cut], long) if cut or long or not ended else None

    def _lines(self, text: bytes, long: list[LongLine]) -> Lines:
        first = self.line
        self.offset += len(text)
        self.line += text.count(b"\n")
        return Lines(text, first, self.offset, self.line, long)

    def _block(self) -> bytes:
        if self.damage is not None:
            return b""
        try:
            return self._stream.read(BLOCK_BYTES)
        except DamagedError as error:
            self.damage = str(error)
            return b""

    def _skip(self, block: bytes, long: list[LongLine]) -> bytes:
        """Pass over the rest of a long line; gives what follows it."""
        skipping = self._skipping
        assert skipping is not None  # noqa: S101 - the caller asked
        end = block.find(b"\n")
        passed = len(block) if end < 0 else end
        grown = LongLine(skipping.number, skipping.head, skipping.size + passed)
        if end < 0:
            self._skipping = grown
            return b""
        self._skipping = None
        self.offset += grown.size + 1
        self.line += 1
        long.append(grown)
        return block[end + 1 :]

    def rest(self) -> Lines | None:
        """What stands after the last newline, taken as a whole line (the stream has ended for good); None for nothing."""
        if self._skipping is not None:
            long, self._skipping = self._skipping, None
            self.offset += long.size
            self.line += 1
            return Lines(b"", self.line, self.offset, self.line, [long])
        if not self._carry:
            return None
        text, self._carry = self._carry, b""
        first = self.line
        self.offset += len(text)
        self.line += 1
        return Lines(text, first, self.offset, self.line)


def pass_over(stream: Readable, size: int, stop: Callable[[], bool]) -> bool:
    """Read `size` bytes away; False when the stream ended, was damaged, or `stop()` before that."""
    while size > 0 and not stop():
        try:
            data = stream.read(min(size, BLOCK_BYTES))
        except DamagedError:
            return False
        if not data:
            return False
        size -= len(data)
    return size == 0

"""Files by format: which one a name means, how a file is told from others, and rows of Parquet and Arrow files."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from watchbill.core.errors import LimitError
from watchbill.records.lines import BLOCK_BYTES, DamagedError, decompressed, pass_over

FORMATS: Final = {
    ".ndjson": "lines", ".jsonl": "lines", ".json": "lines", ".log": "lines", ".csv": "csv", ".parquet": "parquet",
    ".arrow": "arrow", ".ipc": "arrow", ".feather": "arrow",
}  # fmt: skip
_COMPRESSED: Final = (".gz", ".zst")
_ROTATED: Final = re.compile(r"[.-][0-9][0-9._-]*\Z")
HEAD_BYTES: Final = 4096
HEADER_BYTES_MAX: Final = 1 << 16
_STREAM_MAGIC: Final = b"ARROW1"
_SPOOL_BYTES: Final = 1 << 26


def format_of(path: Path) -> str | None:
    """`lines`, `csv`, `parquet` or `arrow`, by the name; `.gz`, `.zst` and what rotation adds (`.1`, `-20250101`) aside."""
    name = path.name.lower()
    for _ in range(3):
        for ending, kind in FORMATS.items():
            if name.endswith(ending):
                return kind
        shorter = _ROTATED.sub("", next((name.removesuffix(c) for c in _COMPRESSED if name.endswith(c)), name))
        if shorter == name:
            return None
        name = shorter
    return None


def beginning(path: Path, kind: str) -> bytes:
    """What tells a file from others: its first line (of text, decompressed) or its end and size (typed files).

    For text it ends with a newline when the line is whole; CSV gives its header and first record. At most 4 KiB a line.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        if kind not in ("lines", "csv"):
            size = file.seek(0, 2)
            file.seek(max(0, size - HEADER_BYTES_MAX))
            return f"{size}\n".encode() + file.read() if size else b""
        head = first_bytes(file, HEADER_BYTES_MAX)
    first, newline, rest = head.partition(b"\n")
    first = first[:HEAD_BYTES] + newline
    if kind == "csv":
        record, newline, _ = rest.partition(b"\n")
        return first + record[:HEAD_BYTES] + newline
    return first


def first_bytes(file: IO[bytes], size: int) -> bytes:
    """Up to `size` decompressed bytes from where `file` stands; damage ends them."""
    stream = decompressed(file)
    head = b""
    try:
        while len(head) < size and (more := stream.read(size - len(head))):
            head += more
    except DamagedError:
        pass
    return head


def piece(path: Path, start: int, end: int) -> bytes | None:
    """Decompressed bytes [start, end) of a file; None when it cannot be read so far."""
    try:
        with path.open("rb") as file:
            packed = decompressed_differs(file.read(8))
            file.seek(0 if packed else start)
            stream = decompressed(file) if packed else file
            if packed and not pass_over(stream, start, lambda: False):
                return None
            data = b""
            while len(data) < end - start and (more := stream.read(end - start - len(data))):
                data += more
    except (OSError, DamagedError):
        return None
    return data if len(data) == end - start else None


def fingerprint(head: bytes) -> str:
    """16 hexadecimal digits that stand for a file's beginning."""
    return hashlib.blake2b(head, digest_size=8).hexdigest()


def typed_rows(file: IO[bytes], kind: str, first: int, rows_max: int, bytes_max: int) -> Iterator[pa.Table]:
    """Rows of a Parquet or Arrow file (perhaps compressed as a whole) from row `first` on, in tables.

    Every table has been checked in full: an Arrow file from a stranger may name offsets outside its buffers.

    Raises:
        pa.ArrowException, OSError: the file is damaged.
        DamagedError: its compression is.
        LimitError: it grows over `bytes_max` when decompressed.
    """
    head = file.read(8)
    file.seek(0)
    plain = unpacked(file, bytes_max) if decompressed_differs(head) else file
    at = 0
    try:
        for batch in _parquet(plain, rows_max) if kind == "parquet" else _arrow(plain):
            skip = min(max(first - at, 0), batch.num_rows)
            at += batch.num_rows
            for start in range(skip, batch.num_rows, rows_max):
                table = pa.Table.from_batches([batch.slice(start, rows_max)])
                if kind == "arrow":
                    _check_structure(table)
                yield table
    finally:
        if plain is not file:
            plain.close()


def decompressed_differs(head: bytes) -> bool:
    """Whether these first bytes are those of gzip or zstd."""
    return head.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd"))


def unpacked(file: IO[bytes], bytes_max: int) -> IO[bytes]:
    """The decompressed file in a temporary one (in memory while it is small)."""
    stream = decompressed(file)
    out = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 - the caller reads it; it ends with it
    size = 0
    try:
        while data := stream.read(BLOCK_BYTES):
            size += len(data)
            if size > bytes_max:
                what = f"it unpacks to more than {bytes_max} bytes"
                raise LimitError(what, where="unpacked_bytes_max", todo="Split the file, or raise the limit")
            out.write(data)
    except BaseException:
        out.close()
        raise
    out.seek(0)
    return out


def _parquet(file: IO[bytes], rows_max: int) -> Iterator[pa.RecordBatch]:
    yield from pq.ParquetFile(file).iter_batches(batch_size=rows_max, use_threads=False)


def _arrow(file: IO[bytes]) -> Iterator[pa.RecordBatch]:
    is_file = file.read(len(_STREAM_MAGIC)) == _STREAM_MAGIC
    file.seek(0)
    if not is_file:
        yield from pa.ipc.open_stream(file)
        return
    reader = pa.ipc.open_file(file)
    for at in range(reader.num_record_batches):
        yield reader.get_batch(at)


def _check_structure(table: pa.Table) -> None:
    """Offsets, lengths and validity of every column; texts are looked at as bytes (bad UTF-8 costs a row, not a file)."""
    for column in table.columns:
        for chunk in column.chunks:
            if pa.types.is_string(chunk.type):
                pa.Array.from_buffers(
                    pa.binary(), len(chunk), chunk.buffers(), chunk.null_count, chunk.offset
                ).validate(full=True)
            else:
                chunk.validate(full=True)

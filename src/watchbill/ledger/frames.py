"""One journal frame as bytes: a batch of records, the sources' positions and quarantined lines, under one checksum.

Layout (little-endian; docs/ledger-format.md): a 72-byte header whose last 4 bytes are the CRC-32 of the rest, then the
body: positions, payload, quarantined. The header carries the first 16 bytes of the SHA-256 of the body, so a frame that is cut short is
told apart from one in which a byte changed.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from watchbill.core.errors import LedgerError, LimitError

MAGIC: Final = b"WBJF"
VERSION: Final = 1
_HEAD: Final = struct.Struct("<4sHHQQqIIIII16s")
_CRC: Final = struct.Struct("<I")
HEADER_BYTES: Final = _HEAD.size + _CRC.size
SECTION_BYTES_MAX: Final = 1 << 30
"""Limit of each of the three sections of a frame."""
_SMALL_ROWS: Final = 64
"""Up to this many rows compressing costs more time than it saves room."""
COUNT_MAX: Final = 1 << 24
"""Records in one frame at most."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What the journal keeps for one batch.

    Attributes:
        count: records in the payload; 0 for a frame that only moves positions or holds quarantined lines.
        arrival: the arrival clock after this frame, epoch milliseconds.
        payload: Arrow IPC stream of `count` records (`pack`), or b"" when count is 0.
        positions: JSON object, source name to position.
        quarantined: quarantined lines as compressed NDJSON (`pack_lines`), or b"".
    """

    count: int
    arrival: int
    payload: bytes
    positions: bytes = b"{}"
    quarantined: bytes = b""


@dataclass(frozen=True, slots=True)
class Header:
    """A decoded frame header: `seq` is the first record's, `durable` the acknowledged height when it was appended."""

    seq: int
    durable: int
    count: int
    arrival: int
    positions_bytes: int
    payload_bytes: int
    quarantined_bytes: int
    digest: bytes

    @property
    def body_bytes(self) -> int:
        """Bytes that follow the header."""
        return self.positions_bytes + self.payload_bytes + self.quarantined_bytes


class TornFrame(LedgerError):
    """The bytes end before the frame does."""


class DamagedFrame(LedgerError):
    """The bytes are all there, but they are not what was written."""


def pack(table: pa.Table | pa.RecordBatch) -> bytes:
    """Encode a table as an Arrow IPC stream of one batch, compressed unless it is small."""
    # LZ4: a third of zstd's time on record batches, a fifth larger; the journal is on the path of the answer
    compression = "lz4" if table.num_rows > _SMALL_ROWS else None
    options = pa.ipc.IpcWriteOptions(compression=compression, use_threads=False)
    table = _compact(table)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write(table.combine_chunks() if isinstance(table, pa.Table) else table)
    return bytes(sink.getvalue())


def _compact(table: pa.Table | pa.RecordBatch) -> pa.Table | pa.RecordBatch:
    """Replace nested columns without a value: of a slice, Arrow writes the whole of their children."""
    for at, field in enumerate(table.schema):
        if pa.types.is_nested(field.type) and table.column(at).null_count == table.num_rows:
            table = table.set_column(at, field, pa.nulls(table.num_rows, field.type))
    return table


def unpack(payload: bytes) -> pa.Table:
    """Decode what `pack` made.

    Raises:
        LedgerError: the bytes are not an Arrow IPC stream.
    """
    try:
        with pa.ipc.open_stream(payload) as reader:
            return reader.read_all()
    except (pa.ArrowInvalid, OSError) as error:
        raise LedgerError("a frame's payload is not an Arrow IPC stream", todo="Run verify") from error


def pack_lines(lines: bytes) -> bytes:
    """Compress quarantined NDJSON lines; empty stays empty."""
    return zlib.compress(lines, 1) if lines else b""


def unpack_lines(quarantined: bytes) -> bytes:
    """Give back the lines given to `pack_lines`."""
    return zlib.decompress(quarantined) if quarantined else b""


def encode(frame: Frame, seq: int, durable: int) -> tuple[bytes, ...]:
    """Give the frame's bytes as parts to be written one after the other (no copy of the payload).

    Raises:
        LimitError: a section is over SECTION_BYTES_MAX or count over COUNT_MAX.
    """
    parts = (frame.positions, frame.payload, frame.quarantined)
    sizes = tuple(len(part) for part in parts)
    if max(sizes) > SECTION_BYTES_MAX or not 0 <= frame.count <= COUNT_MAX:
        raise LimitError(f"a frame of {frame.count} records and {sum(sizes)} bytes", todo="Cut the batch smaller")
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    head = _HEAD.pack(
        MAGIC, VERSION, HEADER_BYTES, seq, durable, frame.arrival, frame.count, *sizes, 0, digest.digest()[:16]
    )
    return (head + _CRC.pack(zlib.crc32(head)), *parts)


def decode_header(view: memoryview | bytes, offset: int = 0) -> Header:
    """Read the header at `offset`.

    Raises:
        TornFrame: fewer bytes than a header.
        DamagedFrame: not a header, or a byte of it changed.
        LedgerError: a frame of a newer version.
    """
    raw = bytes(view[offset : offset + HEADER_BYTES])
    if len(raw) < HEADER_BYTES:
        raise TornFrame("a frame header is cut short")
    head = raw[: _HEAD.size]
    if zlib.crc32(head) != _CRC.unpack_from(raw, _HEAD.size)[0]:
        raise DamagedFrame("a frame header does not match its checksum", todo="Run verify")
    magic, version, _, seq, durable, arrival, count, positions, payload, quarantined, _, digest = _HEAD.unpack(head)
    if magic != MAGIC:
        raise DamagedFrame("no frame begins here", todo="Run verify")
    if version != VERSION:
        raise LedgerError(f"a frame of version {version}", todo="Use a newer Watchbill to read it")
    return Header(seq, durable, count, arrival, positions, payload, quarantined, digest)


def decode_body(view: memoryview | bytes, offset: int, header: Header, *, check: bool = True) -> Frame:
    """Read the body that follows a header; `offset` is the body's.

    Raises:
        TornFrame: fewer bytes than the header announces.
        DamagedFrame: a byte changed.
    """
    if len(view) - offset < header.body_bytes:
        raise TornFrame("a frame is cut short")
    body = memoryview(view)[offset : offset + header.body_bytes]
    if check and hashlib.sha256(body).digest()[:16] != header.digest:
        raise DamagedFrame("a frame does not match its checksum", todo="Run verify")
    middle = header.positions_bytes
    last = middle + header.payload_bytes
    return Frame(
        count=header.count,
        arrival=header.arrival,
        payload=bytes(body[middle:last]),
        positions=bytes(body[:middle]),
        quarantined=bytes(body[last:]),
    )

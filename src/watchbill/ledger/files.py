"""Durable file handling: paths of a home, atomic writes, directory syncs, exclusive locks, the durable mark."""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from watchbill.core.errors import LedgerBusy

JOURNAL: Final = "journal"
SEGMENTS: Final = "segments"
TREE: Final = "tree"
CHECKPOINTS: Final = "checkpoints"
KEYS: Final = "keys"
MANIFEST: Final = "segments.log"
QUARANTINE: Final = "quarantine.ndjson"
_MARK: Final = struct.Struct("<4sIQQQq")
_MARK_CRC: Final = struct.Struct("<I")
_MARK_MAGIC: Final = b"WBDM"
MARK_BYTES: Final = _MARK.size + _MARK_CRC.size


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directory(path: Path) -> None:
    """Create a directory (and its parents) whose name survives a power cut."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(exist_ok=True)
    sync_directory(path.parent)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write every byte; one system call may write fewer."""
    view = memoryview(data)
    while len(view):
        view = view[os.write(fd, view) :]


def write_atomic(path: Path, data: bytes, *, mode: int = 0o640) -> None:
    """Write beside, sync, rename: readers see the old content or the new one, also after a power cut."""
    beside = path.with_name(path.name + ".new")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    beside.replace(path)
    sync_directory(path.parent)


def take_lock(path: Path, what: str) -> int:
    """Take an exclusive lock for this process; the descriptor holds it until it is closed or the process dies.

    Raises:
        LedgerBusy: another process holds it.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise LedgerBusy(what, where=str(path.parent), todo="Stop the other one, or give another home") from error
    return fd


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """How far the journal is acknowledged: the byte position decides, the height and the clock go with it.

    Attributes:
        file: first seq of the journal file (its name).
        offset: bytes of that file that are acknowledged.
        height: next seq, as acknowledged.
        arrival: arrival clock there, epoch milliseconds.
    """

    file: int
    offset: int
    height: int
    arrival: int


def mark_path(home: Path) -> Path:
    """Where the durable mark of a home is."""
    return home / JOURNAL / "durable"


def read_mark(home: Path) -> Mark | None:
    """Read the durable mark; None when there is none or it does not match its checksum."""
    try:
        raw = mark_path(home).read_bytes()
    except FileNotFoundError:
        return None
    if len(raw) != MARK_BYTES or zlib.crc32(raw[: _MARK.size]) != _MARK_CRC.unpack_from(raw, _MARK.size)[0]:
        return None
    magic, _, file, offset, height, arrival = _MARK.unpack_from(raw)
    return Mark(file, offset, height, arrival) if magic == _MARK_MAGIC else None


def write_mark(fd: int, mark: Mark) -> None:
    """Overwrite the durable mark in place: 40 bytes in one call, after the sync it speaks of."""
    raw = _MARK.pack(_MARK_MAGIC, 1, mark.file, mark.offset, mark.height, mark.arrival)
    os.pwrite(fd, raw + _MARK_CRC.pack(zlib.crc32(raw)), 0)


def journal_files(home: Path) -> list[tuple[int, Path]]:
    """Journal files as (first seq, path), in order of seq."""
    folder = home / JOURNAL
    if not folder.is_dir():
        return []
    return sorted((int(path.stem), path) for path in folder.glob("*.wbj") if path.stem.isdigit())


def journal_path(home: Path, first_seq: int) -> Path:
    """The journal file whose first record is `first_seq`."""
    return home / JOURNAL / f"{first_seq:020d}.wbj"

"""A diary: a small append-only file of what people did, one JSON object a line, each bound to the one before by its hash.

For what is no record of a watched system: canaries, leaks taken in, tips, parties of a case, who read what. A line that was changed,
left out or put in between is noticed; lines cut off at the end are not, so copies of the last hash belong elsewhere (`head`).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from watchbill.core.errors import LedgerError, LimitError
from watchbill.ledger import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINE_BYTES_MAX: Final = 256 << 10
FILE_BYTES_MAX: Final = 256 << 20
FIRST: Final = "0" * 64
_PRIVATE: Final = 0o600


@dataclass(frozen=True)
class Entry:
    """One line: its number from 0, epoch ms, what it is, what it says, and its hash (SHA-256 of the line, hex)."""

    number: int
    time: int
    kind: str
    said: dict[str, Any]
    hash: str


class Diary:
    """The file of a diary; it is made by the first entry, readable by its owner alone."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> list[Entry]:
        """All entries in order; none when there is no file.

        Raises:
            LedgerError: a line is not what was written, or one is missing. LimitError: the file is over its size.
        """
        return list(self._read(self._bytes()))

    def head(self) -> str:
        """Hash of the last line; a constant when there is none."""
        entries = self.entries()
        return entries[-1].hash if entries else FIRST

    def add(self, kind: str, said: dict[str, Any], time: int) -> Entry:
        """Append an entry; it is on disk when this returns.

        Raises:
            LedgerError: the file is damaged. LimitError: the entry, or the file, is too long.
        """
        files.make_directory(self.path.parent)
        with self._locked() as fd:
            data = self._bytes()
            whole = data[: data.rfind(b"\n") + 1]
            if len(whole) < len(data):  # a power cut in the middle of a line that nobody was told of
                os.ftruncate(fd, len(whole))
            before = list(self._read(whole))
            head = before[-1].hash if before else FIRST
            line = _line(len(before), time, kind, said, head)
            if len(line) > LINE_BYTES_MAX or len(whole) + len(line) > FILE_BYTES_MAX:
                raise LimitError(
                    "the diary's entry is too long, or the diary full", where=self.path.name, todo="Say less"
                )
            os.lseek(fd, 0, os.SEEK_END)
            files.write_all(fd, line)
            os.fsync(fd)
        files.sync_directory(self.path.parent)
        return Entry(len(before), time, kind, said, _hash(line))

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The open file, while nobody else writes it."""
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT, _PRIVATE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield fd
        finally:
            os.close(fd)

    def _bytes(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                data = file.read(FILE_BYTES_MAX + 1)
        except FileNotFoundError:
            return b""
        if len(data) > FILE_BYTES_MAX:
            raise LimitError("the diary is over its size", where=self.path.name, todo="Move it away and begin another")
        return data

    def _read(self, data: bytes) -> Iterator[Entry]:
        head = FIRST
        for number, bare in enumerate(data.split(b"\n")[:-1]):  # what follows the last line's end is torn
            line = bare + b"\n"
            try:
                held = json.loads(line)
                entry = Entry(held["n"], held["time"], held["kind"], held["said"], _hash(line))
                good = held["before"] == head and entry.number == number
            except (ValueError, KeyError, TypeError):
                good = False
            if not good:
                raise LedgerError(
                    f"line {number + 1} does not follow from the one before", where=self.path.name,
                    todo="Somebody changed the diary; compare it with a backup",
                )  # fmt: skip
            head = entry.hash
            yield entry


def _line(number: int, time: int, kind: str, said: dict[str, Any], before: str) -> bytes:
    held = {"n": number, "time": time, "kind": kind, "said": said, "before": before}
    return json.dumps(held, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()

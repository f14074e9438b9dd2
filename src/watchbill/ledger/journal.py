"""The journal: the only truth. One writer appends frames and acknowledges them by group commit; anyone reads meanwhile.

A frame is acknowledged once `commit` has returned. After each sync the writer notes the acknowledged byte position in
`journal/durable`; a bad frame behind that note is damage and stops everything, a bad frame after it is a write that
never finished and is cut off, which `Journal.repaired` tells.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, Self

from watchbill.core.errors import LedgerError, LedgerFull
from watchbill.ledger import files
from watchbill.ledger.files import Mark
from watchbill.ledger.frames import (
    HEADER_BYTES,
    MAGIC,
    DamagedFrame,
    Frame,
    Header,
    TornFrame,
    decode_body,
    decode_header,
    encode,
)

FILE_BYTES_MAX: Final = 256 << 20
_READ_BYTES: Final = 1 << 20


class Journal:
    """The writer's end. Open with `Journal.open`; `commit` may run in another thread than `append`.

    Attributes:
        home: the folder this journal is in.
        repaired: what was cut off the tail at opening, None when nothing was.
    """

    def __init__(self, home: Path, lock: int, file_bytes_max: int) -> None:
        """Use `Journal.open`."""
        self.home = home
        self.repaired: str | None = None
        self._lock = lock
        self._file_bytes_max = file_bytes_max
        self._guard = threading.Lock()
        self._commit_guard = threading.Lock()
        self._fd = -1
        self._retired: list[int] = []
        self._failed: OSError | None = None
        self._closed = False
        self._at = self._safe = Mark(0, 0, 0, 0)
        self._mark_fd = -1

    @classmethod
    def open(cls, home: Path, *, file_bytes_max: int = FILE_BYTES_MAX) -> Journal:
        """Take the home for writing and repair a half-written tail.

        Raises:
            LedgerBusy: another process (or another Journal of this one) writes this home.
            LedgerError: an acknowledged frame is damaged or missing; nothing is cut then.
        """
        files.make_directory(home / files.JOURNAL)
        lock = files.take_lock(home / "lock", "another process writes this home")
        journal = cls(home, lock, file_bytes_max)
        try:
            journal._recover()
        except BaseException:
            journal._release()
            raise
        return journal

    @property
    def height(self) -> int:
        """Next seq, appended or acknowledged."""
        return self._at.height

    @property
    def durable(self) -> int:
        """Next seq as acknowledged: every seq below is on disk."""
        return self._safe.height

    @property
    def arrival(self) -> int:
        """Arrival clock after the last frame, epoch milliseconds; 0 in an empty journal."""
        return self._at.arrival

    def append(self, frame: Frame) -> int:
        """Write a frame behind the last one, not yet acknowledged, and return its first seq.

        A failing write is kept for `commit` to tell, so that there is one place where a full disk shows.

        Raises:
            LedgerError: the journal is closed, or the frame's arrival clock goes back.
            LimitError: the frame is too large.
        """
        with self._guard:
            if self._closed:
                raise LedgerError("the journal is closed", where=str(self.home))
            if frame.arrival < self._at.arrival:
                raise LedgerError("the arrival clock of a frame goes back", todo="Take max(previous, this)")
            seq = self._at.height
            data = b"".join(encode(frame, seq, self._safe.height))
            if self._failed is None:
                try:
                    self._roll_if_full(len(data))
                    files.write_all(self._fd, data)
                except OSError as error:
                    self._failed = error
            file, offset = self._at.file, self._at.offset + len(data)
            self._at = Mark(file, offset, seq + frame.count, frame.arrival)
            return seq

    def commit(self) -> int:
        """Make everything appended so far durable (one sync for all of it) and return the durable height.

        Raises:
            LedgerFull: the disk took it not (full, quota, failing): everything appended since the last commit is
                undone, `height` and `arrival` are back at the durable state; append and commit again later.
        """
        with self._commit_guard:
            with self._guard:
                target, fd, retired = self._at, self._fd, list(self._retired)
                if target == self._safe and self._failed is None:
                    return target.height
            try:
                if self._failed is not None:
                    raise self._failed
                os.fdatasync(fd)
                files.write_mark(self._mark_fd, target)
            except OSError as error:
                with self._guard:
                    self._roll_back()
                raise LedgerFull(
                    f"the disk did not take the journal ({error.strerror})",
                    where=str(self.home),
                    todo="Make room; nothing is acknowledged until there is",
                ) from error
            with self._guard:
                self._safe = target
                for old in retired:
                    os.close(old)
                    self._retired.remove(old)
            return target.height

    def frames(self, from_seq: int = 0) -> Iterator[tuple[int, Frame]]:
        """Give the acknowledged frames that hold `from_seq` or later, each with its first seq.

        Raises:
            LedgerError: a frame is damaged.
        """
        return read_frames(self.home, from_seq)

    def close(self) -> None:
        """Let go of the home. What was appended and not committed stays unacknowledged."""
        with self._commit_guard, self._guard:
            if not self._closed:
                self._release()

    def __enter__(self) -> Self:
        """Give the journal itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _release(self) -> None:
        self._closed = True
        for fd in (*self._retired, self._fd, self._mark_fd, self._lock):
            if fd >= 0:
                os.close(fd)
        self._retired, self._fd, self._mark_fd, self._lock = [], -1, -1, -1

    def _roll_if_full(self, more_bytes: int) -> None:
        """Begin a new file when this one would grow over its limit; the old one is synced first."""
        at = self._at
        # a file is named by its first seq, so one that holds no record yet cannot be followed by another
        full = at.offset + more_bytes > self._file_bytes_max and at.height > at.file
        if self._fd >= 0 and not full:
            return
        if self._fd >= 0:
            os.fdatasync(self._fd)
            self._retired.append(self._fd)
            self._fd = -1
        self._fd = os.open(
            files.journal_path(self.home, at.height), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o640
        )
        files.sync_directory(self.home / files.JOURNAL)
        self._at = Mark(at.height, 0, at.height, at.arrival)

    def _roll_back(self) -> None:
        """Cut the journal back to the durable state after a failed write or sync."""
        for fd in (*self._retired, self._fd):
            if fd >= 0:
                os.close(fd)
        self._retired, self._fd, self._failed = [], -1, None
        self._at = self._safe
        for first, path in files.journal_files(self.home):
            if first > self._safe.file or self._safe.offset == 0:
                path.unlink()
        if self._safe.offset:
            self._open_tail()
        files.sync_directory(self.home / files.JOURNAL)

    def _open_tail(self) -> None:
        """Open the last file for appending, cut at the known good offset."""
        fd = os.open(files.journal_path(self.home, self._at.file), os.O_WRONLY | os.O_APPEND)
        if os.fstat(fd).st_size != self._at.offset:
            os.ftruncate(fd, self._at.offset)
        os.fsync(fd)
        self._fd = fd

    def _recover(self) -> None:
        """Find the last good frame, cut what never finished, and make the rest durable."""
        mark = files.read_mark(self.home)
        for first, path in reversed(files.journal_files(self.home)):
            self._at = self._scan_tail(first, path, mark)
            if self._at.offset:
                break
            path.unlink()
        if mark is not None and (self._at.file, self._at.offset) < (mark.file, mark.offset):
            raise LedgerError(
                f"acknowledged frames up to seq {mark.height} are missing; the journal ends at {self._at.height}",
                where=str(self.home),
                todo="Put the journal files back from a backup",
            )
        if self._at.offset:
            self._open_tail()
        files.sync_directory(self.home / files.JOURNAL)
        self._safe = self._at
        self._mark_fd = os.open(files.mark_path(self.home), os.O_WRONLY | os.O_CREAT, 0o640)
        files.write_mark(self._mark_fd, self._safe)
        os.fsync(self._mark_fd)

    def _scan_tail(self, first: int, path: Path, mark: Mark | None) -> Mark:
        """Check the frames of the last file and give the position after the last good one.

        Raises:
            LedgerError: what is bad lies before something that was acknowledged.
        """
        at = Mark(first, 0, first, 0)
        try:
            for end, _, _ in walk(path, first):
                at = end
        except (TornFrame, DamagedFrame) as error:
            size = path.stat().st_size
            known = (mark.height, (mark.file, mark.offset)) if mark else (0, (0, 0))
            if (first, at.offset) < known[1] or acknowledged_behind(path, at.offset) > at.height:
                raise LedgerError(
                    f"acknowledged frame at seq {at.height} is damaged ({error.what})",
                    where=path.name,
                    todo="Put this journal file back from a backup; nothing was cut",
                ) from error
            self.repaired = f"cut {size - at.offset} bytes of an unfinished write off {path.name} at seq {at.height}"
        return at


def walk(
    path: Path, first_seq: int, *, start: Mark | None = None, check: bool = True, skip_to: int = 0
) -> Iterator[tuple[Mark, Header, Frame | None]]:
    """Give each frame of one file with the position after it; frames that end at or before `skip_to` come as None.

    Raises:
        TornFrame: the file ends inside a frame.
        DamagedFrame: a checksum does not match, or a frame does not follow the one before.
    """
    at = start or Mark(first_seq, 0, first_seq, 0)
    with path.open("rb", buffering=_READ_BYTES) as file:
        file.seek(at.offset)
        while head := file.read(HEADER_BYTES):
            header = decode_header(head)
            if header.seq != at.height:
                raise DamagedFrame(f"a frame of seq {header.seq} where {at.height} is due", where=path.name)
            end = Mark(at.file, at.offset + HEADER_BYTES + header.body_bytes, at.height + header.count, header.arrival)
            if end.height <= skip_to and header.count:
                file.seek(header.body_bytes, os.SEEK_CUR)
                yield end, header, None
            else:
                yield end, header, _read_body(file, header, check=check)
            at = end


def _read_body(file: BinaryIO, header: Header, *, check: bool) -> Frame:
    """Read a body without trusting its announced size before the bytes are there."""
    body = file.read(header.body_bytes)
    return decode_body(body, 0, header, check=check)


def acknowledged_behind(path: Path, offset: int) -> int:
    """Look for good frames behind a bad one and give the highest durable height that they speak of.

    Runs only when something is wrong: it tells damage to an acknowledged frame (later frames know it was durable)
    from pages that a power cut left out.
    """
    data = path.read_bytes()
    highest = -1
    found = data.find(MAGIC, offset + 1)
    while found >= 0:
        with suppress(LedgerError):
            highest = max(highest, decode_header(data, found).durable)
        found = data.find(MAGIC, found + 1)
    return highest


def read_frames(home: Path, from_seq: int = 0) -> Iterator[tuple[int, Frame]]:
    """Give the acknowledged frames that hold `from_seq` or later, from any process, also while the writer writes.

    A zero-count frame (positions, quarantined lines) is given when its seq is `from_seq` or later.

    Raises:
        LedgerError: an acknowledged frame is damaged, or `from_seq` lies before the oldest file.
    """
    for _, seq, frame in read_from(home, from_seq=from_seq):
        yield seq, frame


def read_from(
    home: Path, *, from_seq: int = 0, start: Mark | None = None, check: bool = True
) -> Iterator[tuple[Mark, int, Frame]]:
    """As `read_frames`, with the position after each frame; `start` is a position that an earlier call gave."""
    mark = files.read_mark(home)
    listing = files.journal_files(home)
    wanted = start.file if start else from_seq
    first_file = max((first for first, _ in listing if first <= wanted), default=None)
    if first_file is None:
        if listing and wanted < listing[0][0]:
            raise LedgerError(f"seq {wanted} is older than the journal", todo="Read it from the segments")
        return
    expected = first_file
    for first, path in listing:
        if first < first_file or (mark is not None and first > mark.file):
            continue
        if first != expected:
            raise LedgerError(f"journal frames from seq {expected} to {first} are missing", where=str(home))
        begin = start if start is not None and start.file == first else None
        expected = begin.height if begin else first
        try:
            for at, header, frame in walk(path, first, start=begin, check=check, skip_to=from_seq):
                if mark is not None and (at.file, at.offset) > (mark.file, mark.offset):
                    return
                expected = at.height
                if frame is not None and (header.count or header.seq >= from_seq):
                    yield at, header.seq, frame
        except (TornFrame, DamagedFrame) as error:
            _judge_tail(path, expected, mark, error)
            return


def _judge_tail(path: Path, seq: int, mark: Mark | None, error: LedgerError) -> None:
    """Let a bad tail pass when it was never acknowledged; raise when it was."""
    behind = seq < mark.height if mark is not None else acknowledged_behind(path, 0) > seq
    if behind:
        raise LedgerError(
            f"acknowledged frame at seq {seq} is damaged ({error.what})", where=path.name, todo="Run verify"
        ) from error

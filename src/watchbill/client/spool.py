"""Looks that were given while nobody could be asked: on this machine's disk first, at Watchbill's door later.

One NDJSON file a process, locked while it is written, each record synced before its look is shown. Files of a process that
died are delivered by the next. Delivery is at least once: records carry ids, and what is in already is counted once.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Post = Literal["taken", "later", "refused"]
FILE_BYTES_MAX: Final = 1 << 20
_ENDING: Final = ".ndjson"
_REFUSED: Final = ".refused"


class Spool:
    """A folder of at most `bytes_max`. Used from any thread; several processes may share the folder."""

    def __init__(self, folder: Path, bytes_max: int, new_id: Callable[[], str]) -> None:
        self._folder, self._bytes_max, self._new_id = folder, bytes_max, new_id
        self._lock = threading.Lock()
        self._file: int | None = None
        self._size = 0

    def write(self, record: Mapping[str, Any]) -> bool:
        """Whether the record is on disk for good. Not when the spool is full, or its disk."""
        line = json.dumps(record, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            try:
                if self._total() + len(line) > self._bytes_max:
                    return False
                if self._file is not None and self._size + len(line) > FILE_BYTES_MAX:
                    self._seal()
                file = self._open()
                _write_all(file, line)
                os.fsync(file)
            except OSError:
                self._cut()
                return False
            self._size += len(line)
            return True

    def waiting(self) -> bool:
        """Whether anything waits for delivery, from this process or an earlier one."""
        return bool(self._names())

    def deliver(self, post: Callable[[bytes], Post]) -> int:
        """Hand everything to `post`; files that it took are removed, refused ones kept under `.refused`.

        Returns:
            How many files were taken.
        """
        with self._lock:
            self._seal()
        taken = 0
        for name in self._names():
            said = _hand_over(self._folder / name, post)
            if said == "later":
                break
            taken += said == "taken"
        return taken

    def close(self) -> None:
        """Let the file go; what it holds is delivered by the next process."""
        with self._lock:
            self._seal()

    def _names(self) -> list[str]:
        try:
            return sorted(path.name for path in self._folder.iterdir() if path.name.endswith(_ENDING))
        except FileNotFoundError:
            return []

    def _total(self) -> int:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        size = 0
        with os.scandir(self._folder) as entries:
            for entry in entries:
                try:
                    size += entry.stat(follow_symlinks=False).st_size
                except FileNotFoundError:  # delivered meanwhile
                    continue
        return size

    def _open(self) -> int:
        if self._file is not None:
            return self._file
        path = self._folder / f"looks-{self._new_id()}{_ENDING}"
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file, self._size = file, 0
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _sync_folder(self._folder)
        return file

    def _cut(self) -> None:
        """Take back what a failed write left; where even that fails, the half line at the end is passed over later."""
        if self._file is None:
            return
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            self._seal()

    def _seal(self) -> None:
        if self._file is not None:
            os.close(self._file)  # and with it the lock
            self._file, self._size = None, 0


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _hand_over(path: Path, post: Callable[[bytes], Post]) -> Post | None:
    """None: another process has it, or it is gone."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file).st_ino != path.stat().st_ino:
            return None
        with os.fdopen(os.dup(file), "rb") as reader:
            data = reader.read(2 * FILE_BYTES_MAX)
        whole = data[: data.rfind(b"\n") + 1]
        said = post(whole) if whole else "taken"
        if said == "taken":
            path.unlink()
        elif said == "refused":
            path.rename(path.with_name(path.name + _REFUSED))
    except OSError:
        return None
    else:
        return said
    finally:
        os.close(file)

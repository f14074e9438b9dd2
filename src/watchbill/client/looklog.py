"""A log of looks as NDJSON, one line each, in the form that Watchbill follows (docs/connect-your-logs.md)."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class LookLog:
    """Appends records to a file; several threads and processes may.

    Args:
        path: the file; rotate it by renaming, then `reopen`. durable: whether each record is synced to the disk.
    """

    def __init__(self, path: Path | str, *, durable: bool = False) -> None:
        self._path, self._durable = Path(path), durable
        self._lock = threading.Lock()
        self._file = self._opened()

    def __call__(self, record: Mapping[str, Any]) -> None:
        """Append one record.

        Raises:
            OSError: it could not be written; then nothing may be shown.
        """
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            written = os.write(self._file, line)  # O_APPEND: one write is one line, also beside other processes
            if written != len(line):
                os.write(self._file, b"\n")
                raise OSError("the log took only a part of a record")
            if self._durable:
                os.fsync(self._file)

    def reopen(self) -> None:
        """After a rotation."""
        with self._lock:
            os.close(self._file)
            self._file = self._opened()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            os.close(self._file)

    def _opened(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

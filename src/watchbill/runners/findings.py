"""findings.ndjson and shadow.ndjson, rows in order of seq; what was written after a checkpoint is cut off and comes again.

Findings are what users' rules found; shadow rows are what would have been done (runners/shading.py).
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FINDINGS: Final = "findings.ndjson"
SHADOW: Final = "shadow.ndjson"


class FindingsFile:
    """The findings (or the shadow rows) of a home; `length` in bytes goes into the checkpoint, `rewind` takes it back."""

    def __init__(self, home: Path, name: str = FINDINGS) -> None:
        self.path = home / name
        self.length = 0

    def rewind(self, length: int) -> None:
        """Drop what was written after `length` bytes."""
        if length or self.path.exists():
            with self.path.open("ab") as handle:
                handle.truncate(length)
        self.length = length

    def write(self, rows: Iterable[dict[str, Any]]) -> None:
        """Append rows."""
        lines = b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
        if lines:
            with self.path.open("ab") as handle:
                handle.write(lines)
            self.length += len(lines)

    def mark(self) -> int:
        """The length, durable."""
        if self.path.exists():
            with self.path.open("rb") as handle:
                os.fsync(handle.fileno())
        return self.length

    def publish(self, out: Path) -> None:
        """Copy it into a folder of outputs (empty when there are no rows)."""
        if self.path.exists():
            shutil.copyfile(self.path, out / self.path.name)
        else:
            (out / self.path.name).write_bytes(b"")

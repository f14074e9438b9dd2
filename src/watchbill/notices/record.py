"""What people add to a home for its reports, append-only: home/reports/record.ndjson, each row with the hash of the one before.

Rows: {n, time (epoch ms), kind, case, by, ... , prev, hash}. Kinds: set (a field of a report), grade, list (persons to be
told, exported), told, not_told, reviewed (shadow findings), final. A changed or missing row breaks the chain and is found at the next reading; rows cut off at the end
are found by the hash that a signed-off report names.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any, Final

from watchbill.core.errors import LedgerError, LimitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

KINDS: Final = ("set", "grade", "list", "told", "not_told", "reviewed", "final")
ROW_BYTES_MAX: Final = 64 << 10
ROWS_MAX: Final = 1_000_000
_START: Final = "0" * 64


def folder_of(home: Path) -> Path:
    """Where reports are kept."""
    return home / "reports"


def hash_row(row: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of a row without its `hash`: JSON, names sorted, no spaces, characters as they are."""
    bare = {name: value for name, value in row.items() if name != "hash"}
    return hashlib.sha256(
        json.dumps(bare, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()


def append(home: Path, kind: str, case: str, by: str, time: int, **said: object) -> dict[str, Any]:
    """Add a row, durable when this returns; the row as it stands.

    Raises:
        LedgerError: what stands there is damaged. LimitError: the row is too long, or there are too many.
    """
    folder = folder_of(home)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "record.ndjson"
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        data = file.read()
        rows = _checked(data)
        file.truncate(data.rfind(b"\n") + 1)  # what a crash left of a row that was never acknowledged
        if len(rows) >= ROWS_MAX:
            raise LimitError(f"the record of reports holds {ROWS_MAX} rows", todo="Begin a new home")
        prev = rows[-1]["hash"] if rows else _START
        row: dict[str, Any] = {"n": len(rows), "time": time, "kind": kind, "case": case, "by": by, **said, "prev": prev}
        row["hash"] = hash_row(row)
        line = (json.dumps(row, ensure_ascii=False) + "\n").encode()
        if len(line) > ROW_BYTES_MAX:
            raise LimitError(f"a row of {len(line)} bytes", where="reports", todo=f"At most {ROW_BYTES_MAX}")
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    return row


def read_record(home: Path) -> list[dict[str, Any]]:
    """All rows, in order.

    Raises:
        LedgerError: the chain is broken, or the file cannot be read.
    """
    path = folder_of(home) / "record.ndjson"
    if not path.exists():
        return []
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            return _checked(file.read())
    except OSError as error:
        raise LedgerError("cannot be read", where=path.name, todo="Check its rights and the disk") from error


def rows_about(record: Iterable[Mapping[str, Any]], case: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What was added about a case (its row of cases.ndjson), in order; pure.

    Of cases that became part of it their gradings count, so that no clock begins later for a merge. What was reported and who
    was told of them does not: the whole case shows more, and is reported as a whole.
    """
    merged = case.get("merged", ())
    return [row for row in record if row["case"] == case["id"] or (row["kind"] == "grade" and row["case"] in merged)]


def _checked(data: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    prev = _START
    lines = data.split(b"\n")
    del lines[-1]  # empty, or what a crash left of a row that was never acknowledged
    for number, line in enumerate(lines):
        try:
            row = json.loads(line)
            whole = row["n"] == number and row["prev"] == prev and row["hash"] == hash_row(row)
            whole = whole and isinstance(row["case"], str) and isinstance(row["time"], int) and row["kind"] in KINDS
        except (ValueError, KeyError, TypeError) as error:
            raise _broken(number) from error
        if not whole:
            raise _broken(number)
        rows.append(row)
        prev = row["hash"]
    return rows


def _broken(number: int) -> LedgerError:
    return LedgerError(
        f"row {number} does not continue the chain", where="reports/record.ndjson",
        todo="Restore the file from a copy; what stands before that row is whole",
    )  # fmt: skip

"""Quarantine as NDJSON rows (contract/outputs.md): written, read back, and taken through parsing again.

Keys: source, position, reason, todo (what to do), raw.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import IO

import pyarrow as pa

from watchbill.core.errors import ContractError
from watchbill.records.batch import Batch, Quarantined, merge
from watchbill.records.limits import DEFAULT_LIMITS, RecordLimits
from watchbill.records.mapping import Mapped
from watchbill.records.parse import parse_ndjson

_KEYS = ("source", "position", "reason", "todo", "raw")
_ROW_BYTES_MAX = 1 << 20
_CUT_NOTE = " ... [cut, "


def to_ndjson(entries: Iterable[Quarantined]) -> bytes:
    """The rows as NDJSON, one line each."""
    lines = (json.dumps(asdict(entry), ensure_ascii=False) + "\n" for entry in entries)
    return "".join(lines).encode("utf-8", "replace")


def read_rows(file: IO[bytes]) -> Iterator[Quarantined]:
    """The rows of a quarantine file; a half-written last line is passed over.

    Raises:
        ContractError: a line is no quarantine row.
    """
    number = 0
    while line := file.readline(_ROW_BYTES_MAX):
        number += 1
        if not line.endswith(b"\n"):
            return
        try:
            row = json.loads(line)
            yield Quarantined(**{key: str(row[key]) for key in _KEYS})
        except (ValueError, KeyError, TypeError):
            todo = "Move the file aside; replaying the sources writes it again"
            raise ContractError("it is no quarantine row", where=f"line {number}", todo=todo) from None


def to_table(entries: Iterable[Quarantined]) -> pa.Table:
    """The rows as a table of five text columns."""
    rows = list(entries)
    return pa.table({key: pa.array([getattr(row, key) for row in rows], pa.string()) for key in _KEYS})


@dataclass(frozen=True)
class Retried:
    """What a retry gave: records (None when there are none), and what stays in quarantine, with reasons of today."""

    batch: Batch | None
    remaining: list[Quarantined]


def retry(
    entries: Iterable[Quarantined], source: str, *, limits: RecordLimits = DEFAULT_LIMITS, mapped: Mapped | None = None
) -> Retried:
    """Take the raw texts of one source's rows through parsing again, after settings or the mapping were corrected.

    A text that was cut cannot be taken; it stays, as do rows of other sources. An id that is absent is made from the
    row's old position, so retrying twice gives the same record. The clock rules are the runner's: stamp afterwards.
    """
    batches: list[Batch] = []
    remaining: list[Quarantined] = []
    for entry in entries:
        if entry.source != source or _CUT_NOTE in entry.raw[-100:] or not entry.raw:
            remaining.append(entry)
            continue
        identity, _, number = entry.position.rpartition("@")[2].rpartition(":")
        line = int(number) if number.isdecimal() and len(number) < 16 else 1  # noqa: PLR2004 - fits 64 bits
        text = entry.raw.encode()
        if mapped is not None:
            parsed = mapped.lines(text, source=source, identity=identity, first_line=line)
        else:
            parsed = parse_ndjson(text, source=source, identity=identity, first_line=line, limits=limits)
        remaining += parsed.quarantined
        if parsed.table.num_rows:
            batches.append(parsed.batch(source, {}))
    return Retried(merge(batches) if batches else None, remaining)

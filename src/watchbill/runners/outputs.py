"""The files that say what Watchbill said (contract/outputs.md): verdicts, interventions, cases, quarantine, summary.

While it runs, verdicts go to parts (`parts/verdicts-<from>-<to>.parquet`, seq [from, to)) and interventions to a file
whose length stands in the checkpoint: what was written after the checkpoint is cut off at a restart and comes again.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from watchbill.core.errors import LedgerFull
from watchbill.ledger import manifest as manifests
from watchbill.ledger.files import QUARANTINE
from watchbill.ledger.frames import unpack_lines
from watchbill.ledger.journal import read_from
from watchbill.records.batch import Quarantined
from watchbill.runners.findings import SHADOW, FindingsFile
from watchbill.runners.verdictparts import ROW_GROUP, VERDICTS, VerdictParts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from watchbill.records.columns import Columns
    from watchbill.runners.pipeline import Verdicts


class OutputFiles:
    """Verdict parts and the interventions file of a home. `mark` goes into the checkpoint, `rewind` takes it back."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.parts = home / "parts"
        self.parts.mkdir(parents=True, exist_ok=True)
        self.interventions = home / "interventions.ndjson"
        self.findings = FindingsFile(home)
        self.shadow = FindingsFile(home, SHADOW)
        self.verdicts = VerdictParts(self.parts)
        self._from = 0
        self._bytes = 0

    def rewind(self, height: int, interventions_bytes: int) -> None:
        """Drop what was written after the checkpoint at `height`."""
        for path in self.parts.iterdir():
            if path.suffix != ".parquet" or int(path.stem.split("-")[2]) > height:
                path.unlink()
        self.interventions.touch()
        with self.interventions.open("r+b") as handle:
            handle.truncate(interventions_bytes)
        self._from, self._bytes = height, interventions_bytes

    def write(
        self, columns: Columns, verdicts: Verdicts, labels: list[str], interventions: Iterable[dict[str, Any]],
        findings: Iterable[dict[str, Any]] = (), shadow: Iterable[dict[str, Any]] = (),
    ) -> None:  # fmt: skip
        """Append what one step said.

        Raises:
            LedgerFull: the disk took it in part at most; only `drop` and a rewind help then.
        """
        try:
            self.verdicts.add(columns, verdicts, labels)
            self.findings.write(findings)
            self.shadow.write(shadow)
        except OSError as error:
            raise _full(error, self.home) from error
        self.say(interventions)

    def say(self, interventions: Iterable[dict[str, Any]]) -> None:
        """Append interventions.

        Raises:
            LedgerFull: as `write`.
        """
        lines = b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in interventions)
        if not lines:
            return
        try:
            with self.interventions.open("ab") as handle:
                handle.write(lines)
        except OSError as error:
            raise _full(error, self.home) from error
        self._bytes += len(lines)

    def mark(self, height: int) -> int:
        """Close the running part at `height`; the interventions' length in bytes, both durable.

        Raises:
            LedgerFull: as `write`.
        """
        try:
            self.verdicts.close(self._from, height)
            self._from = height
            if self.interventions.exists():
                _sync(self.interventions)
            self.findings.mark()
            self.shadow.mark()
        except OSError as error:
            raise _full(error, self.home) from error
        return self._bytes

    def drop(self) -> None:
        """Let go of the running part; the next rewind removes it."""
        self.verdicts.drop()

    def publish(self, out: Path, leads: Mapping[str, str] | None = None) -> None:
        """Write verdicts.parquet and interventions.ndjson of everything so far into `out`.

        `leads`: case that became part of another -> that one, whose row cases.ndjson has.
        """
        out.mkdir(parents=True, exist_ok=True)
        parts = sorted(self.parts.glob("verdicts-*.parquet"))
        place = out / "verdicts.parquet"
        beside = out / "verdicts.parquet.new"
        if len(parts) == 1:
            shutil.copyfile(parts[0], beside)
        else:
            with pq.ParquetWriter(beside, VERDICTS, compression="zstd", compression_level=1) as writer:
                for part in parts:
                    for batch in pq.ParquetFile(part).iter_batches(ROW_GROUP):
                        writer.write_batch(batch)
        beside.rename(place)
        if self.interventions.exists():
            with (out / "interventions.ndjson").open("wb") as file, self.interventions.open("rb") as said:
                file.writelines(_led(line, leads or {}) for line in said)
        else:
            (out / "interventions.ndjson").touch()
        self.findings.publish(out)
        self.shadow.publish(out)


def _led(line: bytes, leads: Mapping[str, str]) -> bytes:
    """A row of interventions.ndjson under the case that its own became part of."""
    if not leads:
        return line
    row = json.loads(line)
    if row["case"] not in leads:
        return line
    return json.dumps(row | {"case": leads[row["case"]]}, ensure_ascii=False).encode() + b"\n"


def _full(error: OSError, home: Path) -> LedgerFull:
    return LedgerFull(
        f"the disk did not take the verdicts ({error.strerror or type(error).__name__})", where=str(home),
        todo="Make room; nothing is acknowledged until there is",
    )  # fmt: skip


def refused(home: Path) -> Iterator[Quarantined]:
    """Every refused record of a home: those that sealing has put aside, then those still in journal frames.

    Raises:
        LedgerError: the manifest, or an acknowledged frame, is damaged.
    """
    manifest = manifests.load(home)
    path = home / QUARANTINE
    if path.exists() and manifest.quarantine_bytes:
        left = manifest.quarantine_bytes  # what stands behind it is not sealed yet
        with path.open("rb") as file:
            while left > 0 and (line := file.readline(left)):
                left -= len(line)
                yield from _entries(line)
    cursor = manifest.cursor
    for _, _, frame in read_from(home, start=cursor if cursor.offset else None, from_seq=cursor.height):
        if frame.quarantined:
            yield from _entries(unpack_lines(frame.quarantined))


def _entries(lines: bytes) -> Iterator[Quarantined]:
    for line in lines.splitlines():
        row = json.loads(line)
        yield Quarantined(row["source"], row["position"], row["reason"], row["todo"], row["raw"])


def write_json(path: Path, value: object) -> None:
    """Replace a JSON file in one step."""
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    beside.rename(path)


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Replace an NDJSON file in one step."""
    beside = path.with_suffix(".new")
    with beside.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    beside.rename(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

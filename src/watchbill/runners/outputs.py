"""The files that say what Watchbill said (contract/outputs.md): verdicts, interventions, cases, quarantine, summary.

While it runs, verdicts go to parts (`parts/verdicts-<from>-<to>.parquet`, seq [from, to)) and interventions to a file
whose length stands in the checkpoint: what was written after the checkpoint is cut off at a restart and comes again.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from watchbill.core.errors import LedgerFull
from watchbill.ledger import manifest as manifests
from watchbill.ledger.files import QUARANTINE
from watchbill.ledger.frames import unpack_lines
from watchbill.ledger.journal import read_from
from watchbill.records.batch import Quarantined
from watchbill.responses.policy import DECISIONS
from watchbill.runners.findings import SHADOW, FindingsFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from watchbill.records.columns import Columns
    from watchbill.runners.pipeline import Verdicts

VERDICTS: Final = pa.schema(
    [
        pa.field("seq", pa.int64()),
        pa.field("source", pa.string()),
        pa.field("id", pa.string()),
        pa.field("time", pa.int64()),
        pa.field("account", pa.string()),
        pa.field("decision", pa.string()),
        pa.field("explained", pa.bool_()),
        pa.field("reason", pa.string()),
        pa.field("score", pa.float64()),
        pa.field("left", pa.float64()),
    ]
)
_ROW_GROUP: Final = 1 << 18
_NAMED: Final = ["source", "id", "time", "account"]
_DECISIONS: Final = pa.array(DECISIONS, pa.string())
_FLUSH_LOOKS: Final = 1 << 14
"""Verdicts are written in pieces of this many: a decision at a time would cost more than deciding."""


@dataclass(slots=True)
class _Said:
    """Verdicts of one step that are not in the file yet; `named` are its records' names, `labels` is what `reason` indexes."""

    named: pa.Table
    seq: NDArray[np.int64]
    verdicts: Verdicts
    labels: list[str]


def verdict_table(said: Sequence[_Said]) -> pa.Table:
    """Rows of verdicts.parquet for the looks of some steps, all under the same labels."""
    sizes = np.array([one.named.num_rows for one in said])
    begins = np.repeat(np.cumsum(sizes) - sizes, [one.verdicts.row.shape[0] for one in said])
    rows = np.concatenate([one.verdicts.row for one in said]) + begins
    # one take over one chunk: a take for each of thousands of steps would hold up decisions for a second
    named = pa.concat_tables([one.named for one in said]).combine_chunks().take(pa.array(rows))
    seq, decision, reason, score, left = (
        np.concatenate(parts)
        for parts in zip(
            *(
                (
                    v.seq,
                    v.verdicts.decision,
                    v.verdicts.reason,
                    v.verdicts.score,
                    v.verdicts.left,
                )
                for v in said
            ),
            strict=True,
        )
    )
    decisions = pa.DictionaryArray.from_arrays(pa.array(decision.astype(np.int8)), _DECISIONS)
    codes = pa.array(reason.astype(np.int32), mask=reason == 0)
    reasons = pa.DictionaryArray.from_arrays(codes, pa.array(said[0].labels, pa.string()))
    return pa.Table.from_arrays(
        [
            pa.array(seq), *(named.column(i).cast(VERDICTS.field(i + 1).type) for i in range(4)),
            decisions.cast(pa.string()), pa.array(reason > 0), reasons.cast(pa.string()),
            pa.array(score.astype(np.float64)), pa.array(left.astype(np.float64)),
        ],
        schema=VERDICTS,
    )  # fmt: skip


class OutputFiles:
    """Verdict parts and the interventions file of a home. `mark` goes into the checkpoint, `rewind` takes it back."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.parts = home / "parts"
        self.parts.mkdir(parents=True, exist_ok=True)
        self.interventions = home / "interventions.ndjson"
        self.findings = FindingsFile(home)
        self.shadow = FindingsFile(home, SHADOW)
        self._writer: pq.ParquetWriter | None = None
        self._said: list[_Said] = []
        self._looks = 0
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
            if verdicts.row.shape[0]:
                if self._said and self._said[0].labels is not labels:
                    self._flush()
                named = columns.table.select(_NAMED)
                self._said.append(_Said(named, columns.seq[verdicts.row], verdicts, labels))
                self._looks += verdicts.row.shape[0]
                if self._looks >= _FLUSH_LOOKS:
                    self._flush()
            self.findings.write(findings)
            self.shadow.write(shadow)
        except OSError as error:
            raise _full(error, self.home) from error
        self.say(interventions)

    def _flush(self) -> None:
        if not self._said:
            return
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.parts / "open.tmp", VERDICTS, compression="zstd", compression_level=1)
        table = verdict_table(self._said)
        self._said, self._looks = [], 0
        self._writer.write_table(table, row_group_size=_ROW_GROUP)

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
            self._flush()
            if self._writer is not None:
                self._writer.close()
                self._writer = None
                _sync(self.parts / "open.tmp")
                (self.parts / "open.tmp").rename(self.parts / f"verdicts-{self._from:020d}-{height:020d}.parquet")
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
        self._said, self._looks = [], 0
        if self._writer is not None:
            with suppress(OSError):
                self._writer.close()
            self._writer = None

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
                    for batch in pq.ParquetFile(part).iter_batches(_ROW_GROUP):
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

"""What the control records of the journal say about how looks are to be read: reference tables, masking of sources.

Read from the journal itself, so that an answer up to a height uses what was in force there. The runner writes `wb.reload`
({"table", "digest", "rows"} in `extra`) for each loaded reference table and `wb.source` ({"source", "masking"}).
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from watchbill.ledger import manifest as manifests
from watchbill.ledger.canonical import SEQ
from watchbill.ledger.frames import unpack
from watchbill.ledger.journal import read_frames
from watchbill.ledger.segments import open_segment
from watchbill.records.schema import CONTROL_PREFIX

RELOAD = "wb.reload"
SOURCE = "wb.source"
SETTINGS = "wb.settings"
DECISION = "wb.decision"


@dataclass
class Controls:
    """Control records below a height.

    Attributes:
        parcels: (seq, digest) of each load of the parcels table, in order of seq; digest "" = taken out of use.
        masking: source -> [(seq, whether its logs cannot tell masked looks)], in order of seq.
        tables: every reference table -> [(seq, digest)] of its loads, in order of seq.
        settings: (seq, digest) of each change of the settings, in order of seq.
    """

    parcels: list[tuple[int, str]] = field(default_factory=list)
    masking: dict[str, list[tuple[int, bool]]] = field(default_factory=dict)
    tables: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    settings: list[tuple[int, str]] = field(default_factory=list)

    def parcels_at(self, seqs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Index into `parcels` of the table in force at each seq, -1 where there was none; int64[n]."""
        loaded = np.array([seq for seq, _ in self.parcels], dtype=np.int64)
        return np.searchsorted(loaded, seqs, side="left") - 1

    def masking_unknown(self, source: str, seq: int) -> bool:
        """Whether the source had said, before this seq, that its logs cannot tell masked looks from others."""
        said = self.masking.get(source, [])
        at = bisect_left(said, (seq, False)) - 1
        return at >= 0 and said[at][1]

    def unknown_rows(self, table: pa.Table) -> NDArray[np.bool_]:
        """Which rows (columns source and seq) come from a source whose masking was unknown then; bool[n]."""
        out = np.zeros(table.num_rows, dtype=np.bool_)
        sources, seqs = table.column("source"), table.column(SEQ).to_numpy()
        for source, said in self.masking.items():
            at = np.searchsorted(np.array([seq for seq, _ in said], dtype=np.int64), seqs, side="left") - 1
            flags = np.array([*(flag for _, flag in said), False])
            out |= flags[at] & np.asarray(pc.fill_null(pc.equal(sources, source), False))
        return out


def read_controls(home: Path, upto: int) -> Controls:
    """The control records of a home with a seq below `upto`.

    Raises:
        LedgerError: the manifest or an acknowledged frame is damaged.
    """
    found = Controls()
    for seq, kind, extra in control_rows(home, upto):
        said = _object(extra)
        if kind == RELOAD and isinstance(said.get("table"), str):
            found.tables.setdefault(said["table"], []).append((seq, str(said.get("digest") or "")))
        if kind == RELOAD and said.get("table") == "parcels":
            found.parcels.append((seq, str(said.get("digest") or "")))
        elif kind == SETTINGS:
            found.settings.append((seq, str(said.get("digest") or "")))
        elif kind == SOURCE and isinstance(said.get("source"), str):
            found.masking.setdefault(said["source"], []).append((seq, said.get("masking") == "unknown"))
    return found


def _object(extra: str | None) -> dict[str, Any]:
    try:
        said = json.loads(extra or "{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def control_rows(home: Path, upto: int) -> Iterator[tuple[int, str, str | None]]:
    """(seq, kind, extra) of control records below `upto`, in order of seq; only `kind` is read where a segment has none.

    Decisions are left out: they stand beside their looks, a million to one of these (inquiry.exposed reads them).
    """
    manifest = manifests.load(home)
    for segment in manifest.segments:
        if segment.first < upto:
            yield from _sealed_controls(segment.path(home), upto)
    if manifest.sealed >= upto:
        return
    for first, frame in read_frames(home, manifest.sealed):
        if first >= upto:
            return
        if frame.count:
            table = unpack(frame.payload).select(["kind", "extra"])
            table = table.append_column(SEQ, pa.array(np.arange(first, first + frame.count)))
            low, high = manifest.sealed, upto
            inside = pc.and_(pc.greater_equal(table.column(SEQ), low), pc.less(table.column(SEQ), high))
            yield from _rows(table.filter(inside))


def _sealed_controls(path: Path, upto: int) -> list[tuple[int, str, str | None]]:
    with open_segment(path, read_dictionary=["kind"]) as file:
        rows: list[tuple[int, str, str | None]] = []
        for group in range(file.num_row_groups):
            kinds = file.read_row_group(group, columns=["kind"], use_threads=False).column("kind")
            names = {name for chunk in kinds.chunks for name in chunk.dictionary.to_pylist()}
            if any(name.startswith(CONTROL_PREFIX) and name != DECISION for name in names):
                columns = [name for name in ("kind", "extra", SEQ) if name in file.schema_arrow.names]
                rows += _rows(file.read_row_group(group, columns=columns, use_threads=False))
    return sorted(row for row in rows if row[0] < upto)


def _rows(table: pa.Table) -> list[tuple[int, str, str | None]]:
    kinds = table.column("kind").cast(pa.string())
    table = table.filter(pc.and_(pc.starts_with(kinds, CONTROL_PREFIX), pc.not_equal(kinds, DECISION)))
    extras = table.column("extra").to_pylist() if "extra" in table.column_names else [None] * table.num_rows
    kinds_left = table.column("kind").cast(pa.string()).to_pylist()
    return list(zip(table.column(SEQ).to_pylist(), kinds_left, extras, strict=True))

"""Erase payloads and keep the tree: segments and journal are rewritten beside and renamed, leaves stay, nonces of the rest survive.

The caller holds the home (nobody writes), and everything acknowledged is sealed. What is to go is noted first in `erasing.json`
(seqs alone), so that a killed erasure is finished by the next. Readers go on: rows keep their places, files their names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from watchbill.core.errors import LedgerError
from watchbill.ledger import files, gone, segments
from watchbill.ledger import manifest as manifests
from watchbill.ledger.canonical import SEQ
from watchbill.ledger.frames import (
    HEADER_BYTES,
    Frame,
    Header,
    decode_body,
    decode_header,
    encode,
    pack,
    pack_lines,
    unpack,
    unpack_lines,
)
from watchbill.ledger.keys import is_seeded, renew_seed
from watchbill.ledger.manifest import Manifest, Segment
from watchbill.ledger.survivors import Survivors, key_path, nonces_of, write_survivors

NOTE: Final = "erasing.json"
SORTED: Final = ("account", "time")
CONTROL_PREFIX: Final = "wb."
_CHUNK: Final = 1 << 20
Redact = Callable[[pa.Table], pa.Table]
Lines = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Plan:
    """What is to go.

    Attributes:
        drop: seqs whose rows go whole, int64 ascending.
        redact: seqs whose rows lose what `redacted` takes away, int64 ascending, none of `drop`.
        redacted: rows -> as many rows of the same form, without what must go.
        lines: NDJSON of quarantined records -> as many lines, none longer.
    """

    drop: NDArray[np.int64]
    redact: NDArray[np.int64]
    redacted: Redact
    lines: Lines

    @property
    def seqs(self) -> NDArray[np.int64]:
        """Both, ascending."""
        return np.union1d(self.drop, self.redact)


def noted(home: Path) -> tuple[list[int], list[int]] | None:
    """Seqs (to drop, to redact) of an erasure that did not finish; None when there is none."""
    path = home / NOTE
    if not path.exists():
        return None
    told = json.loads(path.read_text(encoding="utf-8"))
    drop, redact = (
        [seq for first, last in told[name] for seq in range(first, last + 1)] for name in ("drop", "redact")
    )
    return drop, redact


def erase(home: Path, plan: Plan) -> list[str]:
    """Take the payloads away; the files that were rewritten.

    Raises:
        LedgerError: something is not sealed yet, or a journal frame cannot be rewritten in its place; nothing is changed then.
    """
    lock = files.take_lock(home / "seal.lock", "another process seals this home")
    try:
        manifest = manifests.load(home)
        for left in (home / files.JOURNAL).glob("*.wbj.new"):
            left.unlink()
        if len(plan.seqs) and plan.seqs[-1] >= manifest.sealed:
            raise LedgerError("a record is not sealed yet", where="erase", todo="`watchbill seal`, then again")
        beside = list(_journal(home, plan))
        files.write_atomic(home / NOTE, _note(plan))
        changed = _segments(home, manifest, plan)
        _survive(home, manifest, plan)
        for path in beside:
            path.replace(path.with_suffix(""))
        if beside:
            files.sync_directory(home / files.JOURNAL)
        told = [*changed, *(path.with_suffix("").name for path in beside), *_quarantine(home, manifest, plan)]
        (home / NOTE).unlink()
        files.sync_directory(home)
    finally:
        os.close(lock)
    return told


def _note(plan: Plan) -> bytes:
    return json.dumps({"drop": _runs(plan.drop), "redact": _runs(plan.redact)}).encode()


def _runs(seqs: NDArray[np.int64]) -> list[tuple[int, int]]:
    """(first, last) of runs of consecutive seqs."""
    breaks = np.flatnonzero(np.diff(seqs) != 1)
    firsts, lasts = seqs[[0, *(breaks + 1)]] if len(seqs) else seqs, seqs[[*breaks, -1]] if len(seqs) else seqs
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


# --- segments ----------------------------------------------------------------------------------------------------------


def _segments(home: Path, manifest: Manifest, plan: Plan) -> list[str]:
    """Rewrite the segments that hold what must go; each counts with the manifest that follows it."""
    told, listed = [], list(manifest.segments)
    for at, segment in enumerate(listed):
        low, high = np.searchsorted(plan.seqs, [segment.first, segment.last + 1])
        if low == high:
            continue
        listed[at] = _rewritten(home, segment, plan)
        manifests.save(home, replace(manifest, segments=tuple(listed)))
        told.append(segment.path(home).name)
    return told


def _rewritten(home: Path, segment: Segment, plan: Plan) -> Segment:
    """One segment without the payloads: Parquet, indexes, and the list of what is gone."""
    path = segment.path(home)
    with segments.open_segment(path) as file:
        table = file.read(use_threads=False).combine_chunks()
    table = _without(table, table.column(SEQ).to_numpy(), plan)
    place = np.arange(table.num_rows)
    fresh = {"parquet": path.with_suffix(".parquet.new")}
    segments.write_parquet(fresh["parquet"], table, place, (*SORTED, SEQ))
    for ending in (ending for ending in segment.digests if ending.endswith(".idx")):
        fresh[ending] = segment.path(home, f"{ending}.new")
        segments.write_index(fresh[ending], segments.index_of(table.column(ending.removesuffix(".idx")), place))
    before = gone.read_gone(home, segment)
    dropped = np.union1d(before.dropped, _inside(plan.drop, segment))
    redacted = np.setdiff1d(np.union1d(before.redacted, _inside(plan.redact, segment)), dropped)
    fresh[gone.ENDING] = segment.path(home, f"{gone.ENDING}.new")
    files.write_atomic(fresh[gone.ENDING], gone.gone_bytes(gone.Gone(dropped, redacted)))
    digests = {ending: segments.file_digest(beside) for ending, beside in fresh.items()}
    for ending, beside in fresh.items():
        beside.replace(segment.path(home, ending))
    files.sync_directory(path.parent)
    return replace(segment, digests=digests)


def _inside(seqs: NDArray[np.int64], segment: Segment) -> NDArray[np.int64]:
    return seqs[(seqs >= segment.first) & (seqs <= segment.last)]


def _without(table: pa.Table, seqs: NDArray[np.int64], plan: Plan) -> pa.Table:
    """The rows, those of the plan replaced."""
    drop, redact = (np.flatnonzero(np.isin(seqs, wanted)) for wanted in (plan.drop, plan.redact))
    table = gone.replaced(table, drop, gone.stubs(table.take(pa.array(drop)), seqs[drop]))
    return gone.replaced(table, redact, plan.redacted(table.take(pa.array(redact))))


# --- nonces ------------------------------------------------------------------------------------------------------------


def _survive(home: Path, before: Manifest, plan: Plan) -> None:
    """Keep the nonces of what is left of each day that lost something, then let its key go."""
    if is_seeded(home):
        renew_seed(home)  # the old one would make the keys again
    touched = [s for s in before.segments if len(_inside(plan.seqs, s))]
    manifest = manifests.load(home)
    for day in sorted({segment.day for segment in touched}):
        mine = [segment for segment in manifest.segments if segment.day == day]
        whole = np.concatenate([np.arange(segment.first, segment.last + 1) for segment in mine])
        lost = np.concatenate([gone.read_gone(home, segment).seqs for segment in mine])
        kept = np.setdiff1d(whole, lost)
        write_survivors(home, day, Survivors(kept, nonces_of(home, day, kept)))
        key_path(home, day).unlink(missing_ok=True)
        files.sync_directory(key_path(home, day).parent)


# --- the journal -------------------------------------------------------------------------------------------------------


def _journal(home: Path, plan: Plan) -> Iterator[Path]:
    """Write beside each journal file the same file without the payloads, byte for byte as long, frame for frame.

    Positions in it are noted elsewhere (the runner's checkpoint, the manifest, the durable mark) and stay true. Only headers are
    read where nothing goes.

    Raises:
        LedgerError: a frame does not fit into its place.
    """
    for _, path in files.journal_files(home):
        fresh = {}
        for at, header, body in frames_of(path, lambda header: header.quarantined_bytes > 0 or _holds(header, plan)):
            raw = _frame(header, body, plan)
            if raw is not None:
                fresh[at] = raw
        if fresh:
            yield _copied(path, fresh)


def frames_of(path: Path, wanted: Callable[[Header], bool]) -> Iterator[tuple[int, Header, Frame]]:
    """(offset, header, frame) of the frames of a journal file whose header is wanted; the others are passed over unread.

    Raises:
        LedgerError: a wanted frame is damaged.
    """
    with path.open("rb") as file:
        at = 0
        while len(head := file.read(HEADER_BYTES)) == HEADER_BYTES:
            header = decode_header(head)
            if wanted(header):
                yield at, header, decode_body(file.read(header.body_bytes), 0, header)
            at += HEADER_BYTES + header.body_bytes
            file.seek(at)


def _holds(header: Header, plan: Plan) -> bool:
    low, high = np.searchsorted(plan.seqs, [header.seq, header.seq + header.count])
    return bool(low < high)


def _copied(path: Path, fresh: dict[int, bytes]) -> Path:
    """The file written beside itself, with other bytes at these offsets."""
    beside = path.with_name(f"{path.name}.new")
    with path.open("rb") as source, beside.open("wb") as sink:
        for at in sorted(fresh):
            _pass_on(source, sink, at - source.tell())
            sink.write(fresh[at])
            source.seek(len(fresh[at]), os.SEEK_CUR)
        _pass_on(source, sink, path.stat().st_size - source.tell())
        sink.flush()
        os.fsync(sink.fileno())
    beside.chmod(path.stat().st_mode)
    return beside


def _pass_on(source: BinaryIO, sink: BinaryIO, count: int) -> None:
    while count > 0 and (chunk := source.read(min(count, _CHUNK))):
        sink.write(chunk)
        count -= len(chunk)


def _frame(header: Header, frame: Frame, plan: Plan) -> bytes | None:
    """The frame without the payloads, as long as it was; None where nothing of it must go."""
    held, lines = _holds(header, plan), plan.lines(unpack_lines(frame.quarantined))
    if not held and lines == unpack_lines(frame.quarantined):
        return None
    table = unpack(frame.payload) if frame.count else None
    if table is not None and held:
        seqs = np.arange(header.seq, header.seq + header.count)
        rows = np.flatnonzero(np.isin(seqs, plan.seqs))
        table = _blanked(table, rows)
    for payload in _payloads(table, frame.payload):
        rest = header.body_bytes - len(payload) - len(packed := pack_lines(lines)) - len(frame.positions)
        if rest >= 0:
            fresh = replace(frame, payload=payload, quarantined=packed, positions=frame.positions + b" " * rest)
            return b"".join(encode(fresh, header.seq, header.durable))
    raise LedgerError(
        f"the journal frame at seq {header.seq} cannot be rewritten in its place", todo="Nothing was changed; tell us"
    )


def _blanked(table: pa.Table, rows: NDArray[np.int64]) -> pa.Table:
    """The frame's records with these ones empty: of a kind that the engine passes over, when and from which source they came.

    Empty values rather than absent ones where a column had none absent, so that no part of the frame grows. There are no redacted
    rows here: a state made again from the journal must not judge anybody by half a look.
    """
    for at, field in enumerate(table.schema):
        column = table.column(at).combine_chunks()
        kind, whole = field.type, column.null_count == 0
        if field.name == "kind":
            value: Any = CONTROL_PREFIX
        elif not whole or pa.types.is_struct(kind):
            value = None
        else:
            value = (
                ""
                if pa.types.is_string(kind)
                else []
                if pa.types.is_list(kind)
                else False
                if pa.types.is_boolean(kind)
                else 0
            )
        fresh = pa.nulls(len(rows), kind) if value is None else pa.repeat(pa.scalar(value, kind), len(rows))
        if field.name in {"source", "arrival", "time"}:
            fresh = (
                table.column("arrival" if field.name == "time" else field.name).combine_chunks().take(pa.array(rows))
            )
        order = np.arange(table.num_rows)
        order[rows] = table.num_rows + np.arange(len(rows))
        table = table.set_column(at, field, pa.concat_arrays([_plain(column), _plain(fresh)]).take(pa.array(order)))
    return table


def _plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column


def _payloads(table: pa.Table | None, before: bytes) -> Iterator[bytes]:
    """The payload, ever smaller."""
    if table is None:
        yield before
        return
    yield pack(table)
    for codec in ("lz4", "zstd"):
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression=codec, use_threads=False)
        with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
            writer.write(table.combine_chunks())
        yield bytes(sink.getvalue())


# --- quarantine --------------------------------------------------------------------------------------------------------


def _quarantine(home: Path, manifest: Manifest, plan: Plan) -> list[str]:
    """Rewrite the quarantined lines, each as long as it was: the manifest counts their bytes."""
    path = home / files.QUARANTINE
    if not path.exists() or not manifest.quarantine_bytes:
        return []
    data = path.read_bytes()
    before = data[: manifest.quarantine_bytes].split(b"\n")
    after = plan.lines(b"\n".join(before)).split(b"\n")
    if len(before) != len(after) or any(len(new) > len(old) for old, new in zip(before, after, strict=True)):
        raise LedgerError("quarantined lines cannot be rewritten in their place", where=path.name)
    fresh = b"\n".join(new.ljust(len(old)) for old, new in zip(before, after, strict=True))
    if fresh == data[: manifest.quarantine_bytes]:
        return []
    files.write_atomic(path, fresh + data[manifest.quarantine_bytes :])
    return [path.name]


def columns_nulled(table: pa.Table, names: tuple[str, ...]) -> pa.Table:
    """The rows without the values of these columns."""
    for at, field in enumerate(table.schema):
        if field.name in names:
            table = table.set_column(at, field, pa.nulls(table.num_rows, field.type))
    return table


def rows_without(values: list[Any], subject: str) -> list[Any]:
    """Lists of subjects (or of what was shown of whom) without one subject; null stays null."""

    def is_other(one: object) -> bool:
        return (one.get("subject") if isinstance(one, dict) else one) != subject

    return [None if row is None else [one for one in row if is_other(one)] for row in values]

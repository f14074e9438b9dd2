"""Erasure of one customer, and retention by age: what goes, what is held, and the record that says so.

Payloads go, leaves and proofs stay. An erasure takes the customer out of every record and keeps the rest of it, so that what an
account saw of others can still be told. Nobody may write the home meanwhile; readers go on.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from watchbill.cases.sheet import row_needs_records
from watchbill.core.errors import LedgerError, LimitError, NotFoundError, SettingsError
from watchbill.inquiry.controls import DECISION, read_controls
from watchbill.inquiry.exposed import parcels_path, waybills_of
from watchbill.inquiry.operators import case_lines
from watchbill.inquiry.sightings import FOLDER as SIGHTINGS
from watchbill.ledger import erasing, files, gone
from watchbill.ledger import manifest as manifests
from watchbill.ledger.canonical import SEQ
from watchbill.ledger.erasing import Plan, columns_nulled, rows_without
from watchbill.ledger.frames import unpack_lines
from watchbill.ledger.keys import is_seeded
from watchbill.ledger.reader import Ledger
from watchbill.ledger.sealing import seal
from watchbill.ledger.segments import open_segment
from watchbill.records.schema import CONTROL_PREFIX
from watchbill.runners.config import RETENTION_DAYS_MIN
from watchbill.runners.engine import Engine
from watchbill.runners.local import keep_current

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from watchbill.runners.clock import Clock

_DAY_MS: Final = 86_400_000
_REASON_CHARS: Final = 500
_ABOUT: Final = ("waybill", "ticket", "reason", "decision", "channel", "extra")
"""Columns that may tell of the customer in words or numbers; who looked, when and from where stays."""
_KEYS: Final = (SEQ, "account", "device", "time")
_TEXTS: Final = (
    "*.json",
    "*.ndjson",
    "out/*.json",
    "out/*.ndjson",
    "inbox/*",
    "rules/*",
    "settings/*",
    "cases.sqlite*",
)
_TEXT_BYTES_MAX: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure or a retention did.

    Attributes:
        records: payloads that went (in a dry run: would go). held: left, because an open case may need them. cases: those cases.
        files: rewritten. left: files that still hold the text, for people to look at. replayed: the home is a replay of history,
        whose nonces follow from its first record: somebody who has that record can test a guess against a leaf.
        height: the journal height behind the record that tells of it, None when nothing was done.
    """

    records: int
    held: int
    cases: list[str]
    files: list[str]
    left: list[str]
    replayed: bool
    height: int | None


def erase_subject(
    home: Path, subject: str, *, reason: str, by: str, clock: Clock, force: bool = False, dry_run: bool = False,
    forget_state: bool = False,
) -> Erased:  # fmt: skip
    """Take one customer (or parcel) out of everything that the home holds.

    Args:
        home: the home; nobody may write it.
        subject: the customer's id in the records, or a waybill.
        reason: why, up to 500 characters; it stays in the journal for good, so it names nobody.
        by: who ordered it, by a pseudonym.
        clock: stamps the record that tells of it.
        force: also while an open case needs the records; recorded as such.
        dry_run: only say what would go.
        forget_state: remove the engine's state too, which holds 64-bit hashes of waybills for some weeks; the next start makes it
            again from the journal.

    Raises:
        NotFoundError: nothing in the home is of this customer. LimitError: an open case needs the records.
        SettingsError: no reason. LedgerBusy: somebody writes the home.
    """
    if not reason.strip() or len(reason) > _REASON_CHARS or not by.strip():
        raise SettingsError("a reason and who ordered it are needed", where="erase", todo="At most 500 characters")
    if not dry_run:
        _refresh(home, clock)
    seal(home, final=True)
    ledger = Ledger(home)
    names = sorted({subject, *waybills_of(subject, read_controls(home, ledger.height), home)})
    found = _found(ledger, names)
    before = erasing.noted(home) or ([], [])
    seqs = np.union1d(found.column(SEQ).to_numpy(), np.array(before[1], np.int64))
    if not len(seqs):
        raise NotFoundError("nothing here is of this customer", where="erase", todo="Check the id")
    _, cases = _held(found, home)
    if cases and not force and not before[1]:
        raise LimitError(
            f"{len(cases)} open cases need these records ({', '.join(cases[:5])})", where="erase",
            todo="Close them first, or give --force; that is recorded",
        )  # fmt: skip
    replayed = is_seeded(home)
    if dry_run:
        return Erased(len(seqs), 0, cases, [], [], replayed, None)
    told = {"records": len(seqs), "reason": reason, "by": by, "forced": bool(cases) and force, "seqs": _digest(seqs)}
    height = _record(home, "wb.erase", told, clock)
    plan = Plan(np.array(before[0], np.int64), seqs, lambda rows: redacted(rows, names), lambda raw: _lines(raw, names))
    rewritten = [*_carry_out(home, plan), *_parcels_without(home, subject), *_ids_without(home, seqs, names)]
    if forget_state:
        shutil.rmtree(home / "state", ignore_errors=True)
    return Erased(len(seqs), 0, cases, rewritten, _left(home, names), replayed, height)


def retain(home: Path, days: int, *, clock: Clock, dry_run: bool = False) -> Erased:
    """Drop the payloads of whole UTC days of arrival that are over for so many days; what open cases need is held.

    Args:
        home: the home; nobody may write it.
        days: how long payloads are kept, at least 180: the law keeps network logs for six months (Cybersecurity Law, art. 21).
        clock: today.
        dry_run: only say what would go.

    Raises:
        SettingsError: under 180 days. LedgerError: an erasure did not finish. LedgerBusy: somebody writes the home.
    """
    if days < RETENTION_DAYS_MIN:
        raise SettingsError(
            f"{days} days is under the floor of {RETENTION_DAYS_MIN}", where="retain", todo="Keep longer"
        )
    before = erasing.noted(home) or ([], [])
    if before[1]:
        raise LedgerError("an erasure did not finish", where="erase", todo="Run the same erase again first")
    if not dry_run:
        _refresh(home, clock)
    seal(home, final=True)
    cutoff = (clock.now_ms() // _DAY_MS - days) * _DAY_MS
    seqs, held, cases = _old(home, cutoff)
    stale = _refused_before(home, cutoff)
    seqs = np.union1d(seqs, np.array(before[0], np.int64))
    replayed = is_seeded(home)
    if dry_run or not len(seqs):
        return Erased(len(seqs), held, cases, [], [], replayed, None)
    height = _record(home, "wb.retain", {"records": len(seqs), "before": cutoff, "held": held}, clock)
    plan = Plan(seqs, np.zeros(0, np.int64), lambda rows: rows, lambda raw: _lines(raw, (), stale))
    rewritten = [*_carry_out(home, plan), *_old_parcels(home, cutoff)]
    return Erased(len(seqs), held, cases, rewritten, [], replayed, height)


def _digest(seqs: NDArray[np.int64]) -> str:
    """Names which records went, without naming whose they were."""
    return hashlib.sha256(seqs.astype("<i8").tobytes()).hexdigest()


def _refresh(home: Path, clock: Clock) -> None:
    """Bring the list of cases up to the journal: after a crash a case may be open that no file tells of yet.

    Raises:
        LedgerBusy: somebody writes the home.
    """
    replayed = is_seeded(home)
    engine = Engine(home, None, clock, replay=replayed)
    try:
        keep_current(engine, None if replayed else clock.now_ms())
    finally:
        engine.close()


def _record(home: Path, kind: str, told: dict[str, Any], clock: Clock) -> int:
    """Journal what is about to happen, and seal it; the engine's state is left at that height."""
    replayed = is_seeded(home)
    engine = Engine(home, None, clock, replay=replayed)
    now = None if replayed else clock.now_ms()
    try:
        engine.control(kind, told)
        height = engine.tell(now)
        engine.checkpoint()
        keep_current(engine, now)
    finally:
        engine.close()
    seal(home, final=True)
    return height


def _carry_out(home: Path, plan: Plan) -> list[str]:
    lock = files.take_lock(home / "lock", "another process writes this home")
    try:
        rewritten = erasing.erase(home, plan)
        shutil.rmtree(
            home / SIGHTINGS, ignore_errors=True
        )  # an index of who saw whom; it is made again from what is left
        return rewritten
    finally:
        os.close(lock)


# --- what is concerned -------------------------------------------------------------------------------------------------


def _found(ledger: Ledger, names: list[str]) -> pa.Table:
    """(seq, account, device, time) of records that name one of these customers or parcels."""
    parts = [ledger.find(column, name) for name in names for column in ("subjects", "waybill")]
    wanted = pa.array(names, pa.string())
    for part in ledger.records(["shown", "account", "device", "time"]):
        if "shown" in part.column_names and part.column("shown").null_count < part.num_rows:
            rows = part.filter(pc.is_valid(part.column("shown"))).combine_chunks()
            shown = rows.column("shown").combine_chunks()
            named = pc.is_in(pc.struct_field(pc.list_flatten(shown), "subject"), value_set=wanted)
            parts.append(rows.take(pc.unique(pc.list_parent_indices(shown).filter(named))))
    tables = [part.select([name for name in _KEYS if name in part.column_names]) for part in parts]
    table = pa.concat_tables(tables, promote_options="default")
    if not table.num_rows:
        return table
    firsts = np.unique(table.column(SEQ).to_numpy(), return_index=True)[1]
    return table.take(pa.array(firsts))


def _held(table: pa.Table, home: Path) -> tuple[NDArray[np.bool_], list[str]]:
    """(which rows an open case needs: its accounts and devices in its span; the cases)."""
    mask, cases = np.zeros(table.num_rows, np.bool_), list[str]()
    if not table.num_rows:
        return mask, cases
    times = table.column("time").to_numpy()
    for case in case_lines(home):
        spans = [(one["from"], one["until"]) for one in case.get("tenancies", [])]
        if not row_needs_records(case) or not spans:
            continue
        since, until = min(span[0] for span in spans), max(span[1] for span in spans)
        mine = np.zeros(table.num_rows, np.bool_)
        for column in ("account", "device"):
            if column in table.column_names:
                wanted = pa.array(case.get(f"{column}s", []), pa.string())
                mine |= np.asarray(pc.fill_null(pc.is_in(table.column(column), value_set=wanted), False))
        mine &= (times >= since) & (times < until)
        if mine.any():
            mask |= mine
            cases.append(str(case["id"]))
    return mask, cases


def _old(home: Path, cutoff: int) -> tuple[NDArray[np.int64], int, list[str]]:
    """(seqs of records that arrived before the cutoff and still have their payload, how many are held, by which cases)."""
    seqs, held, cases = [np.zeros(0, np.int64)], 0, set[str]()
    for segment in manifests.load(home).segments:
        if segment.arrival[1] >= cutoff:
            continue
        with open_segment(segment.path(home)) as file:
            names = [name for name in (*_KEYS, "kind") if name in file.schema_arrow.names]
            table = file.read(columns=names, use_threads=False)
        kinds = table.column("kind").cast(pa.string())
        # a decision says whom a look showed: it ages as the look does
        ours = pc.and_(pc.starts_with(kinds, CONTROL_PREFIX), pc.not_equal(kinds, DECISION))
        lost = pc.is_in(table.column(SEQ), value_set=pa.array(gone.read_gone(home, segment).dropped))
        table = table.filter(pc.invert(pc.or_(ours, lost))).combine_chunks()
        mask, needed = _held(table, home)
        held, cases = held + int(mask.sum()), cases | set(needed)
        seqs.append(table.column(SEQ).to_numpy()[~mask])
    return np.unique(np.concatenate(seqs)), held, sorted(cases)


# --- what is taken away ------------------------------------------------------------------------------------------------


def redacted(rows: pa.Table, names: Iterable[str]) -> pa.Table:
    """The records without these customers and parcels, and without whatever may tell of them; who looked, and at whom else, stays."""
    rows = columns_nulled(rows, _ABOUT)
    for name in names:
        for column in {"subjects", "shown"} & set(rows.column_names):
            at = rows.schema.get_field_index(column)
            kept = pa.array(rows_without(rows.column(at).to_pylist(), name), rows.schema.field(at).type)
            rows = rows.set_column(at, rows.schema.field(at), kept)
    return _renamed(rows, names)


def _renamed(rows: pa.Table, names: Iterable[str]) -> pa.Table:
    """The rows with another id where theirs holds one of these texts."""
    told = rows.column("id").to_pylist()
    for at, (seq, one) in enumerate(zip(rows.column(SEQ).to_pylist(), told, strict=True)):
        if any(name in (one or "") for name in names):
            told[at] = f"{gone.KIND}:{seq}"
    at = rows.schema.get_field_index("id")
    return rows.set_column(at, rows.schema.field(at), pa.array(told, rows.schema.field(at).type))


def _ids_without(home: Path, seqs: NDArray[np.int64], names: Iterable[str]) -> list[str]:
    """Verdicts carry the record's id: one that holds the customer's id or waybill goes."""
    told = []
    for path in sorted([*(home / "parts").glob("verdicts-*.parquet"), *(home / "out").glob("verdicts.parquet")]):
        table = pq.read_table(path, partitioning=None)
        rows = np.flatnonzero(np.isin(table.column(SEQ).to_numpy(), seqs))
        before = table.take(pa.array(rows))
        after = _renamed(before, names)
        if not after.equals(before):
            _replace_table(path, gone.replaced(table, rows, after))
            told.append(path.name)
    return told


def _refused_before(home: Path, cutoff: int) -> frozenset[bytes]:
    """Quarantined lines that came before the cutoff."""
    out = set[bytes]()
    for _, path in files.journal_files(home):
        for _, _, frame in erasing.frames_of(path, lambda h: h.quarantined_bytes > 0 and h.arrival < cutoff):
            out |= {line for line in unpack_lines(frame.quarantined).split(b"\n") if line}
    return frozenset(out)


def _lines(raw: bytes, names: Iterable[str], stale: frozenset[bytes] = frozenset()) -> bytes:
    """Quarantined lines; those that hold one of these texts, or are stale, lose what was sent."""
    marks = [json.dumps(name, ensure_ascii=ascii_only)[1:-1].encode() for name in names for ascii_only in (False, True)]
    out = []
    for line in raw.split(b"\n"):
        if line in stale or any(mark in line for mark in marks):
            row = {**json.loads(line), "raw": ""}
            out.append(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode())
        else:
            out.append(line)
    return b"\n".join(out)


def _parcels_without(home: Path, subject: str) -> list[str]:
    """Take a customer's parcels out of every kept version of the parcels table."""
    told = []
    for path in sorted((home / "reference").glob("parcels-*.parquet")):
        table = pq.read_table(path, partitioning=None)
        mask = np.zeros(table.num_rows, np.bool_)
        for column in ("sender", "recipient", "waybill"):
            mask |= np.asarray(pc.fill_null(pc.equal(table.column(column), subject), False))
        if mask.any():
            _replace_table(path, table.filter(pa.array(~mask)))
            told.append(path.name)
    return told


def _old_parcels(home: Path, cutoff: int) -> list[str]:
    """Empty the versions of the parcels table that were replaced before the cutoff: they resolve nothing that is left."""
    before = max((one.last + 1 for one in manifests.load(home).segments if one.arrival[1] < cutoff), default=0)
    loads = read_controls(home, Ledger(home).height).parcels
    earlier = [digest for seq, digest in loads if seq < before]
    current = {*earlier[-1:], *(digest for seq, digest in loads if seq >= before)}
    told = []
    for digest in sorted(set(earlier) - current):
        path = parcels_path(home, digest)
        if path.is_file():
            table = pq.read_table(path, partitioning=None)
            if table.num_rows:
                _replace_table(path, table.slice(0, 0))
                told.append(path.name)
    return told


def _replace_table(path: Path, table: pa.Table) -> None:
    beside = path.with_suffix(".new")
    pq.write_table(table, beside, compression="zstd")
    with beside.open("rb") as written:
        os.fsync(written.fileno())
    beside.replace(path)
    files.sync_directory(path.parent)


def _left(home: Path, names: Iterable[str]) -> list[str]:
    """Texts of the home that still hold one of these; said, so that a person looks."""
    marks = [name.encode() for name in names]
    paths = sorted({path for pattern in _TEXTS for path in home.glob(pattern) if path.is_file()})
    small = (path for path in paths if path.stat().st_size <= _TEXT_BYTES_MAX)
    return [str(path.relative_to(home)) for path in small if any(mark in path.read_bytes() for mark in marks)]

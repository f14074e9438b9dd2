"""Sealing: acknowledged journal frames become sorted Parquet segments, leaf hashes and a signed checkpoint.

Runs behind the stream in a process of its own (`python -m watchbill.ledger.sealing HOME --follow`, started by `Sealer`).
A run of consecutive seqs never crosses a UTC day of arrival. Killed at any moment, the next start goes on where the
manifest stands: everything written beyond it is written again.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import IO, Final

import numpy as np
import pyarrow as pa

from watchbill.core.errors import LedgerBusy, LedgerError, LedgerFull
from watchbill.ledger import files, segments, tiles
from watchbill.ledger import manifest as manifests
from watchbill.ledger.canonical import SEQ, canonical
from watchbill.ledger.files import Mark
from watchbill.ledger.frames import unpack, unpack_lines
from watchbill.ledger.journal import read_from
from watchbill.ledger.keys import DAY_MS, NONCE_BYTES, Keys, day_of, nonces
from watchbill.ledger.manifest import Manifest, Segment
from watchbill.ledger.merkle import Frontier
from watchbill.ledger.sha import hash_rows

SORT_BY: Final = ("account", "time")
INDEX: Final = ("waybill", "subjects", "id")
ROWS_MAX: Final = 1_000_000
ARRIVAL: Final = "arrival"
_LEAF: Final = 0
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_POLL_SECONDS: Final = 0.25
NICE: Final = 10
_BUSY_POLLS_MAX: Final = 240
_ERROR_CHARS_MAX: Final = 2_000


@dataclass(frozen=True, slots=True)
class SealReport:
    """What a call of `seal` did.

    Attributes:
        sealed: next seq that is not sealed.
        records: records sealed by this call.
        segments: segments written by this call.
        root: root of the tree over everything sealed, hex.
    """

    sealed: int
    records: int
    segments: int
    root: str


@dataclass(slots=True)
class _Run:
    """A run being gathered: consecutive records of one day."""

    day: int = 0
    first: int = 0
    rows: int = 0
    tables: list[pa.Table] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    arrival: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class _Work:
    """One call of `seal`: where it writes, how, and how far it is."""

    home: Path
    keys: Keys
    manifest: Manifest
    sort_by: Sequence[str]
    index: Sequence[str]
    run: _Run = field(default_factory=_Run)
    lines: list[bytes] = field(default_factory=list)
    cursor: Mark = field(default_factory=lambda: Mark(0, 0, 0, 0))
    written: int = 0
    end: Mark | None = None
    rows_max: int = ROWS_MAX


def seal(
    home: Path,
    *,
    sort_by: Sequence[str] = SORT_BY,
    index: Sequence[str] = INDEX,
    rows_max: int = ROWS_MAX,
    upto: int | None = None,
    final: bool = False,
) -> SealReport:
    """Seal what is acknowledged and not yet sealed.

    Args:
        home: the home.
        sort_by: columns that a segment is sorted by.
        index: columns to index.
        rows_max: records of one segment at most.
        upto: seal no seq from here on; None for all that is acknowledged.
        final: seal the rest too; else a run is left until it is full or its day is over.

    Raises:
        LedgerBusy: another process seals this home.
        LedgerFull: no space; nothing is lost, call again.
        LedgerError: the journal or the manifest is damaged.
    """
    files.make_directory(home)
    lock = files.take_lock(home / "seal.lock", "another process seals this home")
    try:
        work = _Work(home, Keys.open(home), manifests.load(home), tuple(sort_by), tuple(index), rows_max=rows_max)
        work.end = None if final or upto is not None else files.read_mark(home)
        before = work.manifest.sealed
        _clean(work)
        tiles.fill_levels(home, before)
        for frame_end, seq, table, lines in _pending(work, upto):
            if not _take(work, seq, table):
                break
            if frame_end is not None:
                work.cursor = frame_end
                if lines:
                    work.lines.append(lines)
            if work.run.rows >= rows_max:
                _flush(work)
        if final:
            _flush(work)
        write_checkpoint(work.keys, home, work.manifest)
    except OSError as error:
        if error.errno not in _FULL:
            raise LedgerError(f"sealing could not use its files ({error.strerror})", where=str(home)) from error
        raise LedgerFull(f"the disk did not take a segment ({error.strerror})", where=str(home)) from error
    finally:
        os.close(lock)
    root = Frontier.from_bytes(work.manifest.frontier).root().hex()
    return SealReport(work.manifest.sealed, work.manifest.sealed - before, work.written, root)


def _clean(work: _Work) -> None:
    """Remove what an earlier, killed call wrote beyond the manifest."""
    work.cursor = work.manifest.cursor
    known = {segment.path(work.home, ending) for segment in work.manifest.segments for ending in segment.digests}
    for path in (work.home / files.SEGMENTS).glob("*/*"):
        if path not in known:
            path.unlink()


def _pending(work: _Work, upto: int | None) -> Iterator[tuple[Mark | None, int, pa.Table, bytes]]:
    """Give unsealed records as (position after the frame when it is used up, first seq, table, quarantined lines)."""
    sealed, start = work.manifest.sealed, work.manifest.cursor
    known = start if files.journal_path(work.home, start.file).exists() else None
    for at, seq, frame in read_from(work.home, from_seq=sealed, start=known):
        if upto is not None and seq >= upto:
            return
        lines = unpack_lines(frame.quarantined)
        if not frame.count:
            yield at, seq, None, lines
            continue
        table = unpack(frame.payload)
        if table.num_rows != frame.count:
            raise LedgerError(f"frame at seq {seq} holds {table.num_rows} records, not {frame.count}")
        end = seq + frame.count if upto is None else min(seq + frame.count, upto)
        first = max(seq, sealed)
        whole = end == seq + frame.count
        yield at if whole else None, first, table.slice(first - seq, end - first), lines if whole else b""


def _take(work: _Work, seq: int, table: pa.Table | None) -> bool:
    """Add records to the run; full runs and those of a day that is over are written. False when no more can be full."""
    while table is not None and table.num_rows:
        arrivals = np.asarray(table.column(ARRIVAL))
        day = day_of(int(arrivals[0]))
        run = work.run
        if run.rows and (run.day != day or run.rows >= work.rows_max):
            _flush(work)
            run = work.run
        others = np.flatnonzero(arrivals // DAY_MS != day)
        count = min(int(others[0]) if len(others) else table.num_rows, work.rows_max - run.rows)
        if not run.rows:
            if work.end and work.end.height - seq < work.rows_max and day_of(work.end.arrival) == day:
                return False
            run.day, run.first, run.arrival = day, seq, (int(arrivals[0]), int(arrivals[0]))
        piece = table.slice(0, count)
        run.hashes.append(leaf_hashes(piece, seq, work.keys.day_key(day)))
        run.tables.append(piece)
        run.rows += count
        low, high = int(arrivals[:count].min()), int(arrivals[:count].max())
        run.arrival = (min(run.arrival[0], low), max(run.arrival[1], high))
        seq, table = seq + count, table.slice(count)
    return True


def leaf_hashes(table: pa.Table, first_seq: int, day_key: bytes) -> bytes:
    """Leaf hashes of consecutive records, 32 bytes each, end to end."""
    head = np.empty((table.num_rows, 1 + NONCE_BYTES), dtype=np.uint8)
    head[:, 0] = _LEAF
    head[:, 1:] = nonces(day_key, first_seq, table.num_rows)
    data, offsets = canonical(table, first_seq, head=head)
    return hash_rows(data, offsets)


def _flush(work: _Work) -> None:
    """Write the run as a segment and make it count: files, leaves, quarantined lines, then the manifest."""
    run = work.run
    if not run.rows and work.cursor == work.manifest.cursor:
        return
    changed = work.manifest
    if run.rows:
        segment = _write_segment(work, run)
        frontier = Frontier.from_bytes(changed.frontier)
        hashes = b"".join(run.hashes)
        tiles.write_hashes(work.home, run.first, hashes, frontier.append(hashes))
        changed = changed.with_segment(segment, frontier.to_bytes())
        work.written += 1
    lines = b"".join(work.lines)
    if lines:
        tiles.write_at(work.home / files.QUARANTINE, changed.quarantine_bytes, lines)
    changed = replace(changed, cursor=work.cursor, quarantine_bytes=changed.quarantine_bytes + len(lines))
    manifests.save(work.home, changed)
    work.manifest, work.run, work.lines = changed, _Run(), []
    write_checkpoint(work.keys, work.home, changed)


def _write_segment(work: _Work, run: _Run) -> Segment:
    segment = Segment(run.day, run.first, run.first + run.rows - 1, {}, run.arrival)
    table = pa.concat_tables(run.tables, promote_options="default").combine_chunks()
    run.tables.clear()
    table = table.append_column(SEQ, pa.array(np.arange(run.first, run.first + run.rows)))
    stem = segment.path(work.home).with_suffix("")
    return replace(segment, digests=segments.write_segment(stem, table, sort_by=work.sort_by, index=work.index))


def write_checkpoint(keys: Keys, home: Path, manifest: Manifest) -> None:
    """Sign the tree as sealed, unless that is done already: once under its size, once as `latest`."""
    folder = home / files.CHECKPOINTS
    named = folder / f"{manifest.sealed:020d}"
    latest = folder / "latest"
    if manifest.sealed and not (named.exists() and latest.exists() and latest.read_bytes() == named.read_bytes()):
        note = keys.sign(manifest.sealed, Frontier.from_bytes(manifest.frontier).root())
        files.make_directory(folder)
        files.write_atomic(named, note)
        files.write_atomic(latest, note)


def drop_sealed_before(home: Path, seq: int) -> int:
    """Remove journal files whose records are all sealed and lie before `seq` (the runner's checkpoint).

    The last file always stays. Returns how many were removed.
    """
    sealed = manifests.load(home)
    listing = files.journal_files(home)
    dropped = 0
    for (first, path), (after, _) in pairwise(listing):
        if after > min(seq, sealed.sealed) or (sealed.cursor.file, sealed.cursor.offset) < (first, path.stat().st_size):
            break
        path.unlink()
        dropped += 1
    if dropped:
        files.sync_directory(home / files.JOURNAL)
    return dropped


def _due(home: Path, sealed: int, rows_max: int) -> bool:
    """Tell whether a run is full or its day is over."""
    mark = files.read_mark(home)
    if mark is None or mark.height <= sealed:
        return False
    if mark.height - sealed >= rows_max:
        return True
    first = next(((seq, frame) for _, seq, frame in read_from(home, from_seq=sealed) if frame.count), None)
    if first is None:
        return False
    arrival = unpack(first[1].payload).column(ARRIVAL)[sealed - first[0]].as_py()
    return day_of(arrival) != day_of(mark.arrival)


def follow(home: Path, stream: int, *, sort_by: Sequence[str], index: Sequence[str], rows_max: int) -> SealReport:
    """Seal behind the stream until `stream` (a file descriptor) is closed at the other end, then seal the rest.

    A full disk is waited out while the stream is open. Another sealer (of a runner that was killed and is finishing)
    is waited for as well.
    """
    busy_polls, sealed, open_ended = 0, manifests.load(home).sealed, True
    records = written = 0
    while True:
        if open_ended and select.select([stream], [], [], _POLL_SECONDS)[0]:
            open_ended = bool(os.read(stream, 4096))
        elif not open_ended and busy_polls:
            select.select([], [], [], _POLL_SECONDS)
        if open_ended and not _due(home, sealed, rows_max):
            continue
        try:
            report = seal(home, sort_by=sort_by, index=index, rows_max=rows_max, final=not open_ended)
        except LedgerBusy:
            busy_polls += 1
            if busy_polls > _BUSY_POLLS_MAX:
                raise
            continue
        except LedgerFull:
            if not open_ended:
                raise
            continue
        busy_polls, sealed = 0, report.sealed
        records, written = records + report.records, written + report.segments
        if not open_ended:
            return replace(report, records=records, segments=written)


class Sealer:
    """The sealing child process, as a runner holds it."""

    def __init__(self, process: subprocess.Popen[bytes], home: Path, errors: IO[bytes]) -> None:
        """Use `Sealer.start`."""
        self.process = process
        self._home = home
        self._errors = errors

    @classmethod
    def start(
        cls, home: Path, *, sort_by: Sequence[str] = SORT_BY, index: Sequence[str] = INDEX, rows_max: int = ROWS_MAX,
        nice: int = NICE,
    ) -> Sealer:  # fmt: skip
        """Start sealing behind the stream; the child ends when this process does.

        `nice` is its priority: low beside a live engine; 0 in a replay, which waits for it in the end.
        """
        files.make_directory(home)
        errors = tempfile.TemporaryFile()  # noqa: SIM115 the child writes it until `finish`
        command = [sys.executable, "-m", "watchbill.ledger.sealing", str(home), "--follow"]
        command += [
            "--sort-by",
            ",".join(sort_by),
            "--index",
            ",".join(index),
            "--rows-max",
            str(rows_max),
            "--nice",
            str(nice),
        ]
        roots = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        # Ctrl-C and a service's stop reach the child too, from its first instant on: it inherits them blocked
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            process = subprocess.Popen(  # noqa: S603 our own module
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, roots))},
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return cls(process, home, errors)

    def check(self) -> None:
        """Tell early when the child has died.

        Raises:
            LedgerError: it ended before `finish`.
        """
        if self.process.poll() is not None:
            raise self._failure()

    def finish(self, timeout: float) -> SealReport:
        """Let the child seal the rest and wait for it; on a timeout (seconds) it is killed, which loses nothing.

        Raises:
            LedgerError: it failed, or it took longer.
        """
        try:
            out, _ = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            self.process.communicate()
            raise LedgerError(
                f"sealing took over {timeout} s and was stopped", where=str(self._home), todo="The next start goes on"
            ) from error
        if self.process.returncode != 0:
            raise self._failure()
        self._errors.close()
        return SealReport(**json.loads(out))

    def _failure(self) -> LedgerError:
        self._errors.seek(0)
        told = self._errors.read().decode(errors="replace").strip()[-_ERROR_CHARS_MAX:]
        self._errors.close()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        last = told.splitlines()[-1] if told else f"exit code {self.process.returncode}"
        return LedgerError(f"sealing failed: {last}", where=str(self._home), todo="The journal is whole; run verify")


def main(arguments: Sequence[str] | None = None) -> int:
    """Seal a home from the command line: once, or behind the stream until standard input closes."""
    parser = argparse.ArgumentParser(prog="watchbill.ledger.sealing", description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--follow", action="store_true")
    parser.add_argument("--sort-by", default=",".join(SORT_BY))
    parser.add_argument("--index", default=",".join(INDEX))
    parser.add_argument("--rows-max", type=int, default=ROWS_MAX)
    parser.add_argument("--nice", type=int, default=NICE)
    given = parser.parse_args(arguments)
    sort_by, index = given.sort_by.split(","), [name for name in given.index.split(",") if name]
    # Ctrl-C reaches the whole group; the runner decides when sealing ends
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(given.nice)
    pa.set_cpu_count(1)
    # measured: the default pool gives pages back and faults them in again, a quarter of all time
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        if given.follow:
            report = follow(given.home, sys.stdin.fileno(), sort_by=sort_by, index=index, rows_max=given.rows_max)
        else:
            report = seal(given.home, sort_by=sort_by, index=index, rows_max=given.rows_max, final=True)
    except LedgerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(asdict(report)) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""The local runner: replay sources into a home, or run on live ones, in one process and a sealing child.

`replay` reads to the end, as fast as it can, with the records' own arrival clock; `run` stamps arrival and goes on until
it is stopped. Both can be interrupted at any moment and go on where the journal ends.
"""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from watchbill.core.errors import SettingsError
from watchbill.core.settings import Settings
from watchbill.ledger.sealing import Sealer, SealReport
from watchbill.records.parse import parse_ndjson
from watchbill.responses.policy import DECISIONS
from watchbill.rules.bundle import RuleSource
from watchbill.runners.caseskept import keep_store, rows_of
from watchbill.runners.clock import Clock, SystemClock
from watchbill.runners.engine import Engine
from watchbill.runners.inbox import take_inbox
from watchbill.runners.outputs import refused, write_json, write_lines
from watchbill.runners.references import read_folder
from watchbill.runners.status import sources_of, status_of
from watchbill.runners.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from watchbill.records.batch import Quarantined
    from watchbill.records.limits import RecordLimits
    from watchbill.runners.controls import Timed
    from watchbill.sources.base import Source

CHECKPOINT_SECONDS: Final = 60.0
SEAL_SECONDS_MAX: Final = 3600.0
SEGMENT_ROWS: Final = 500_000
"""Records of a segment: half a million keeps the sealing child near 600 MiB."""


@dataclass
class Progress:
    """What a long run tells while it works: called after each batch, and with a word at each phase."""

    on_batch: Callable[[Engine, dict[str, Any]], None] = lambda _engine, _position: None
    on_phase: Callable[[str], None] = lambda _text: None
    stop: Callable[[], bool] = lambda: False


@dataclass
class Ran:
    """What a replay did: `summary` is the content of summary.json; `finished` is False when it was interrupted."""

    summary: dict[str, Any]
    finished: bool
    repaired: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)


def replay(
    sources: Sequence[Source], home: Path, out: Path, settings: Settings, *, reference: Path | None = None,
    limits: RecordLimits | None = None, clock: Clock | None = None, progress: Progress | None = None,
    rules: RuleSource | None = None, checkpoint_seconds: float = CHECKPOINT_SECONDS, trace: Path | None = None,
    verdicts: Sequence[Timed] = (),
) -> Ran:  # fmt: skip
    """Replay sources to their end and write the files of contract/outputs.md into `out`; `trace` as runners/trace.py.

    `verdicts` (runners/inbox.py, `read_verdicts`) come into force at their time; those in the inbox of the home at once.

    Raises:
        LedgerBusy: another process writes the home.
        WatchbillError: a source, a table or a setting is wrong; what was taken in stays and a later call goes on.
    """
    clock, progress = clock or SystemClock(), progress or Progress()
    began = clock.monotonic()
    check_places(home, out)
    loaded = read_folder(reference, settings)  # before the home is made: a wrong folder leaves nothing behind
    progress.on_phase("opening the home and replaying what the last checkpoint does not hold")
    engine = Engine(home, settings, clock, limits=limits, replay=True)
    engine.on_full = progress.on_phase
    traced = Trace(trace) if trace is not None else None
    engine.pipeline.on_scores = traced.write if traced is not None else None
    repaired = engine.journal.repaired
    sealer = Sealer.start(home, rows_max=SEGMENT_ROWS, nice=0)
    finished = False
    try:
        engine.take_tables(loaded)
        engine.take_rules(rules or RuleSource())
        engine.timed = list(verdicts)
        for line in take_inbox(engine):
            progress.on_phase(line)
        progress.on_phase("reading")
        last = clock.monotonic()
        for source in sources:
            engine.declare(source.name, masking_of(source))
            for batch in source.read(engine.positions.get(source.name), stop=progress.stop):
                engine.take(batch)
                progress.on_batch(engine, engine.positions)
                sealer.check()
                if clock.monotonic() - last > checkpoint_seconds:
                    take_inbox(engine)
                    engine.checkpoint()
                    last = clock.monotonic()
                if progress.stop():
                    break
        finished = not progress.stop()
        if finished:
            engine.tell_rest()
        take_inbox(engine)
        engine.checkpoint()
    finally:
        engine.close()
        if traced is not None:
            traced.close()
        progress.on_phase("sealing")
        report = sealer.finish(SEAL_SECONDS_MAX)
    summary = publish(engine, out, clock.monotonic() - began, report)
    return Ran(summary, finished, repaired)


def check_places(home: Path, out: Path) -> None:
    """Tell before anything is made that the home or the folder of outputs cannot be one.

    Raises:
        SettingsError: one of them is a file, or both are the same.
    """
    for path, name in ((home, "--home"), (out, "--out")):
        if path.exists() and not path.is_dir():
            raise SettingsError(
                f"{path} is not a folder", where=name, todo="Name a folder, or one that is not there yet"
            )
    if home.resolve() == out.resolve():
        raise SettingsError(
            "--out and --home are the same folder", where="--out", todo="Give another folder for the outputs"
        )


def masking_of(source: Source) -> str:
    """What a source's settings say of masking ("known" where they say nothing)."""
    return str(getattr(getattr(source, "settings", None), "masking", "known"))


def publish(engine: Engine, out: Path, seconds: float, report: SealReport, now: int | None = None) -> dict[str, Any]:
    """Write the output files of a home as it stands; the summary. `now` (epoch ms) is the clock of a live run."""
    engine.outputs.publish(out, {case.id: case.into for case in engine.pipeline.book.cases.values() if case.into})
    rows = rows_of(engine, now)
    write_lines(out / "cases.ndjson", rows)
    write_lines(out / "quarantine.ndjson", map(_public, refused(engine.home)))
    summary = summary_of(engine, seconds, report, now)
    write_json(out / "summary.json", summary)
    write_lines(engine.home / "cases.ndjson", rows)
    write_json(engine.home / "summary.json", summary)
    stored = keep_store(engine, rows)
    write_json(engine.home / "status.json", status_of(engine, now) | {"database": stored})
    return summary


def keep_current(engine: Engine, now: int | None = None) -> str:
    """Renew what readers ask a home for: cases.ndjson, the database of cases, status.json; `now` as `publish`.

    Returns:
        Why the database could not be written, "" when it was; that stops nothing, for the journal holds everything.

    Raises:
        OSError: the disk did not take them.
    """
    rows = rows_of(engine, now)
    write_lines(engine.home / "cases.ndjson", rows)
    stored = keep_store(engine, rows)
    write_json(engine.home / "status.json", status_of(engine, now) | {"database": stored})
    return str(stored["why"])


def _public(entry: Quarantined) -> dict[str, str]:
    """The contract names the key in words."""
    return {
        "source": entry.source, "position": entry.position, "reason": entry.reason, "what to do": entry.todo, "raw": entry.raw,
    }  # fmt: skip


def peak_memory_bytes() -> int:
    """Most resident memory of this process so far; of its own image where the system tells (ru_maxrss survives exec)."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def summary_of(engine: Engine, seconds: float, report: SealReport, now: int | None = None) -> dict[str, Any]:
    """The content of summary.json; `seconds` is wall time of this call alone, the root is that of what is sealed."""
    counts = engine.counts
    total = sum(counts.kinds.values())
    return {
        "records": dict(sorted(counts.kinds.items())), "looks": counts.looks, "duplicates": counts.duplicates,
        "quarantined": counts.quarantined, "accounts": len(engine.pipeline.context.accounts),
        "first": counts.first_time, "last": counts.last_time, "seconds": round(seconds, 3),
        "records_per_second": round(total / seconds) if seconds > 0 else 0,
        "peak_memory_bytes": peak_memory_bytes(),
        "ledger_height": engine.journal.durable, "ledger_sealed": report.sealed, "ledger_root": report.root,
        "decisions": {DECISIONS[int(code)]: number for code, number in sorted(counts.decisions.items())},
        "interventions": counts.interventions, "cases": len(engine.pipeline.book.leads()),
        "sources": sources_of(engine, now),
    }  # fmt: skip


def ingest_lines(home: Path, source: str, lines: Sequence[tuple[str, bytes]], settings: Settings | None = None) -> int:
    """Append records given as NDJSON lines (a quarantine retry): each with the position it was refused at.

    Returns:
        How many were taken in (duplicates and refused lines apart).

    Raises:
        LedgerBusy: another process writes the home.
    """
    engine = Engine(home, settings or Settings(), SystemClock())
    try:
        before = sum(engine.counts.kinds.values())
        for position, line in lines:
            identity, _, number = position.rpartition(":")
            first = int(number) if number.isdigit() else 1
            parsed = parse_ndjson(
                line.rstrip(b"\n") + b"\n", source=source, identity=identity or position, first_line=first
            )
            kept = engine.positions.get(source, {})
            engine.take(parsed.batch(source, kept))
        engine.checkpoint()
        return sum(engine.counts.kinds.values()) - before
    finally:
        engine.close()

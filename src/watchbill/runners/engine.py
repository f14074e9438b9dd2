"""The engine of one home: the one writer that journals batches, steps over them, and can always begin again.

Order for each batch: stamp arrival > drop duplicates > journal and sync > step > outputs. A checkpoint holds the state at
a height; recovery loads it, replays the journal after it, and goes on. What is said is thus a function of the journal.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchbill.core.errors import LedgerFull
from watchbill.core.settings import Settings
from watchbill.inquiry.silence import Heard
from watchbill.ledger.files import Mark, read_mark
from watchbill.ledger.frames import Frame, pack, pack_lines, unpack
from watchbill.ledger.journal import Journal, read_from
from watchbill.ledger.keys import forget_seed, seed_days
from watchbill.records.columns import columns_of
from watchbill.records.dedup import CONFLICT_REASON, Seen
from watchbill.records.limits import RecordLimits
from watchbill.records.quarantine import to_ndjson
from watchbill.records.schema import CONTROL_SOURCE, DECIDE_SOURCE
from watchbill.records.validate import stamp_arrival
from watchbill.rules.bundle import RuleSource, ruleset_of
from watchbill.runners.askrecords import DECISION, table_of
from watchbill.runners.checkpoint import CheckpointWriter, load_checkpoint
from watchbill.runners.controls import Timed, control_rows, control_table, first_sent, runs_of, with_controls
from watchbill.runners.counts import Counts
from watchbill.runners.deciding import Decisions
from watchbill.runners.judging import SAID, obey_people
from watchbill.runners.lookup import sealed_lookup
from watchbill.runners.outputs import OutputFiles
from watchbill.runners.pipeline import Pipeline
from watchbill.runners.references import Loaded, References, read_folder
from watchbill.runners.ruleskept import RulesKept, read_snoozes
from watchbill.runners.settingskept import SettingsKept

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from watchbill.records.batch import Batch
    from watchbill.records.columns import Columns
    from watchbill.runners.clock import Clock
    from watchbill.runners.pipeline import Output

_RETRY_SECONDS: Final = 1.0
_NOTHING_MOVED: Final = b'{"positions": {}, "duplicates": 0, "quarantined": 0, "derived": false}'


class Engine:
    """One home, opened for writing; `replay` says that history is being replayed (docs/decisions/0006).

    `on_said` hears the changes of standing (rows of interventions.ndjson) of each step once they are durable, in order of
    seq; after a restart those after the last checkpoint come again, so a hearer counts each (seq, who, step) once.
    `on_corrected` hears, just so, of corrections that people are owed (cases/fair.py), by (about, to).
    """

    def __init__(
        self, home: Path, settings: Settings | None, clock: Clock, *, limits: RecordLimits | None = None,
        replay: bool = False, on_said: Callable[[list[dict[str, Any]]], None] | None = None,
        on_corrected: Callable[[list[dict[str, Any]]], None] | None = None,
    ) -> None:  # fmt: skip
        """Open a home and bring its state up to the journal; `settings` None = those in force stay.

        Raises:
            LedgerBusy: another process writes it. LedgerError: it is damaged.
        """
        self.home, self.settings, self.clock = home, settings or Settings(), clock
        self.limits = limits or RecordLimits()
        # measured: Arrow's own pool gives pages back and faults them in again: a fifth of all CPU, and 60 MB kept
        pa.set_memory_pool(pa.system_memory_pool())
        home.mkdir(parents=True, exist_ok=True)
        self.journal = Journal.open(home)
        self.outputs = OutputFiles(home)
        self.reading: set[str] = set()
        self.cases_url = ""  # of the database of cases, "" = runners.caseskept.url_of decides
        self._writer = CheckpointWriter()
        self._begin()
        self.on_full: Callable[[str], None] = lambda _message: None
        self.on_step: Callable[[Columns, Output], None] = lambda _columns, _output: None
        self.on_said, self.on_corrected = on_said or (lambda _rows: None), on_corrected or (lambda _rows: None)
        self._control: list[tuple[str, dict[str, Any]]] = []
        self.timed: list[Timed] = []  # control records that wait for their arrival, by arrival
        self._seeded = not replay or self.journal.height > 0
        if not replay:
            forget_seed(home)
        try:
            self._recover()
            # only here: after a rebuild the same process still tells its own
            for columns in self.decisions.left_open(
                self.pipeline.context.roles, self.pipeline.settings.masks, self.digest
            ):
                self._control.append((DECISION, columns))
            if settings is not None and (change := self.kept.change_to(settings)) is not None:
                self._control.append(("wb.settings", change))
        except BaseException:
            self.journal.close()
            raise

    def _begin(self) -> None:
        """The state of a home that holds nothing."""
        self.pipeline = Pipeline(self.settings)
        self.references = References(self.home)
        self.kept = SettingsKept(self.home)
        self.rules_kept = RulesKept(self.home)
        self.seen = Seen(sealed_lookup(self.home))
        self.positions: dict[str, dict[str, Any]] = {}
        self.heard: dict[str, Heard] = {}
        self.masking: dict[str, str] = {}
        self.decisions = Decisions()
        self.counts = Counts()
        self.arrival = 0
        self.done = 0

    # -- recovery ----------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        found = load_checkpoint(self.home, self.journal.durable)
        start = None
        if found is None:
            self.outputs.rewind(0, 0)
            self.outputs.findings.rewind(0)
            self.outputs.shadow.rewind(0)
        else:
            self._restore(*found)
            # by position, not by height: frames that hold no record share a height
            start = Mark(*found[1]["mark"])
        for _, seq, frame in read_from(self.home, from_seq=self.done, start=start):
            self._again(seq, frame)

    @property
    def digest(self) -> str:
        """Of the settings in force."""
        return self.kept.in_force.get("digest", "")

    def _restore(self, height: int, state: dict[str, Any]) -> None:
        self.outputs.rewind(height, int(state["interventions_bytes"]))
        self.outputs.findings.rewind(int(state.get("findings_bytes", 0)))
        self.outputs.shadow.rewind(int(state.get("shadow_bytes", 0)))
        # a checkpoint from before the first record names none: nothing was judged under any
        self.pipeline = Pipeline(self.kept.take(state["settings"]) if state["settings"] else self.settings)
        # names first, then the tables, whose arrays index them
        self.pipeline.restore(state)
        for name, key in state["references"].items():
            self.pipeline.apply(name, self.references.take(name, key))
        if state.get("rules"):
            self.pipeline.rules = ruleset_of(self.rules_kept.take(state["rules"]["in_force"]))
            self.pipeline.rules.restore(state["rules"]["state"])
        own = {key.removeprefix("seen/"): value for key, value in state.items() if key.startswith("seen/")}
        self.seen = Seen.restore(own, sealed_lookup(self.home))
        self.positions = state["positions"]
        self.heard = {name: Heard(last, pauses) for name, (last, pauses) in state["heard"].items()}
        self.masking = state["masking"]
        self.decisions.restore(state)
        self.counts = Counts(**state["counts"])
        self.arrival, self.done = int(state["arrival"]), height

    def _again(self, seq: int, frame: Frame) -> None:
        """Step over a frame that is journaled already."""
        moved = json.loads(frame.positions)
        self.positions.update(moved["positions"])
        if frame.count:
            table = unpack(frame.payload)
            for source in pc.unique(table.column("source")).to_pylist():
                if source != CONTROL_SOURCE:
                    part = table.filter(pc.equal(table.column("source"), source))
                    self.seen.filter(
                        source, part, np.asarray(part.column("arrival").combine_chunks()), derived=_derived(part, moved)
                    )
            self._step(table, seq)
        self.counts.duplicates += int(moved.get("duplicates", 0))
        self.counts.quarantined += int(moved.get("quarantined", 0))
        self.arrival = frame.arrival

    def _rebuild(self, error: LedgerFull) -> None:
        """Begin again from the last checkpoint and the journal, once there is room: what was said is written in part."""
        positions, masking, arrival = self.positions, self.masking, self.arrival
        while True:
            self.on_full(str(error))
            self.clock.sleep(_RETRY_SECONDS)
            self.outputs.drop()
            self._begin()
            try:
                self._recover()
            except LedgerFull as again:
                error = again
            else:
                break
        # a position behind the last frame, and a word that waits for the next one, are known here only
        self.positions |= positions
        self.masking |= masking
        self.arrival = max(self.arrival, arrival)

    # -- taking in ---------------------------------------------------------------------------------------------

    def reload(self, folder: Path | None) -> list[str]:
        """Note reference tables that changed; they take effect, journaled, with the next records. Names of them."""
        return self.take_tables(read_folder(folder, self.settings))

    def take_tables(self, loaded: list[Loaded]) -> list[str]:
        """As `reload`, with tables that are read already."""
        changes = self.references.changes(loaded)
        names = {change["table"] for change in changes}
        # a table that waits already, and changed again or was only looked at again, is told once
        self._control = [pair for pair in self._control if pair[0] != "wb.reload" or pair[1]["table"] not in names]
        self._control += [("wb.reload", change) for change in changes]
        return [change["table"] for change in changes]

    def take_rules(self, source: RuleSource) -> bool:
        """Note users' rules (and snoozes) that changed; in force, journaled, with the next records. Whether they did.

        Raises:
            SettingsError, LimitError: the folder cannot be read.
        """
        if source.folder is None and not self.rules_kept.in_force:
            return False
        change = self.rules_kept.change_to(source.bundle(read_snoozes(self.home)))
        self._control = [pair for pair in self._control if pair[0] != "wb.rules"]
        if change is not None:
            self._control.append(("wb.rules", change))
        return change is not None

    def declare(self, source: str, masking: str) -> None:
        """Say that a source is read now, and whether its logs can tell masked looks ("known" or "unknown").

        The latter is journaled, once and at each change.
        """
        self.reading.add(source)
        if self.masking.get(source, "known") != masking:
            self.masking[source] = masking
            self._control.append(("wb.source", {"source": source, "masking": masking}))

    def control(self, kind: str, payload: dict[str, Any]) -> None:
        """Journal a control record (`wb.*`) before the next records."""
        self._control.append((kind, payload))

    @property
    def waiting(self) -> bool:
        """Whether control records wait for the next commit."""
        return bool(self._control)

    def take(self, batch: Batch, *, live_now: int | None = None) -> int:
        """Journal a batch durably and step over it.

        Args:
            live_now: the arrival stamp when live (epoch ms); None in a replay.

        Returns:
            The durable height behind it.
        """
        return self.take_all([batch], live_now=live_now)

    def take_all(self, batches: list[Batch], *, live_now: int | None = None) -> int:
        """Journal several batches with one commit (group commit), then step over them."""
        written = [entry for batch in batches if (entry := self._append(batch, live_now)) is not None]
        self._commit([frame for frame, _ in written])
        try:
            for _, table in written:
                if table is not None:
                    self._step(table, self.done)
        except LedgerFull as error:
            self._rebuild(error)
        return self.journal.durable

    def take_asks(self, looks: list[dict[str, Any]], now: int) -> None:
        """As `take_all` for looks that are asked about (`askrecords.look_of`), a third quicker: `now` is their arrival.

        What was decided last goes into the same frame, before them. An id that was here before is left out.
        """
        if any(kind != DECISION for kind, _ in self._control):
            self.tell(now)
        arrival = max(self.arrival, now)
        ids = pa.table({"id": pa.array([look["id"] for look in looks], pa.string())})
        keep = self.seen.filter(DECIDE_SOURCE, ids, np.full(len(looks), arrival, np.int64)).keep
        fresh = [{**look, "arrival": arrival} for look, new in zip(looks, keep.tolist(), strict=True) if new]
        if not fresh:
            return
        told, self._control = self._control, []
        table = table_of([*control_rows(told, arrival, self.journal.height), *fresh])
        frame = Frame(count=table.num_rows, arrival=arrival, payload=pack(table), positions=_NOTHING_MOVED)
        self.journal.append(frame)
        self.arrival = arrival
        self._commit([frame])
        try:
            for _, columns in told:
                self.decisions.obey({"id": columns["decision"]})
            self._step_records(table.slice(len(told)), self.done + len(told))
        except LedgerFull as error:
            self._rebuild(error)

    def _append(self, batch: Batch, live_now: int | None) -> tuple[Frame, pa.Table | None] | None:
        stamped = stamp_arrival(batch.table, self.arrival, live_now=live_now, limits=self.limits)
        batch.table = stamped.table
        batch = batch.refuse(stamped.reasons)
        arrivals = np.asarray(batch.table.column("arrival").combine_chunks())
        judged = self.seen.filter(batch.source, batch.table, arrivals, derived=batch.derived)
        same = int(judged.same.sum())
        if judged.conflict.any():
            batch = batch.refuse(dict.fromkeys(np.flatnonzero(judged.conflict).tolist(), CONFLICT_REASON))
            keep = judged.keep[~judged.conflict]
        else:
            keep = judged.keep
        batch = batch.keep(keep)
        self.arrival = max(self.arrival, stamped.arrival)
        self.counts.duplicates += same
        self.counts.quarantined += len(batch.quarantined)
        self.positions[batch.source] = batch.position
        table = self._with_control(batch.table)
        if table.num_rows == 0 and not batch.quarantined and not same:
            return None
        if not self._seeded and table.num_rows:
            seed_days(self.home, first_sent(table))
            self._seeded = True
        derived = int(batch.derived.sum()) if batch.derived is not None else 0
        moved = {
            "positions": {batch.source: batch.position}, "duplicates": same, "quarantined": len(batch.quarantined),
            "derived": derived == batch.table.num_rows,
        }  # fmt: skip
        frame = Frame(
            count=table.num_rows, arrival=self.arrival, payload=pack(table) if table.num_rows else b"",
            positions=json.dumps(moved).encode(),
            quarantined=pack_lines(to_ndjson(batch.quarantined)) if batch.quarantined else b"",
        )  # fmt: skip
        self.journal.append(frame)
        return frame, table if table.num_rows else None

    def _with_control(self, table: pa.Table) -> pa.Table:
        """The batch with the control records that wait, and those whose time has come."""
        if not table.num_rows or not (self._control or self.timed):
            return table
        last = int(table.column("arrival")[-1].as_py())
        due = [one for one in self.timed if one.arrival <= last]
        self.timed = self.timed[len(due) :]
        told = self.pipeline.book.told
        due = [one for one in due if one.payload.get("id") not in told]
        controls, self._control = self._control, []
        return with_controls(table, controls, due, self.journal.height) if controls or due else table

    def tell_rest(self) -> None:
        """Journal what was to come later than the last record."""
        told = self.pipeline.book.told
        self._control += [(one.kind, one.payload) for one in self.timed if one.payload.get("id") not in told]
        self.timed = []
        self.tell()

    def tell(self, now: int | None = None) -> int:
        """Journal what waits at once, in a frame of its own, and obey it; `now` (epoch ms) is the clock of a live run.

        Returns:
            The durable height behind it.
        """
        if self._control:
            self.arrival = max(self.arrival, now or 0)
            table = control_table(self._control, self.arrival, self.journal.height)
            self._control = []
            frame = Frame(count=table.num_rows, arrival=self.arrival, payload=pack(table), positions=_NOTHING_MOVED)
            self.journal.append(frame)
            self._commit([frame])
            try:
                self._step(table, self.done)
            except LedgerFull as error:
                self._rebuild(error)
        return self.journal.durable

    def _commit(self, frames: list[Frame]) -> None:
        """Make frames durable; a full disk stops everything here until there is room again."""
        while True:
            try:
                self.journal.commit()
            except LedgerFull as error:
                self.on_full(str(error))
                self.clock.sleep(_RETRY_SECONDS)
                for frame in frames:
                    self.journal.append(frame)
            else:
                return

    # -- the step ----------------------------------------------------------------------------------------------

    def _step(self, table: pa.Table, seq: int) -> None:
        for is_control, start, stop in runs_of(table):
            if is_control:
                said = self._obey(
                    table.column("kind")[start].as_py(), table.column("extra")[start].as_py(), seq + start
                )
                self.outputs.say(said)
                self.counts.interventions += len(said)
                if said:
                    self.on_said(said)
                if self.pipeline.book.corrected:
                    self.on_corrected(self.pipeline.book.take_corrected())
            else:
                whole = stop - start == table.num_rows
                self._step_records(table if whole else table.slice(start, stop - start).combine_chunks(), seq + start)
        self.done = seq + table.num_rows

    def _step_records(self, records: pa.Table, seq: int) -> None:
        columns = columns_of(records, seq)
        output = self.pipeline.step(columns)
        labels = self.pipeline.context.labels
        self.outputs.write(columns, output.verdicts, labels, output.interventions, output.findings, output.shadow)
        if output.asked:
            self.decisions.note(output.asked, records)
        self._hear(records, columns.arrival)
        self.counts.add(records, output.verdicts.decision, len(output.interventions))
        self.done = seq + records.num_rows
        self.on_step(columns, output)
        if output.interventions:
            self.on_said(output.interventions)

    def _hear(self, records: pa.Table, arrivals: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        """Note the rhythm of the source (a frame holds one source's records)."""
        source = records.column("source")[0].as_py() if records.num_rows else DECIDE_SOURCE
        if source != DECIDE_SOURCE:  # nobody promised to ask at any hour
            self.heard.setdefault(source, Heard()).hear(arrivals)

    def _obey(self, kind: str, extra: str, seq: int) -> list[dict[str, Any]]:
        """Put a control record into force; the changes of standing that it makes."""
        told = json.loads(extra or "{}")
        if not told:
            return []  # an erased record says nothing
        if kind in SAID:
            return obey_people(self.pipeline, kind, told, seq)
        if kind == DECISION:
            self.decisions.obey(told)
        if kind == "wb.settings":
            before = self.kept.in_force
            settings = self.kept.take(told)
            if before.get("digest") != told["digest"]:
                self.pipeline = self.pipeline.switched(settings)
        elif kind == "wb.rules":
            self.pipeline.rules = ruleset_of(self.rules_kept.take(told), self.pipeline.rules)
        elif kind == "wb.source":
            self.masking[told["source"]] = told["masking"]
        elif kind == "wb.reload":
            change = told
            self.pipeline.apply(change["table"], self.references.take(change["table"], change["digest"]))
        return []

    # -- checkpoints -------------------------------------------------------------------------------------------

    def checkpoint(self, *, wait: bool = True) -> bool:
        """Write the state at the height that is stepped over; `wait` = False writes it beside what goes on.

        False (and said) when the disk did not take it: the journal holds everything, and the next one comes. Without
        waiting that is told the next time, and nothing is done while the last one is still being written.
        """
        if not wait and self._writer.busy:
            return True
        mark = read_mark(self.home) or Mark(0, 0, 0, 0)
        while True:
            try:
                marked = self.outputs.mark(self.done)
            except LedgerFull as error:
                self._rebuild(error)
            else:
                break
        state: dict[str, Any] = self.pipeline.snapshot()
        state |= {f"seen/{key}": value for key, value in self.seen.snapshot().items()}
        state |= {
            "interventions_bytes": marked, "findings_bytes": self.outputs.findings.length,
            "shadow_bytes": self.outputs.shadow.length, "mark": [mark.file, mark.offset, mark.height, mark.arrival], "references": dict(self.references.in_force),
            "positions": self.positions, "masking": self.masking, "settings": self.kept.in_force,
            "arrival": self.arrival, "counts": vars(self.counts),
            "heard": {name: [heard.last, heard.pauses] for name, heard in self.heard.items()},
        }  # fmt: skip
        state |= self.decisions.snapshot()
        if self.rules_kept.in_force:
            state["rules"] = {"in_force": self.rules_kept.in_force, "state": self.pipeline.rules.snapshot()}
        try:
            self._writer.wait()
            self._writer.start(self.home, self.done, state)
            if wait:
                self._writer.wait()
        except OSError as error:
            why = error.strerror or type(error).__name__
            self.on_full(
                f"the disk did not take a checkpoint ({why}); the journal holds everything, the next one comes"
            )
            return False
        return True

    def close(self) -> None:
        """Let go of the home."""
        with suppress(OSError):
            self._writer.wait()
        self.journal.close()


def _derived(part: pa.Table, moved: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
    """Rows whose id was made from their position need no memory; known for a frame as a whole."""
    return np.ones(part.num_rows, np.bool_) if moved.get("derived") else None

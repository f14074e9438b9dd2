"""`watchbill run`: follows its sources until it is stopped; one thread a source, one engine, one commit for what waits.

A batch is acknowledged (an HTTP sender gets its 202) only when its frame is on disk and the step has run over it.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from watchbill.core.errors import LedgerError, LimitError, SettingsError, SourceError, WatchbillError
from watchbill.ledger.sealing import Sealer
from watchbill.runners.clock import Clock, SystemClock
from watchbill.runners.engine import Engine
from watchbill.runners.inbox import take_inbox
from watchbill.runners.local import (
    SEAL_SECONDS_MAX,
    SEGMENT_ROWS,
    Progress,
    check_places,
    keep_current,
    masking_of,
    publish,
)
from watchbill.runners.references import read_folder
from watchbill.runners.witness import Witnessing
from watchbill.sources.base import open_source
from watchbill.sources.http import QueueSource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from watchbill.records.batch import Batch
    from watchbill.runners.config import RunConfig
    from watchbill.sources.base import Source


class Door(Protocol):
    """The HTTP server of the web room, as the runner holds it: `run` blocks, `should_exit` ends it."""

    started: bool
    should_exit: bool

    def run(self) -> None:
        """Serve until told to end."""

    def address(self) -> tuple[str, int]:
        """Host and port, once started."""


_WAIT_SECONDS: Final = 0.2
_INBOX_SECONDS: Final = 1.0
_GROUP_MAX: Final = 64


@dataclass
class _Waiting:
    """A batch between its source's thread and the engine."""

    source: Source
    batch: Batch
    settled: threading.Event = field(default_factory=threading.Event)
    result: int | Exception = 0

    def settle(self, result: int | Exception) -> None:
        """Say the height at which it is durable, or why it is not."""
        self.result = result
        self.settled.set()


class LiveRunner:
    """A running Watchbill. `run` blocks until `stop()`; `address` is where HTTP ingest listens, once it does."""

    def __init__(
        self, config: RunConfig, *, door: Callable[[Sequence[QueueSource], Mapping[str, Any]], Door] | None = None,
        clock: Clock | None = None, progress: Progress | None = None,
    ) -> None:  # fmt: skip
        self.config = config
        self._door = door
        self.clock = clock or SystemClock()
        self.progress = progress or Progress()
        self.sources = [open_source(name, dict(table)) for name, table in config.sources.items()]
        if not self.sources:
            raise SettingsError("there is no source", where="[sources]", todo="add a [sources.NAME] table")
        self.address: tuple[str, int] | None = None
        self.ready = threading.Event()
        self._stop = threading.Event()
        self._queue: queue.Queue[_Waiting] = queue.Queue(_GROUP_MAX)
        self._failed: list[Exception] = []
        self._living = 0
        self._web: Door | None = None

    def stop(self) -> None:
        """Ask for a clean end: what was taken in is committed, a checkpoint written, segments sealed."""
        self._stop.set()

    def run(self) -> dict[str, Any]:
        """Run until stopped, or until every source has ended; the summary.

        Raises:
            LedgerBusy: another process writes the home.
            WatchbillError: a source failed for good (what was taken in stays).
        """
        began = self.clock.monotonic()
        check_places(self.config.home, self.config.home / "out")
        loaded = read_folder(self.config.reference, self.config.engine)
        engine = Engine(self.config.home, self.config.engine, self.clock, limits=self.config.records)
        engine.on_full = self.progress.on_phase
        if engine.journal.repaired:
            self.progress.on_phase(f"repaired on start: {engine.journal.repaired}")
        sealer = Sealer.start(self.config.home, rows_max=SEGMENT_ROWS)
        witness = Witnessing(self.config.home, self.config.witness, self.progress.on_phase)
        threads: list[threading.Thread] = []
        try:
            witness.start()
            self._listen()
            engine.take_tables(loaded)
            engine.take_rules(self.config.rules)
            threads = self._start(engine)
            self._tell(engine)
            self.ready.set()
            self._loop(engine, sealer)
            engine.checkpoint()
        finally:
            self._stop.set()
            if self._web is not None:
                self._web.should_exit = True
            self._settle_rest()
            engine.close()
            report = sealer.finish(SEAL_SECONDS_MAX)
            witness.finish()
        for thread in threads:
            thread.join(timeout=5)
        seconds = self.clock.monotonic() - began
        summary = publish(engine, self.config.home / "out", seconds, report, self.clock.now_ms())
        if self._failed:
            raise self._failed[0]
        return summary

    # -- sources -----------------------------------------------------------------------------------------------

    def _start(self, engine: Engine) -> list[threading.Thread]:
        threads = []
        for source in self.sources:
            engine.declare(source.name, masking_of(source))
            position = engine.positions.get(source.name)
            thread = threading.Thread(
                target=self._pull, args=(source, position), name=f"source-{source.name}", daemon=True
            )
            self._living += 1
            thread.start()
            threads.append(thread)
        return threads

    def _pull(self, source: Source, position: dict[str, Any] | None) -> None:
        try:
            for batch in source.read(position, stop=self._stop.is_set):
                waiting = _Waiting(source, batch)
                self._put(waiting)
                waiting.settled.wait()
                if isinstance(source, QueueSource):
                    source.acknowledge(waiting.result)
                if isinstance(waiting.result, Exception):
                    return
        except WatchbillError as error:
            self._failed.append(error)
            self.progress.on_phase(str(error))
        except Exception as error:  # noqa: BLE001 - a source's bug must not end the others in silence
            self._failed.append(SourceError(f"failed: {type(error).__name__}", where=source.name, todo="see the log"))
        finally:
            self._living -= 1

    def _put(self, waiting: _Waiting) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(waiting, timeout=_WAIT_SECONDS)
            except queue.Full:
                continue
            return
        waiting.settle(ConnectionAbortedError("the runner stopped"))

    # -- the engine --------------------------------------------------------------------------------------------

    def _loop(self, engine: Engine, sealer: Sealer) -> None:
        checkpoint = reload = looked = self.clock.monotonic()
        self._inbox(engine)
        while not self._stop.is_set() and not self.progress.stop():
            group = self._group()
            if group:
                self._take(engine, group)
            elif self._living == 0 and self._queue.empty():
                return
            now = self.clock.monotonic()
            if now - looked > _INBOX_SECONDS:
                looked = now
                self._inbox(engine)
            if now - reload > self.config.reload_seconds:
                reload = now
                self._reload(engine)
                sealer.check()
            if now - checkpoint > self.config.checkpoint_seconds:
                checkpoint = now
                engine.checkpoint()
                self._tell(engine)

    def _inbox(self, engine: Engine) -> None:
        """Put into force what people decided meanwhile."""
        said = take_inbox(engine, self.clock.now_ms())
        for line in said:
            self.progress.on_phase(line)
        if said:
            self._tell(engine)

    def _tell(self, engine: Engine) -> None:
        """Renew what readers ask for: status.json and cases.ndjson. A disk that does not take them stops nothing."""
        try:
            keep_current(engine, self.clock.now_ms())
        except OSError as error:
            self.progress.on_phase(f"status and cases could not be written ({error.strerror})")

    def _group(self) -> list[_Waiting]:
        """What waits now; several sources' batches share one commit."""
        group: list[_Waiting] = []
        try:
            group.append(self._queue.get(timeout=_WAIT_SECONDS))
            while len(group) < _GROUP_MAX:
                group.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return group

    def _take(self, engine: Engine, group: Sequence[_Waiting]) -> None:
        try:
            height = engine.take_all([waiting.batch for waiting in group], live_now=self.clock.now_ms())
        except Exception as error:
            for waiting in group:
                waiting.settle(error)
            raise
        for waiting in group:
            waiting.settle(height)
        self.progress.on_batch(engine, engine.positions)

    def _reload(self, engine: Engine) -> None:
        """Look at the reference and rules folders again; what cannot be read leaves the old in force, and is told."""
        try:
            if engine.take_rules(self.config.rules):
                self.progress.on_phase(
                    "rules changed; in force from the next record (`watchbill rules lint` checks them)"
                )
            for name in engine.reload(self.config.reference):
                self.progress.on_phase(f"reference table {name} changed; in force from the next record")
        except (SettingsError, LimitError, LedgerError) as error:
            self.progress.on_phase(str(error))

    def _settle_rest(self) -> None:
        while True:
            try:
                self._queue.get_nowait().settle(ConnectionAbortedError("the runner stopped"))
            except queue.Empty:
                return

    # -- http --------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        doors = [source for source in self.sources if isinstance(source, QueueSource)]
        if not doors:
            return
        if self._door is None:
            raise SettingsError("nothing serves HTTP here", where="[sources]", todo="use `watchbill run`")
        web = self._web = self._door(doors, self.config.http)
        threading.Thread(target=_serve, args=(web, self._stop.set), name="http", daemon=True).start()
        while not web.started and not self._stop.is_set():
            self.clock.sleep(0.02)
        if not web.started:
            raise SettingsError("cannot listen there", where="[http]", todo="Choose a port that nobody else uses")
        self.address = web.address()
        self.progress.on_phase(f"listening on {self.address[0]}:{self.address[1]}")


def _serve(web: Door, ended: Callable[[], None]) -> None:
    try:
        web.run()
    finally:
        ended()

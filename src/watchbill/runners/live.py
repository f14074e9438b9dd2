"""`watchbill run`: follows its sources until it is stopped; one thread a source, one engine, one commit for what waits.

A batch is acknowledged (an HTTP sender gets its 202) only when its frame is on disk and the step has run over it.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from watchbill.core.errors import LedgerError, LimitError, SettingsError, SourceError, WatchbillError
from watchbill.ledger.sealing import Sealer
from watchbill.runners.acting import open_dispatcher, receivers_of, standing_in
from watchbill.runners.clock import Clock, SystemClock
from watchbill.runners.complaining import Complaining
from watchbill.runners.desk import Desk
from watchbill.runners.engine import Engine
from watchbill.runners.inbox import put, take_inbox
from watchbill.runners.local import (
    SEAL_SECONDS_MAX,
    SEGMENT_ROWS,
    Progress,
    check_places,
    keep_current,
    masking_of,
    publish,
)
from watchbill.runners.presencekeys import PresenceKeys
from watchbill.runners.references import read_folder
from watchbill.runners.warming import settle_down, warm_up
from watchbill.runners.witness import Witnessing
from watchbill.sources.base import open_source
from watchbill.sources.http import QueueSource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from watchbill.records.batch import Batch
    from watchbill.responses.caep import Caep
    from watchbill.runners.config import RunConfig
    from watchbill.runners.desk import Waiting as Asked
    from watchbill.runners.dispatch import Dispatcher
    from watchbill.runners.proving import Proof
    from watchbill.sources.base import Source


class Door(Protocol):
    """The HTTP server of the web room, as the runner holds it: `run` blocks, `should_exit` ends it."""

    started: bool
    should_exit: bool

    def run(self) -> None:
        """Serve until told to end."""

    def address(self) -> tuple[str, int]:
        """Host and port, once started."""


@dataclass(frozen=True)
class PresenceService:
    """Proofs of presence by keys: [presence] of the settings, the home's keys, the way of a proof to the engine, the clock (epoch ms)."""

    table: Mapping[str, Any]
    keys: PresenceKeys
    hand: Callable[[Proof], None]
    now_ms: Callable[[], int]


@dataclass(frozen=True)
class Services:
    """What the HTTP server serves besides ingest; None where settings do not ask for it.

    `receivers`: the actions whose receivers of security events manage their streams here.
    """

    desk: Desk | None = None
    receivers: Sequence[Caep] = ()
    presence: PresenceService | None = None


_WAIT_SECONDS: Final = 0.2
_TELL_SECONDS: Final = 0.02
"""Decisions that nobody's next ask takes along are journaled after so long."""
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
    """A running Watchbill. `run` blocks until `stop()`; `address` is where HTTP listens, once it does.

    `desk` takes asks where the settings have [decisions]; `runners.desk.Calls` asks it from the same process.
    """

    def __init__(
        self, config: RunConfig, *,
        door: Callable[[Sequence[QueueSource], Mapping[str, Any], Services], Door] | None = None,
        clock: Clock | None = None, progress: Progress | None = None,
    ) -> None:  # fmt: skip
        self.config = config
        self._door = door
        self.clock = clock or SystemClock()
        self.progress = progress or Progress()
        self.sources = [open_source(name, dict(table)) for name, table in config.sources.items()]
        self.desk = self._open_desk()
        if not self.sources and self.desk is None:
            raise SettingsError("there is no source", where="[sources]", todo="add a [sources.NAME] table")
        self.address: tuple[str, int] | None = None
        self.ready = threading.Event()
        self._stop, self._proven = threading.Event(), threading.Event()
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(_GROUP_MAX)
        self._failed: list[Exception] = []
        self._living = 0
        self._web: Door | None = None
        self._rise: Callable[[], None] | None = None
        self.dispatcher: Dispatcher | None = None

    def _open_desk(self) -> Desk | None:
        config = self.config
        if config.decisions is None:
            return None
        bridge = config.engine.policy.bridge_url
        return Desk(config.decisions, self._wake, shut=True, bridge=bridge, proving=bool(config.presence))

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
        engine = self._open_engine()
        engine.on_full, engine.cases_url = self._on_full, self.config.cases_url
        if self.desk is not None:  # a process that ended before left decisions to tell
            engine.tell(self.clock.now_ms())
        if engine.journal.repaired:
            self.progress.on_phase(f"repaired on start: {engine.journal.repaired}")
        sealer = Sealer.start(self.config.home, rows_max=SEGMENT_ROWS)
        complaining = Complaining(self.config.home, self.config.complaints_seconds, began)
        witness = Witnessing(self.config.home, self.config.witness, self.progress.on_phase)
        threads: list[threading.Thread] = []
        try:
            witness.start()
            engine.take_tables(loaded)
            engine.take_rules(self.config.rules)
            threads = self._start(engine)
            self._tell(engine)
            self._open_for_asks(engine)
            self._listen()  # whoever is let in is answered from the first moment
            self.ready.set()
            self._loop(engine, sealer, complaining)
            engine.tell(self.clock.now_ms())
            engine.checkpoint()
        finally:
            self._close_doors()
            complaining.end()
            engine.close()
            if self.dispatcher is not None:
                self.dispatcher.stop()
                self.dispatcher.outbox.close()
            report = sealer.finish(SEAL_SECONDS_MAX)
            witness.finish()
        for thread in threads:
            thread.join(timeout=5)
        seconds = self.clock.monotonic() - began
        summary = publish(engine, self.config.home / "out", seconds, report, self.clock.now_ms())
        if self._failed:
            raise self._failed[0]
        return summary

    def _open_engine(self) -> Engine:
        """The engine, with the dispatcher of actions hearing what it says from the first row that recovery makes."""
        config, clock = self.config, self.clock
        dispatcher = self.dispatcher = open_dispatcher(config, clock, self.progress.on_phase)
        if dispatcher is None:
            return Engine(config.home, config.engine, clock, limits=config.records)
        try:
            said = dispatcher.hearer(config.home / "interventions.ndjson")
            engine = Engine(config.home, config.engine, clock, limits=config.records, on_said=said)
        except BaseException:
            dispatcher.outbox.close()
            raise
        said([])
        return engine

    def _open_for_asks(self, engine: Engine) -> None:
        """Actions go out from here on, and decisions may be asked for."""
        if self.dispatcher is not None:
            self.dispatcher.start()
        if self.desk is not None:
            warm_up(engine.pipeline.settings)
            self._rise = settle_down()
            self.desk.shut = False

    def _close_doors(self) -> None:
        """Nobody is let in any more, and whoever waits is told."""
        self._stop.set()
        if self.desk is not None:
            self.desk.shut = True
            self.desk.refuse(self.desk.drain())
        if self._web is not None:
            self._web.should_exit = True
        self._settle_rest()
        if self._rise is not None:
            self._rise()

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

    def _loop(self, engine: Engine, sealer: Sealer, complaining: Complaining) -> None:
        checkpoint = reload = looked = self.clock.monotonic()
        self._inbox(engine)
        while not self._stop.is_set() and not self.progress.stop():
            group = self._group(_TELL_SECONDS if engine.waiting else _WAIT_SECONDS)
            asked = self.desk.drain() if self.desk is not None else []
            if group or asked:
                self._take(engine, group, asked)
            elif self._living == 0 and self._queue.empty() and self.desk is None:
                return
            elif self.desk is not None:
                engine.tell(self.clock.now_ms())
            now = self.clock.monotonic()
            if now - looked > _INBOX_SECONDS or self._proven.is_set():
                looked = now
                self._proven.clear()
                self._inbox(engine)
                if self.dispatcher is not None:
                    self.dispatcher.sweep(standing_in(engine))
            if now - reload > self.config.reload_seconds:
                reload = now
                self._reload(engine)
                sealer.check()
                if said := complaining.turn(now, self.clock.now_ms()):
                    self.progress.on_phase(said)
            if now - checkpoint > self.config.checkpoint_seconds:
                checkpoint = now
                engine.checkpoint(wait=False)
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
            if why := keep_current(engine, self.clock.now_ms()):
                self.progress.on_phase(why)
        except OSError as error:
            self.progress.on_phase(f"status and cases could not be written ({error.strerror})")

    def _wake(self) -> None:
        """Somebody asks: the engine looks at the desk at once (it does anyway when it is busy)."""
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)

    def _on_full(self, why: str) -> None:
        """The disk takes nothing: callers are told at once, until it does again."""
        if self.desk is not None:
            self.desk.shut = True
        self.progress.on_phase(why)

    def _group(self, seconds: float) -> list[_Waiting]:
        """What waits now; several sources' batches share one commit."""
        group: list[_Waiting] = []
        try:
            first = self._queue.get(timeout=seconds)
            while len(group) < _GROUP_MAX:
                if first is not None:
                    group.append(first)
                first = self._queue.get_nowait()
        except queue.Empty:
            pass
        return group

    def _take(self, engine: Engine, group: Sequence[_Waiting], asked: Sequence[Asked] = ()) -> None:
        now = self.clock.now_ms()
        batches, rows = [waiting.batch for waiting in group], dict[str, dict[str, Any]]()
        try:
            if self.desk is not None and asked:
                rows = self.desk.looks(asked, engine, now)
                if rows:
                    engine.take_asks(list(rows.values()), now)
            height = engine.take_all(batches, live_now=now) if batches else 0
        except Exception as error:
            for waiting in group:
                waiting.settle(error)
            if self.desk is not None:
                self.desk.refuse(asked)
            raise
        for waiting in group:
            waiting.settle(height)
        if self.desk is not None:
            self.desk.settle(asked, rows, engine)
            self.desk.shut = False
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
                waiting = self._queue.get_nowait()
            except queue.Empty:
                return
            if waiting is not None:
                waiting.settle(ConnectionAbortedError("the runner stopped"))

    # -- http --------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        doors = [source for source in self.sources if isinstance(source, QueueSource)]
        receivers = receivers_of(self.dispatcher.actions) if self.dispatcher is not None else ()
        presence = self._presence()
        if not doors and self.desk is None and not receivers and presence is None:
            return
        if self._door is None:
            raise SettingsError("nothing serves HTTP here", where="[sources]", todo="use `watchbill run`")
        web = self._web = self._door(doors, self.config.http, Services(self.desk, receivers, presence))
        threading.Thread(target=_serve, args=(web, self._stop.set), name="http", daemon=True).start()
        while not web.started and not self._stop.is_set():
            self.clock.sleep(0.02)
        if not web.started:
            raise SettingsError("cannot listen there", where="[http]", todo="Choose a port that nobody else uses")
        self.address = web.address()
        self.progress.on_phase(f"listening on {self.address[0]}:{self.address[1]}")

    def _presence(self) -> PresenceService | None:
        config = self.config
        if not config.presence:
            return None
        keys = PresenceKeys(config.home)
        return PresenceService(config.presence, keys, self._hand, self.clock.now_ms)

    def _hand(self, proof: Proof) -> None:
        """Leave a proof for the engine, which looks for it at once."""
        put(self.config.home, proof)
        self._proven.set()
        self._wake()


def _serve(web: Door, ended: Callable[[], None]) -> None:
    try:
        web.run()
    finally:
        ended()

"""What every source is: settings, `read(position) -> batches`, and a thread that reads one batch ahead."""

from __future__ import annotations

import importlib
import pkgutil
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from watchbill.core.errors import SettingsError
from watchbill.core.settings import fault_of
from watchbill.records.batch import Batch
from watchbill.records.limits import RecordLimits
from watchbill.records.lines import LongLine
from watchbill.records.mapping import Mapped
from watchbill.records.parse import Parsed, parse_ndjson

BATCH_ROWS = 131_072
STOP_LOOK_SECONDS = 0.1
"""How often a waiting source looks whether it should stop."""


@runtime_checkable
class Source(Protocol):
    """Reads records in order of arrival, from a position that an earlier batch named."""

    name: str

    def read(self, position: Mapping[str, object] | None, *, stop: Callable[[], bool]) -> Iterator[Batch]:
        """Batches after `position` (None = from the beginning) until the source ends or `stop()` says so.

        Raises:
            SourceError: the source cannot be read.
        """


class SourceSettings(BaseModel):
    """What every source may be told; each file of this room adds its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    mapping: str | None = None
    """One SQL SELECT over the view `input` that turns the source's own format into the contract's columns."""
    masking: Literal["known", "unknown"] = "known"
    """`unknown`: the logs cannot tell masked looks from others; such looks count in the upper bound only."""
    limits: RecordLimits = Field(default_factory=RecordLimits)
    batch_rows: int = Field(default=BATCH_ROWS, ge=1, le=4_000_000)


class LineParser:
    """Lines to records: NDJSON in the contract, or the source's own format through its mapping."""

    def __init__(self, name: str, settings: SourceSettings) -> None:
        self.name, self.limits = name, settings.limits
        self.mapped = Mapped(settings.mapping, limits=settings.limits) if settings.mapping else None

    def parse(self, text: bytes, identity: str, first_line: int) -> Parsed:
        """Whole lines, the first of which is `first_line` of `identity`."""
        if self.mapped is not None:
            return self.mapped.lines(text, source=self.name, identity=identity, first_line=first_line)
        return parse_ndjson(text, source=self.name, identity=identity, first_line=first_line, limits=self.limits)


def long_line_reason(line: LongLine, line_bytes_max: int) -> str:
    """Why a line that was streamed past stands in quarantine."""
    return f"line of {line.size} bytes is longer than line_bytes_max = {line_bytes_max}"


class _Module(Protocol):
    Settings: ClassVar[type[SourceSettings]]

    def open_source(self, name: str, settings: SourceSettings) -> Source: ...


def kinds() -> list[str]:
    """The ids of all sources: the files of this folder."""
    package = importlib.import_module("watchbill.sources")
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name != "base")


def load(kind: str) -> _Module:
    """The module of a kind of source: it has `Settings` and `open_source(name, settings)`.

    Raises:
        SettingsError: there is no such kind.
    """
    if kind not in kinds():
        todo = f"Choose one of: {', '.join(kinds())}"
        raise SettingsError("there is no such kind of source", where=f"kind = {kind[:40]!r}", todo=todo)
    module: _Module = importlib.import_module(f"watchbill.sources.{kind}")  # type: ignore[assignment]
    return module


def open_source(name: str, table: Mapping[str, object]) -> Source:
    """The source that a settings table `[sources.NAME]` describes.

    Raises:
        SettingsError: an unknown kind, or a setting that is wrong.
    """
    module = load(str(table.get("kind", "files")))
    try:
        settings = module.Settings.model_validate({"kind": "files", **table})
    except ValidationError as error:
        raise SettingsError(fault_of(error), where=f"[sources.{name}]", todo="See docs/connect-your-logs.md") from None
    return module.open_source(name, settings)


_END = object()


def ahead(
    make: Callable[[Callable[[], bool]], Iterator[Batch]], stop: Callable[[], bool], depth: int = 1
) -> Iterator[Batch]:
    """The batches of `make(stop)`, the next one being read in a thread while the caller works on this one.

    The thread ends when the iterator does, when it raises (the caller gets the error), or when the caller closes this
    generator: then the `stop` that `make` was given turns true.
    """
    waiting: queue.Queue[object] = queue.Queue(maxsize=depth)
    closed = threading.Event()
    batches = make(lambda: closed.is_set() or stop())

    def give(item: object) -> bool:
        while not closed.is_set():
            try:
                waiting.put(item, timeout=STOP_LOOK_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for batch in batches:
                if not give(batch):
                    return
        except BaseException as error:  # noqa: BLE001 - it is raised again in the caller's thread
            give(error)
        else:
            give(_END)

    thread = threading.Thread(target=work, name="watchbill-read-ahead", daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            assert isinstance(item, Batch)  # noqa: S101 - tells the type checker what `give` was given
            yield item
    finally:
        closed.set()
        thread.join(timeout=5.0)


def wait(seconds: float, stop: Callable[[], bool]) -> None:
    """Wait, but end soon after `stop()` turns true."""
    pause = threading.Event()
    while seconds > 0 and not stop():
        pause.wait(min(seconds, STOP_LOOK_SECONDS))
        seconds -= STOP_LOOK_SECONDS

"""Standard input: NDJSON (or lines for a mapping), gzip and zstd told by their first bytes; read once, not resumable."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from watchbill.records.batch import TODO, Batch, Quarantined, cut_raw
from watchbill.records.lines import LineReader, Lines, Readable, decompressed
from watchbill.sources.base import LineParser, Source, SourceSettings, ahead, long_line_reason


class Settings(SourceSettings):
    """`identity` names this input in positions and made ids: give each run its own (a date, say) when ids are absent."""

    kind: str = "stdin"
    identity: str = "stdin"


class StdinSource:
    """Records from a pipe. After a crash the sender has to send again; records with ids are then counted once."""

    def __init__(self, name: str, settings: Settings, stream: Readable | None = None) -> None:
        self.name, self.settings = name, settings
        self._stream = stream
        self._parser = LineParser(name, settings)

    def read(self, position: Mapping[str, object] | None, *, stop: Callable[[], bool]) -> Iterator[Batch]:
        """All of the input; `position` only continues the line numbers, so that made ids stay unique."""
        first = int(str(position["line"])) if position and "line" in position else 1
        return ahead(partial(self._batches, first), stop)

    def _batches(self, first: int, stop: Callable[[], bool]) -> Iterator[Batch]:
        stream = decompressed(self._stream if self._stream is not None else sys.stdin.buffer)
        reader = LineReader(stream, line=first, line_bytes_max=self.settings.limits.line_bytes_max)
        while not stop() and (lines := reader.next()) is not None:
            yield self._batch(lines)
        if (rest := reader.rest()) is not None and not stop():
            yield self._batch(rest, reader.damage)
        elif reader.damage is not None:
            yield self._batch(Lines(b"", reader.line, reader.offset, reader.line), reader.damage)

    def _batch(self, lines: Lines, damage: str | None = None) -> Batch:
        identity, limit = self.settings.identity, self.settings.limits.line_bytes_max
        text = b"" if damage is not None else lines.text
        batch = self._parser.parse(text, identity, lines.first_line).batch(self.name, {"line": lines.end_line})
        for long in lines.long:
            raw = cut_raw(long.head, whole_bytes=long.size)
            where = f"{identity}:{long.number}"
            batch.quarantined.append(Quarantined(self.name, where, long_line_reason(long, limit), TODO, raw))
        if damage is not None:
            todo = "Send the input again, whole; records with ids are counted once"
            where = f"{identity}:{lines.first_line}"
            batch.quarantined.append(Quarantined(self.name, where, damage, todo, cut_raw(lines.text)))
        return batch


def open_source(name: str, settings: SourceSettings) -> Source:
    """The source of this kind."""
    return StdinSource(name, Settings.model_validate(settings.model_dump()))

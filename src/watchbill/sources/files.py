"""Files and folders, read once or followed: NDJSON, CSV, Parquet, Arrow IPC, plain or compressed with gzip or zstd.

A file is known by its beginning (and its inode), not by its name, so a renamed or compressed log goes on where it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa
from pydantic import Field

from watchbill.core.errors import ContractError, LimitError, SourceError
from watchbill.records.batch import TODO, Batch, Quarantined, cut_raw, merge, named
from watchbill.records.columnar import parse_table
from watchbill.records.csvtext import parse_csv, read_header
from watchbill.records.lines import DamagedError, LineReader, Lines, decompressed, pass_over
from watchbill.records.parse import LineOrigin, Parsed
from watchbill.records.typedfiles import (
    FORMATS,
    HEAD_BYTES,
    HEADER_BYTES_MAX,
    beginning,
    decompressed_differs,
    fingerprint,
    first_bytes,
    format_of,
    piece,
    typed_rows,
)
from watchbill.sources.base import LineParser, Source, SourceSettings, ahead, long_line_reason, wait

_MISSING_KEPT = 64
"""Vanished files whose place is remembered: a rotated log may come back under another name."""


_TAIL_BYTES = 512
_REFUSED_WEIGHT = 16
"""A refused record takes as much memory as so many rows: it carries its text."""


class Settings(SourceSettings):
    """Which files, and whether to go on watching them."""

    kind: str = "files"
    paths: list[Path] = Field(min_length=1)
    follow: bool = False
    poll_seconds: float = Field(default=1.0, gt=0, le=3600)
    files_max: int = Field(default=10_000, ge=1)
    unpacked_bytes_max: int = Field(default=1 << 36, ge=1)
    """A compressed Parquet or Arrow file may grow to this on the temporary disk."""


@dataclass
class _Place:
    """How far a file was read: bytes (rows of typed files) and lines; `inode` is device and inode number."""

    offset: int = 0
    line: int = 1
    inode: str = ""
    done: bool = False
    tail: str = ""
    """Length and digest of the text just before `offset`: a file that only begins alike is another file."""

    def saved(self) -> list[object]:
        return [self.offset, self.line, self.inode, self.done, self.tail]

    def read_up_to(self, text: bytes, *, gap: bool) -> None:
        """Remember the end of what was read; nothing new changes nothing, a gap before `offset` forgets."""
        if gap:
            self.tail = ""
        elif text:
            self.tail = f"{len(text[-_TAIL_BYTES:])}:{fingerprint(text[-_TAIL_BYTES:])}"

    def ends_like(self, path: Path) -> bool:
        """Whether the file holds, just before `offset`, what was read there; true when nothing is remembered."""
        size, _, digest = self.tail.partition(":")
        if not size:
            return True
        found = piece(path, self.offset - int(size), self.offset)
        return found is not None and fingerprint(found) == digest


@dataclass(frozen=True)
class _Known:
    """A file as it was last looked at."""

    identity: str
    stat: tuple[int, int]


class FilesSource:
    """Reads files in the order of the arguments, folders by path bytewise."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name, self.settings = name, settings
        self._parser = LineParser(name, settings)
        self._places: dict[str, _Place] = {}
        self._seen: dict[Path, _Known] = {}
        self._noted: set[str] = set()
        self._again: set[str] = set()

    def read(self, position: Mapping[str, object] | None, *, stop: Callable[[], bool]) -> Iterator[Batch]:
        """Batches after `position`; ends after the last file, or only with `stop()` when the files are followed.

        Raises:
            SourceError: a path is not there or cannot be read, or there are too many files.
        """
        saved = position.get("files", {}) if position else {}
        assert isinstance(saved, Mapping)  # noqa: S101 - we wrote it
        self._places = {str(key): _Place(*value) for key, value in saved.items()}
        self._seen, self._noted, self._again = {}, set(), set()
        return ahead(self._batches, stop)

    # --- batches out of pieces ----------------------------------------------------------------------------------------

    def _batches(self, stop: Callable[[], bool]) -> Iterator[Batch]:
        held: list[Batch] = []
        rows = 0
        while True:
            for part in self._scan(stop):
                if not held and part.table.num_rows * 2 >= self.settings.batch_rows:
                    yield part  # large enough: merging copies every column
                    continue
                held.append(part)
                rows += part.table.num_rows + _REFUSED_WEIGHT * len(part.quarantined)
                if rows >= self.settings.batch_rows:
                    yield merge(held)
                    held, rows = [], 0
            if held:
                yield merge(held)
                held, rows = [], 0
            if not self.settings.follow or stop():
                return
            wait(self.settings.poll_seconds, stop)

    def _position(self) -> dict[str, object]:
        return {"files": {key: place.saved() for key, place in self._places.items()}}

    # --- which files --------------------------------------------------------------------------------------------------

    def _paths(self) -> list[Path]:
        found: list[Path] = []
        for path in self.settings.paths:
            if path.is_dir():
                inside = (
                    Path(root) / name
                    for root, folders, names in os.walk(path)
                    if folders.sort() is None
                    for name in names
                )
                shown = [p for p in inside if not any(part.startswith(".") for part in p.relative_to(path).parts)]
                found += sorted(shown, key=os.fsencode)
            elif path.exists() or not self.settings.follow:
                found.append(path)
            if len(found) > self.settings.files_max:
                what = f"more than files_max = {self.settings.files_max} files"
                raise SourceError(what, where=str(path), todo="Name fewer files, or raise files_max")
        return found

    def _scan(self, stop: Callable[[], bool]) -> Iterator[Batch]:
        """One look at every file: what is new in each."""
        paths = self._paths()
        fresh = self._identify(paths)
        for path in paths:
            if stop():
                return
            known = fresh.get(path)
            before = self._seen.get(path)
            if known is None:
                yield from self._unknown(path)
            elif before != known or not self.settings.follow:
                for batch in self._file(path, known, stop):
                    yield named(batch, path.name)
                if known.identity in self._again:
                    self._again.discard(known.identity)
                elif not stop():
                    self._seen[path] = known
        self._forget({known.identity for known in fresh.values()})

    def _forget(self, present: set[str]) -> None:
        missing = [key for key in self._places if key not in present]
        for key in missing[: max(0, len(missing) - _MISSING_KEPT)]:
            del self._places[key]

    def _identify(self, paths: list[Path]) -> dict[Path, _Known]:
        """The identity of each readable file of a known format: first those in their old place, then moved, then new."""
        heads: dict[Path, tuple[str, str, tuple[int, int]]] = {}
        for path in paths:
            if format_of(path) and (head := self._head(path)) is not None:
                heads[path] = head
        found: dict[Path, _Known] = {}
        taken: set[str] = set()
        for exact in (True, False):
            for path, (print_, inode, stat) in heads.items():
                if path in found:
                    continue
                identity = self._match(path, (print_, inode, stat[0]), taken, exact=exact)
                if identity is None and not exact and not self._is_copy(path, print_, taken):
                    identity = self._new_identity(print_)
                if identity is not None:
                    taken.add(identity)
                    self._places.setdefault(identity, _Place()).inode = inode
                    found[path] = _Known(identity, stat)
        return found

    def _match(self, path: Path, head: tuple[str, str, int], taken: set[str], *, exact: bool) -> str | None:
        print_, inode, size = head
        for key, place in self._places.items():
            if key.partition("-")[0] != print_ or key in taken:
                continue
            if exact and (place.inode != inode or (place.offset > size and not place.done)):
                continue
            # the same path and inode is trusted while this process watches it; all else must hold what was read
            if (exact and path in self._seen) or place.ends_like(path):
                return key
        return None

    def _is_copy(self, path: Path, print_: str, taken: set[str]) -> bool:
        """Whether a followed file begins like one that stands elsewhere and is the same up to where that was read.

        That is a log being rotated by copy and truncate: the copy is taken up once the first is cut.
        """
        if not self.settings.follow:
            return False
        for key in taken:
            place = self._places[key]
            other = next((p for p, known in self._seen.items() if known.identity == key), None)
            if key.partition("-")[0] == print_ and other is not None and other != path:
                start = max(0, place.offset - HEAD_BYTES)
                if piece(path, start, place.offset) == piece(other, start, place.offset):
                    return True
        return False

    def _new_identity(self, print_: str) -> str:
        identity, count = print_, 1
        while identity in self._places:
            count += 1
            identity = f"{print_}-{count}"
        return identity

    def _head(self, path: Path) -> tuple[str, str, tuple[int, int]] | None:
        """(fingerprint of its beginning, inode, (size, change time)), or None while nothing can be told."""
        try:
            stat = path.stat()
            inode, size = f"{stat.st_dev}:{stat.st_ino}", (stat.st_size, stat.st_mtime_ns)
            known = self._seen.get(path)
            if known and known.stat == size and self._places.get(known.identity, _Place()).inode == inode:
                return known.identity.partition("-")[0], inode, size
            kind = format_of(path) or ""
            head = beginning(path, kind)
        except FileNotFoundError:
            if self.settings.follow:
                return None
            raise SourceError("there is no such file", where=str(path), todo="Check the path") from None
        except OSError as error:
            raise SourceError(
                f"it cannot be read ({error.strerror})", where=str(path), todo="Check its rights"
            ) from None
        whole = (
            not self.settings.follow
            or head.count(b"\n") >= (2 if kind == "csv" else 1)
            or len(head) >= HEAD_BYTES
            or kind in ("parquet", "arrow")
        )
        if not head or not whole:
            return None
        return fingerprint(head), inode, size

    def _unknown(self, path: Path) -> Iterator[Batch]:
        if format_of(path) or str(path) in self._noted:
            return
        self._noted.add(str(path))
        todo = f"Name it with one of {', '.join(FORMATS)} (and .gz or .zst), or leave it out of the folder"
        yield self._notice(path.name, "its format is not known by its name", todo)

    def _notice(self, where: str, reason: str, todo: str, raw: str = "") -> Batch:
        empty = self._parser.parse(b"", where, 1).batch(self.name, self._position())
        empty.quarantined.append(Quarantined(self.name, where, reason, todo, raw))
        return empty

    # --- one file -----------------------------------------------------------------------------------------------------

    def _file(self, path: Path, known: _Known, stop: Callable[[], bool]) -> Iterator[Batch]:
        place = self._places[known.identity]
        kind = format_of(path) or ""
        try:
            with path.open("rb") as file:
                if place.done and not _grown(file, kind, place):
                    return
                if kind == "lines":
                    yield from self._lines(file, known.identity, place, stop)
                elif kind == "csv":
                    yield from self._csv(path, file, known.identity, place, stop)
                else:
                    yield from self._typed(file, kind, known.identity, place, stop)
        except FileNotFoundError:
            return
        except OSError as error:
            what = f"reading failed ({error.strerror or type(error).__name__})"
            raise SourceError(what, where=str(path), todo="Check the disk, then start again") from None

    def _chunks(
        self, file: IO[bytes], identity: str, place: _Place, stop: Callable[[], bool]
    ) -> Iterator[tuple[Lines, bool, str | None]]:
        """Whole lines from the place on, whether the file ends for good with them, and its damage, if any, then."""
        packed = decompressed_differs(file.read(8))
        file.seek(0 if packed else place.offset)
        stream = decompressed(file) if packed else file
        if packed and not pass_over(stream, place.offset, stop):
            return
        limit = self.settings.limits.line_bytes_max
        reader = LineReader(stream, offset=place.offset, line=place.line, line_bytes_max=limit)
        while not stop() and (lines := reader.next()) is not None:
            yield lines, False, None
        if stop() or (self.settings.follow and not packed):
            return
        if reader.damage is not None and self.settings.follow and self._first_look(identity, reader.offset):
            return
        empty = Lines(b"", reader.line, reader.offset, reader.line)
        yield reader.rest() or empty, True, reader.damage

    def _first_look(self, identity: str, offset: int) -> bool:
        """Whether a followed file is found damaged here for the first time: it may still be being written."""
        key = f"{identity} {offset}"
        if key in self._noted:
            return False
        self._noted.add(key)
        self._again.add(identity)
        return True

    def _lines(self, file: IO[bytes], identity: str, place: _Place, stop: Callable[[], bool]) -> Iterator[Batch]:
        for lines, final, damage in self._chunks(file, identity, place, stop):
            text = b"" if damage else lines.text
            parsed = self._parser.parse(text, identity, lines.first_line)
            place.offset, place.line, place.done = lines.end_offset, lines.end_line, final
            place.read_up_to(text, gap=bool(lines.long or damage))
            yield self._finished(parsed.batch(self.name, self._position()), lines, identity, damage)

    def _finished(self, batch: Batch, lines: Lines, identity: str, damage: str | None) -> Batch:
        """The batch with its long lines and its file's damage in quarantine."""
        for long in lines.long:
            reason = long_line_reason(long, self.settings.limits.line_bytes_max)
            raw = cut_raw(long.head, whole_bytes=long.size)
            batch.quarantined.append(Quarantined(self.name, f"{identity}:{long.number}", reason, TODO, raw))
        if damage is not None:
            todo = "Fetch the file again; the lines before this one are in"
            raw = cut_raw(lines.text)
            batch.quarantined.append(Quarantined(self.name, f"{identity}:{lines.first_line}", damage, todo, raw))
        return batch

    def _csv(
        self, path: Path, file: IO[bytes], identity: str, place: _Place, stop: Callable[[], bool]
    ) -> Iterator[Batch]:
        with path.open("rb") as again:
            header = first_bytes(again, HEADER_BYTES_MAX).partition(b"\n")[0]
        try:
            names = read_header(header)
        except ContractError as error:
            place.done = True
            yield self._notice(f"{identity}:1", error.what, error.todo, cut_raw(header))
            return
        pending = b""
        for lines, final, damage in self._chunks(file, identity, place, stop):
            text = pending + (b"" if damage else lines.text)
            line = place.line
            if place.offset == 0:
                text, line = text.partition(b"\n")[2], line + 1
            batch, taken, after = self._csv_batch(text, names, identity, line, final=final)
            pending = text[taken:]
            place.offset, place.line, place.done = lines.end_offset - len(pending), after, final
            place.read_up_to(text[:taken], gap=bool(lines.long or damage))
            batch.position = self._position()
            yield self._finished(batch, lines, identity, damage)

    def _csv_batch(
        self, text: bytes, names: list[str], identity: str, line: int, *, final: bool
    ) -> tuple[Batch, int, int]:
        """Records of CSV text, the bytes taken, and the number of the line after them."""
        table, origin, refused, taken = parse_csv(
            text, names, source=self.name, identity=identity, first_line=line, final=final, limits=self._parser.limits
        )
        parsed = self._rows(table, identity, line, origin)
        parsed.quarantined = [*refused, *parsed.quarantined]
        return parsed.batch(self.name, {}), min(taken, len(text)), line + text[:taken].count(b"\n")

    def _rows(self, table: pa.Table, identity: str, first: int, origin: LineOrigin | None = None) -> Parsed:
        numbers = None if origin is None else origin.numbers
        mapped = self._parser.mapped
        if mapped is not None:
            return mapped.table(
                table, source=self.name, identity=identity, first_row=first, origin=origin, numbers=numbers
            )
        return parse_table(
            table, source=self.name, identity=identity, first_row=first, limits=self._parser.limits, origin=origin,
            numbers=numbers,
        )  # fmt: skip

    def _typed(
        self, file: IO[bytes], kind: str, identity: str, place: _Place, stop: Callable[[], bool]
    ) -> Iterator[Batch]:
        """Rows of a Parquet or Arrow file; a damaged one gives what it can, then one note."""
        rows_max, bytes_max = self.settings.batch_rows, self.settings.unpacked_bytes_max
        problem = todo = ""
        try:
            for table in typed_rows(file, kind, place.offset, rows_max, bytes_max):
                if stop():
                    return
                parsed = self._rows(table, identity, place.offset + 1)
                place.offset += table.num_rows
                yield parsed.batch(self.name, self._position())
        except (pa.ArrowException, DamagedError, OSError, EOFError):
            problem, todo = f"the {kind} file is damaged", "Fetch the file again; the rows before this one are in"
        except LimitError as error:
            problem, todo = error.what, error.todo
        if problem and self.settings.follow and self._first_look(identity, place.offset):
            return
        place.done = True
        if problem:
            yield self._notice(f"{identity}:{place.offset + 1}", problem, todo)
        else:
            yield self._parser.parse(b"", identity, 1).batch(self.name, self._position())


def open_source(name: str, settings: SourceSettings) -> Source:
    """The source of this kind."""
    if not isinstance(settings, Settings):
        settings = Settings.model_validate(settings.model_dump())
    return FilesSource(name, settings)


def _grown(file: IO[bytes], kind: str, place: _Place) -> bool:
    """Whether a plain text file that was read to its end holds more now."""
    packed = decompressed_differs(file.read(8))
    size = file.seek(0, 2)
    file.seek(0)
    return kind in ("lines", "csv") and not packed and 0 < place.offset < size

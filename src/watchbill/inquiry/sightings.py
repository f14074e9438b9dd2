"""An index of sightings beside the ledger, derived from it: from a customer or a parcel to who saw or held it, without reading records.

What a question costs depends on its hits, not on the records. Runs of sealed segments are sorted arrays that grow by merging eight to
one; what is not sealed is read from the journal. The folder `sightings` of a home can be deleted at any time.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchbill.core.errors import LedgerError
from watchbill.inquiry.controls import Controls, read_controls
from watchbill.inquiry.sightrows import KINDS, NONE, READ, ROW, Sighted, Sightings, distinct, sighted
from watchbill.ledger import files
from watchbill.ledger import manifest as manifests
from watchbill.ledger.canonical import SEQ
from watchbill.ledger.frames import unpack
from watchbill.ledger.journal import read_frames
from watchbill.ledger.reader import Ledger
from watchbill.ledger.segments import open_segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from watchbill.ledger.manifest import Segment

FOLDER: Final = "sightings"
VERSION: Final = 1
FAN_IN: Final = 8
MERGED_MAX: Final = 24_000_000
"""Sightings of one merged run at most: what a merge holds in memory."""
_LIST: Final = "runs.json"
_TODO: Final = "Delete the folder `sightings` of the home; it is made again from the ledger"


@dataclass(frozen=True, slots=True)
class Run:
    """Sightings of the seqs [first, end): `level` merges deep, sightings and distinct keys by kind."""

    first: int
    end: int
    level: int
    counts: dict[str, int]
    keys: dict[str, int]

    @property
    def stem(self) -> str:
        """Name of its files without an ending."""
        return f"{self.first:020d}-{self.end:020d}"


@dataclass(frozen=True)
class Found:
    """Sightings of asked keys: int64[n] which query, uint64[n] value, int64[n] time (epoch ms), uint16[n] fields."""

    query: NDArray[np.int64]
    value: NDArray[np.uint64]
    time: NDArray[np.int64]
    fields: NDArray[np.uint16]


@dataclass(frozen=True)
class _Part:
    """One run as it lies on disk (mapped) or in memory."""

    keys: NDArray[np.uint64]
    rows: NDArray[np.void]
    order: NDArray[np.uint32]
    who: NDArray[np.uint64]
    starts: NDArray[np.int64]


class SightingIndex:
    """The sightings of a home at the height of its opening.

    Attributes:
        height: next seq that is not covered. sightings, distinct_keys: by kind, over all runs (a key in two runs counts twice).
        names: of the sources in the journal's tail; `name_of` knows all.
    """

    def __init__(self, home: Path, height: int, runs: Sequence[Run], tail: Sighted) -> None:
        self.home, self.height, self.runs, self._tail = home, height, tuple(runs), tail
        self._parts: dict[str, list[_Part]] = {}
        self.sightings = {
            kind: sum(run.counts.get(kind, 0) for run in runs) + len(tail.of[kind].keys) for kind in KINDS
        }
        self.distinct_keys = {
            kind: sum(run.keys.get(kind, 0) for run in runs) + len(np.unique(tail.of[kind].keys)) for kind in KINDS
        }

    def parts(self, kind: str) -> list[_Part]:
        """Runs of a kind, opened once."""
        if kind not in self._parts:
            mapped = [_open(self.home, run, kind) for run in self.runs if run.counts.get(kind)]
            self._parts[kind] = [*mapped, _in_memory(self._tail.of[kind])]
        return self._parts[kind]

    def find(self, kind: str, queries: NDArray[np.uint64], before: int | None = None) -> Found:
        """Every sighting of the keys asked, earlier than `before` (epoch milliseconds)."""
        order = np.argsort(queries, kind="stable")
        wanted = queries[order]
        parts: list[tuple[NDArray[np.int64], NDArray[np.void]]] = [(np.zeros(0, np.int64), NONE.rows)]
        for part in self.parts(kind):
            low = np.searchsorted(part.keys, wanted, side="left")
            count = np.searchsorted(part.keys, wanted, side="right") - low
            at = _ranges(low, count)
            rows = np.asarray(part.rows[at])
            parts.append((np.repeat(order, count).astype(np.int64), rows))
        query, rows = np.concatenate([q for q, _ in parts]), np.concatenate([r for _, r in parts])
        if before is not None:
            keep = rows["time"] < before
            query, rows = query[keep], rows[keep]
        return Found(query, rows["value"], rows["time"], rows["fields"])

    def sizes(self, kind: str, values: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Upper bounds on how many different keys each source has (a key in two runs counts twice); int64[n]."""
        out = np.zeros(len(values), np.int64)
        for part in self.parts(kind):
            low, high = _slices(part, values)
            out += high - low
        return out

    def exact_sizes(self, kind: str, values: NDArray[np.uint64], before: int | None, bits: int) -> NDArray[np.int64]:
        """How many different keys each source has, seen before a moment with any of these fields (0: whatever); int64[n]."""
        owner, keys = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
        for part in self.parts(kind):
            low, high = _slices(part, values)
            at = np.asarray(part.order[_ranges(low, high - low)]).astype(np.int64)
            mine = np.repeat(np.arange(len(values)), high - low)
            if before is not None or bits:
                rows = np.asarray(part.rows[at])
                keep = np.ones(len(at), np.bool_) if before is None else rows["time"] < before
                keep &= (rows["fields"] & bits) != 0 if bits else True
                at, mine = at[keep], mine[keep]
            owner.append(mine)
            keys.append(np.asarray(part.keys[at]))
        who, held = np.concatenate(owner), np.concatenate(keys)
        order = np.lexsort((held, who))
        who, held = who[order], held[order]
        new = np.ones(len(who), np.bool_)
        new[1:] = (who[1:] != who[:-1]) | (held[1:] != held[:-1])
        return np.bincount(who[new], minlength=len(values)).astype(np.int64)

    def keys_of(self, kind: str, value: int) -> NDArray[np.uint64]:
        """The different keys of one source, ascending."""
        held = [np.zeros(0, np.uint64)]
        for part in self.parts(kind):
            low, high = _slices(part, np.array([value], np.uint64))
            held.append(np.asarray(part.keys[np.asarray(part.order[int(low[0]) : int(high[0])]).astype(np.int64)]))
        return np.unique(np.concatenate(held))

    def sources(self, kind: str) -> NDArray[np.uint64]:
        """All sources with a sighting of a kind, ascending; uint64[n]."""
        held = [np.asarray(part.who) for part in self.parts(kind)]
        return np.unique(np.concatenate(held)) if held else np.zeros(0, np.uint64)

    def sources_about(self, kind: str) -> int:
        """How many sources a kind has, about: those of its fullest run. Counting them all would cost more than the question."""
        return max((len(part.who) for part in self.parts(kind)), default=0)

    def complaints(self, from_ms: int, to_ms: int) -> pa.Table:
        """Complaints (`COMPLAINTS`) with time in [from_ms, to_ms), epoch milliseconds, in order of seq."""
        held = [*(_kept_table(self.home, run, "complaints") for run in self.runs), self._tail.complaints]
        table = pa.concat_tables(held)
        inside = pc.and_(pc.greater_equal(table.column("time"), from_ms), pc.less(table.column("time"), to_ms))
        return table.filter(inside).sort_by("seq")

    def names(self, values: Iterable[int]) -> dict[int, str]:
        """Names of sources, as "a:ACCOUNT", "d:DEVICE" or "o:OUTLET"."""
        wanted = set(values)
        out = {value: name for value, name in self._tail.names.items() if value in wanted}
        for run in self.runs:
            if not wanted - set(out):
                break
            table = _kept_table(self.home, run, "names")
            keys = table.column("hash").to_numpy()
            left = np.array(sorted(wanted - set(out)), np.uint64)
            at = np.minimum(np.searchsorted(keys, left), max(len(keys) - 1, 0))
            hit = keys[at] == left if len(keys) else np.zeros(len(left), np.bool_)
            found = table.column("name").take(pa.array(at[hit])).to_pylist()
            out.update(zip(left[hit].tolist(), found, strict=True))
        return out


def _ranges(low: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """low[0] .. low[0]+count[0]-1, low[1] ...; int64[sum of count]."""
    total = int(count.sum())
    if not total:
        return np.zeros(0, np.int64)
    ends = np.cumsum(count)
    return np.asarray(np.arange(total) + np.repeat(low - (ends - count), count), np.int64)


def _slices(part: _Part, values: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the sightings of each source lie in `order`: [low, high)."""
    if not len(part.who):
        none = np.zeros(len(values), np.int64)
        return none, none
    at = np.minimum(np.searchsorted(part.who, values), len(part.who) - 1)
    hit = part.who[at] == values
    low = np.where(hit, part.starts[at], 0)
    return low, np.where(hit, part.starts[at + 1], 0)


def _in_memory(held: Sightings) -> _Part:
    order = np.argsort(held.rows["value"], kind="stable").astype(np.uint32)
    who, starts = np.unique(held.rows["value"][order], return_index=True)
    return _Part(held.keys, held.rows, order, who, np.append(starts, len(order)).astype(np.int64))


# --- on disk -----------------------------------------------------------------------------------------------------------

_FILES: Final = ("keys", "rows", "order", "who", "starts")


def _path(home: Path, run: Run, ending: str) -> Path:
    return home / FOLDER / f"{run.stem}.{ending}.npy"


def _open(home: Path, run: Run, kind: str) -> _Part:
    try:
        arrays = [np.load(_path(home, run, f"{kind}.{name}"), mmap_mode="r", allow_pickle=False) for name in _FILES]
    except (OSError, ValueError) as error:
        raise LedgerError("the index of sightings is not whole", where=run.stem, todo=_TODO) from error
    part = _Part(*arrays)
    if not len(part.keys) == len(part.rows) == len(part.order) == run.counts[kind] or part.rows.dtype != ROW:
        raise LedgerError("the index of sightings is not whole", where=run.stem, todo=_TODO)
    return part


def _save(home: Path, run: Run, said: Sighted) -> None:
    for kind in (one for one in KINDS if run.counts[one]):
        part = _in_memory(said.of[kind])
        for name in _FILES:
            _write(_path(home, run, f"{kind}.{name}"), getattr(part, name))
    hashes = np.array(sorted(said.names), np.uint64)
    table = pa.table({"hash": hashes, "name": pa.array([said.names[int(one)] for one in hashes], pa.string())})
    for name, content in (("names", table), ("complaints", said.complaints)):
        path = home / FOLDER / f"{run.stem}.{name}.arrow"
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, content.schema) as writer:
            writer.write_table(content)


def _write(path: Path, array: NDArray[Any]) -> None:
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())


def _kept_table(home: Path, run: Run, name: str) -> pa.Table:
    """The names or the complaints of a run."""
    try:
        with pa.memory_map(str(home / FOLDER / f"{run.stem}.{name}.arrow")) as source:
            return pa.ipc.open_file(source).read_all()
    except (OSError, pa.ArrowException) as error:
        raise LedgerError("the index of sightings is not whole", where=run.stem, todo=_TODO) from error


def _listed(home: Path) -> list[Run]:
    """The runs of the list; none when it is missing, of another version or of another ledger."""
    try:
        said = json.loads((home / FOLDER / _LIST).read_text(encoding="utf-8"))
        if said["version"] != VERSION:
            return []
        return [Run(**one) for one in said["runs"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LedgerError("the index of sightings is not whole", where=_LIST, todo=_TODO) from error


def _list(home: Path, runs: Sequence[Run]) -> None:
    body = json.dumps({"version": VERSION, "runs": [asdict(run) for run in runs]}, separators=(",", ":"))
    files.write_atomic(home / FOLDER / _LIST, body.encode())


# --- making ------------------------------------------------------------------------------------------------------------


def open_sightings(home: Path, tell: Callable[[int, int], None] = lambda _done, _of: None) -> SightingIndex:
    """The index up to the ledger's height; segments sealed since the last time are added first, once each.

    Args:
        tell: called with (segments done, segments to do) while segments are added.

    Raises:
        LedgerError: the ledger or the index is damaged.
    """
    ledger = Ledger(home)
    try:
        controls = read_controls(home, ledger.height)
        runs = _brought_up(home, controls, tell)
        sealed = runs[-1].end if runs else 0
        tail = _all_of(list(_tail(home, sealed, ledger.height)), controls, home)
    except FileNotFoundError as error:
        raise LedgerError("the journal moved on while it was read", todo="Ask again") from error
    return SightingIndex(home, max(ledger.height, sealed), runs, tail)


def _all_of(tables: list[pa.Table], controls: Controls, home: Path) -> Sighted:
    if not tables:
        return Sighted(dict.fromkeys(KINDS, NONE), {})
    names = [name for name in READ if any(name in table.column_names for table in tables)]
    cut = [table.select([name for name in (*names, SEQ) if name in table.column_names]) for table in tables]
    return sighted(pa.concat_tables(cut, promote_options="default"), controls, home)


def _tail(home: Path, after: int, limit: int) -> Iterator[pa.Table]:
    """Records in [after, limit) that stand in the journal."""
    if after >= limit:
        return
    for first, frame in read_frames(home, after):
        if first >= limit:
            return
        if frame.count:
            low, high = max(first, after), min(first + frame.count, limit)
            table = unpack(frame.payload).slice(low - first, high - low)
            yield table.append_column(SEQ, pa.array(np.arange(low, high)))


def _brought_up(home: Path, controls: Controls, tell: Callable[[int, int], None]) -> list[Run]:
    runs, todo = _standing(home)
    if not todo:
        return runs
    files.make_directory(home / FOLDER)
    with _alone(home):
        runs, todo = _standing(home)  # whoever was before us may have added them
        for number, segment in enumerate(todo):
            tell(number, len(todo))
            with open_segment(segment.path(home)) as file:
                columns = [name for name in (*READ, SEQ) if name in file.schema_arrow.names]
                table = file.read(columns=columns, use_threads=False)
            runs.append(_kept(home, segment.first, segment.last + 1, 0, sighted(table, controls, home)))
            runs = _merged(home, runs)
            _list(home, runs)
        _sweep(home, runs)
    return runs


def _standing(home: Path) -> tuple[list[Run], list[Segment]]:
    """(runs that are there, segments that are still to be added)."""
    runs = _listed(home)
    segments = manifests.load(home).segments  # after the list, so that it holds all that the list knows
    ends = {segment.last + 1 for segment in segments}
    if any(run.end not in ends for run in runs):  # of another ledger that stood here before
        runs = []
    done = runs[-1].end if runs else 0
    return runs, [segment for segment in segments if segment.first >= done]


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One process at a time adds; the next one waits."""
    fd = os.open(home / FOLDER / "lock", os.O_RDWR | os.O_CREAT, 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _kept(home: Path, first: int, end: int, level: int, said: Sighted) -> Run:
    counts = {kind: len(said.of[kind].keys) for kind in KINDS}
    keys = {kind: len(np.unique(said.of[kind].keys)) for kind in KINDS}
    run = Run(first, end, level, counts, keys)
    _save(home, run, said)
    return run


def _merged(home: Path, runs: list[Run]) -> list[Run]:
    """While the last eight runs are of one level, and one run of them is not too large, make them one."""
    while len(runs) >= FAN_IN:
        last = runs[-FAN_IN:]
        total = max(sum(run.counts[kind] for run in last) for kind in KINDS)
        if len({run.level for run in last}) > 1 or total > MERGED_MAX:
            break
        of = {}
        for kind in KINDS:
            parts = [_open(home, run, kind) for run in last if run.counts[kind]]
            held = [NONE, *(Sightings(part.keys, part.rows) for part in parts)]
            of[kind] = distinct(np.concatenate([one.keys for one in held]), np.concatenate([one.rows for one in held]))
        names: dict[int, str] = {}
        for run in last:
            table = _kept_table(home, run, "names")
            names.update(zip(table.column("hash").to_pylist(), table.column("name").to_pylist(), strict=True))
        complaints = pa.concat_tables([_kept_table(home, run, "complaints") for run in last])
        said = Sighted(of, names, complaints)
        runs = [*runs[:-FAN_IN], _kept(home, last[0].first, last[-1].end, last[0].level + 1, said)]
    return runs


def _sweep(home: Path, runs: Sequence[Run]) -> None:
    """Drop the files of runs that were merged; a reader that has them mapped keeps them."""
    known = {run.stem for run in runs}
    for path in (home / FOLDER).iterdir():
        if path.name not in {_LIST, "lock"} and path.name.split(".", 1)[0] not in known:
            path.unlink(missing_ok=True)

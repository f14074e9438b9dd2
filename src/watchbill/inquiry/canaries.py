"""Canaries: invented parcels and customers that no honest work leads to, made to look like the carrier's own, placed and recorded.

A look at one alarms (the detector `canary` reads the reference table `canaries`); one in a leaked list is near proof for whoever looked
at it, and says that the whole data went when nobody did. Which numbers are never given out is for the carrier to promise: Watchbill
chooses among those it has never seen, and makes no phone numbers up, since somebody may own them.
"""

from __future__ import annotations

import csv
import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from itertools import count as counting
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchbill.core.errors import LimitError, NotFoundError, SettingsError
from watchbill.core.hashing import hash_column
from watchbill.inquiry.sightings import SightingIndex, open_sightings
from watchbill.inquiry.sightrows import CUSTODY, PHONE, SUBJECT, WAYBILL
from watchbill.ledger import files
from watchbill.ledger import manifest as manifests
from watchbill.ledger.diary import Diary
from watchbill.ledger.keys import named_key
from watchbill.ledger.reader import Ledger
from watchbill.ledger.segments import open_segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BOOK: Final = "canaries.ndjson"
KEY: Final = "canaries"
KINDS: Final = ("waybill", "subject")
MADE_MAX: Final = 10_000
TRIES_A_CANARY: Final = 200
CHANGED: Final = 3
"""Last characters of a real number that differ in a canary made like it: whoever walks a range comes by it."""
DAY_MS: Final = 86_400_000
_ENDING: Final = re.compile(r"[0-9]{3}$|[0-9a-fA-F]{8}$", re.ASCII)
_COLUMNS: Final = ("waybill", "subject", "placed", "note")
_MAKE, _PLACE, _RETIRE = "make", "place", "retire"


@dataclass
class Canary:
    """One canary: kind (waybill, subject), its value, epoch ms at which it was made, placed and retired (None: not yet)."""

    kind: str
    value: str
    made: int
    placed: int | None = None
    retired: int | None = None
    note: str = ""


def book_of(home: Path) -> Diary:
    """The diary of a home's canaries."""
    return Diary(home / BOOK)


def canaries_of(home: Path) -> list[Canary]:
    """All canaries that were ever made, in that order.

    Raises:
        LedgerError: the diary was changed.
    """
    held: dict[str, Canary] = {}
    for entry in book_of(home).entries():
        for value in entry.said["values"]:
            if entry.kind == _MAKE:
                held[value] = Canary(entry.said["kind"], value, entry.time)
            elif value in held and entry.kind == _PLACE:
                held[value].placed, held[value].note, held[value].retired = entry.time, entry.said["note"], None
            elif value in held:
                held[value].retired = entry.time
    return list(held.values())


def make(home: Path, kind: str, number: int, now: int, given: Sequence[str] = ()) -> list[Canary]:
    """Make canaries that look like the waybills or customers of the ledger, or take those `given` (phones that the firm owns).

    Raises:
        SettingsError: customers are known by phone, or one given is real. NotFoundError: the ledger holds none to be like.
        LimitError: too many, or no free number is found.
    """
    if kind not in KINDS or not 0 < max(number, len(given)) <= MADE_MAX:
        raise LimitError(f"make 1 to {MADE_MAX:,} of kind waybill or subject", where="canary make")
    index = open_sightings(home)
    old = {one.value for one in canaries_of(home)}
    made = _taken(index, given, old) if given else _invented(home, index, kind, number, old)
    book_of(home).add(_MAKE, {"kind": kind, "values": made}, now)
    return [Canary(kind, value, now) for value in made]


def _taken(index: SightingIndex, given: Sequence[str], old: set[str]) -> list[str]:
    fresh = list(dict.fromkeys(value.strip() for value in given if value.strip() and value.strip() not in old))
    real = ~_free(index, fresh)
    if not fresh or real.any():
        todo = "Give numbers that no record names"
        raise SettingsError(
            f"{int(real.sum())} of those given are no canaries: records name them", where="--given", todo=todo
        )
    return fresh


def _invented(home: Path, index: SightingIndex, kind: str, number: int, old: set[str]) -> list[str]:
    sample = _sample(home, kind)
    if not sample:
        raise NotFoundError(
            "the ledger holds none to make them like", where="canary make", todo="Replay or run first, or --given"
        )
    if any(re.match(PHONE, value) for value in sample):
        raise SettingsError(
            "customers are known by phone here, and somebody may own a number made up", where="canary make",
            todo="Give numbers that the firm owns with --given FILE",
        )  # fmt: skip
    key, made = named_key(home, KEY), dict[str, None]()
    for turn in counting():
        wanted = number - len(made)
        if wanted <= 0 or turn >= TRIES_A_CANARY:
            break
        tried = [_like(key, sample, f"{kind} {len(old)} {turn} {n}") for n in range(wanted)]
        tried = [value for value in dict.fromkeys(tried) if value not in old and value not in made]
        free = _free(index, tried)
        made.update(dict.fromkeys(value for value, good in zip(tried, free.tolist(), strict=True) if good))
    if len(made) < number:
        raise LimitError("no more free numbers beside the real ones are found", where="canary make", todo="Make fewer")
    return list(made)


def _sample(home: Path, kind: str) -> list[str]:
    """Waybills or customers of late records, but not of the very last: their ranges are given out already."""
    ledger, column = Ledger(home), ("waybill" if kind == "waybill" else "subjects")
    done = [one for one in manifests.load(home).segments if one.last < ledger.height * 3 // 4]
    if done:
        with open_segment(done[-1].path(home)) as file:
            tables = [file.read(columns=[column], use_threads=False)]
    else:
        tables = list(ledger.records([column]))
    values = [pc.list_flatten(table.column(column)) if kind == "subject" else table.column(column) for table in tables]
    held = (
        pc.unique(pa.chunked_array([c for v in values for c in v.chunks], pa.string()))
        if values
        else pa.array([], pa.string())
    )
    return sorted(value for value in held.drop_null().to_pylist() if _ending(value))


def _ending(value: str) -> bool:
    """Whether its last characters are digits, or hexadecimal: then they can be changed and it still looks real."""
    return bool(_ENDING.search(value))


def _like(key: bytes, sample: Sequence[str], salt: str) -> str:
    """A value like one of the sample; nobody without the key can tell which it will be."""
    drawn = int.from_bytes(hmac.digest(key, salt.encode(), "sha256"), "big")
    drawn, at = divmod(drawn, len(sample))
    value = sample[at]
    letters = "0123456789abcdef" if value == value.lower() else "0123456789ABCDEF"
    letters = "0123456789" if value[-CHANGED:].isdigit() else letters
    ending = ""
    for _ in range(CHANGED):
        drawn, digit = divmod(drawn, len(letters))
        ending += letters[digit]
    return value[:-CHANGED] + ending


def _free(index: SightingIndex, values: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which of the values no look and no scan ever named."""
    keys = hash_column(pa.array(values, pa.string()))
    out = np.ones(len(values), np.bool_)
    for kind in (WAYBILL, SUBJECT, CUSTODY):
        out[index.find(kind, keys).query] = False
    return out


# --- the reference table -----------------------------------------------------------------------------------------------


def place(home: Path, folder: Path, now: int, zone: str, note: str = "") -> list[Canary]:
    """Put all that were made and never placed into the reference table of a folder; the engine takes it with its next reload.

    Raises:
        SettingsError: the table cannot be written there. NotFoundError: there is none to place.
    """
    waiting = [one for one in canaries_of(home) if one.placed is None]
    if not waiting:
        raise NotFoundError("no canary waits to be placed", where="canary place", todo="`watchbill canary make` first")
    book_of(home).add(_PLACE, {"values": [one.value for one in waiting], "note": note}, now)
    write_table(home, folder, zone)
    return [one for one in canaries_of(home) if one.placed == now]


def rotate(home: Path, folder: Path, now: int, zone: str, days: int) -> list[Canary]:
    """For every canary placed over so many days ago make and place a new one; the old ones go on alarming until they are retired."""
    held = [one for one in canaries_of(home) if one.placed is not None and one.retired is None]
    old = [one for one in held if one.placed is not None and now - one.placed > days * DAY_MS]
    young = {kind: len([one for one in held if one.kind == kind and one not in old]) for kind in KINDS}
    for kind in KINDS:
        wanted = len([one for one in old if one.kind == kind]) - young[kind]
        if wanted > 0:
            make(home, kind, wanted, now)
    waiting = [one for one in canaries_of(home) if one.placed is None]
    return place(home, folder, now, zone, f"rotated after {days} days") if waiting else []


def retire(home: Path, folder: Path, values: Sequence[str], now: int, zone: str) -> None:
    """Take canaries out of the table, as when a number is given out after all.

    Raises:
        NotFoundError: one is no canary in use.
    """
    used = {one.value for one in canaries_of(home) if one.placed is not None and one.retired is None}
    if set(values) - used or not values:
        raise NotFoundError("that is no canary in use", where="canary retire", todo="`watchbill canary list` has them")
    book_of(home).add(_RETIRE, {"values": list(values)}, now)
    write_table(home, folder, zone)


def write_table(home: Path, folder: Path, zone: str) -> Path:
    """Write `canaries.csv`: ours in use, and the rows there that are not ours.

    Raises:
        SettingsError: the folder is none, or holds the table as Parquet.
    """
    if not folder.is_dir() or (folder / "canaries.parquet").exists():
        raise SettingsError(
            "is no folder with a canaries.csv", where=str(folder), todo="Give the reference folder; keep the table as CSV"
        )  # fmt: skip
    path, ours = folder / "canaries.csv", canaries_of(home)
    known = {one.value for one in ours}
    rows = [row for row in _rows(path) if row[0] not in known and row[1] not in known]
    rows += [
        (one.value, "", _date(one.placed, zone), one.note) if one.kind == "waybill" else ("", one.value, _date(one.placed, zone), one.note)
        for one in ours
        if one.placed is not None and one.retired is None
    ]  # fmt: skip
    files.write_atomic(path, _csv([_COLUMNS, *rows]))
    return path


def _rows(path: Path) -> list[tuple[str, str, str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError("cannot be read as a table", where=path.name, todo="Correct it first") from error
    return [tuple(row.get(name) or "" for name in _COLUMNS) for row in rows]  # type: ignore[misc]  # four columns


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    out: list[str] = []

    class _Sink:
        def write(self, text: str) -> int:
            out.append(text)
            return len(text)

    csv.writer(_Sink(), lineterminator="\n").writerows(rows)
    return "".join(out).encode()


def _date(moment: int | None, zone: str) -> str:
    return datetime.fromtimestamp((moment or 0) / 1000, ZoneInfo(zone)).isoformat()

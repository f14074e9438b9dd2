"""Writes rows in the records contract: NDJSON put together from Arrow strings, or Parquet, or Arrow IPC; nulls are left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from watchbill.core.errors import SettingsError
from watchbill.lab.simulator.rows import APPS, CHANNELS, FIELDSETS, OUTCOMES, REASONS, STATES, Rows
from watchbill.lab.simulator.seeds import I64, mix
from watchbill.records.schema import ASSIGNED_BY_US, KINDS, SCHEMA, STATUSES, TICKET_TYPES

Format = Literal["ndjson", "parquet", "arrow"]
Bools = npt.NDArray[np.bool_]
CHUNK: Final = 131_072
"""Rows put together at a time: bounds memory, and small enough to stay in cache."""
_HEX: Final = np.frombuffer(b"".join(b"%02x" % i for i in range(256)), "S2")


@dataclass(slots=True)
class Names:
    """What the codes in rows stand for in one world."""

    accounts: Sequence[str]
    outlets: Sequence[str]
    devices: Sequence[str]
    ips: Sequence[str]
    base: int
    uuid_ids: bool

    def waybills(self, numbers: I64) -> pa.StringArray:
        """Waybills as strings: YT and 13 digits, or UUIDs."""
        return uuids(numbers, 101) if self.uuid_ids else _prefixed("YT", numbers)

    def subjects(self, numbers: I64) -> pa.StringArray:
        """Customers as strings: C and 11 digits, or UUIDs."""
        return uuids(numbers, 202) if self.uuid_ids else _prefixed("C", numbers)


def uuids(numbers: I64, salt: int) -> pa.StringArray:
    """One UUID-shaped string per number, always the same for the same number."""
    raw = np.empty((len(numbers), 2), ">u8")
    raw[:, 0], raw[:, 1] = mix(numbers, salt), mix(numbers, salt + 1)
    digits = _HEX[raw.view(np.uint8)].view("S1").reshape(len(numbers), 32)
    out = np.full((len(numbers), 36), b"-", "S1")
    for start, stop, at in ((0, 8, 0), (8, 12, 9), (12, 16, 14), (16, 20, 19), (20, 32, 24)):
        out[:, at : at + stop - start] = digits[:, start:stop]
    offsets = pa.py_buffer(np.arange(0, 36 * len(numbers) + 36, 36, dtype=np.int32))
    return pa.StringArray.from_buffers(len(numbers), offsets, pa.py_buffer(np.ascontiguousarray(out)))


def _prefixed(prefix: str, numbers: npt.NDArray[np.generic], suffix: str = "") -> pa.StringArray:
    return pc.binary_join_element_wise(prefix, pc.cast(pa.array(numbers), pa.string()), suffix, "")


def _pool(words: Sequence[str], codes: npt.NDArray[np.int_], before: str = "", after: str = "") -> pa.StringArray:
    """`before` + word + `after` per code, null where the code is negative."""
    return pa.array([f"{before}{w}{after}" for w in words], pa.string()).take(pa.array(codes, mask=codes < 0))


def _spread(where: Bools, build: Callable[[Rows], pa.Array], rows: Rows) -> pa.Array:
    """`build` for the rows of the mask only, null elsewhere."""
    if not where.any():
        return None
    if where.all():
        return build(rows)
    index = np.cumsum(where, dtype=np.int32) - 1
    return build(rows[where]).take(pa.array(index, mask=~where))


def _quote_all(names: Sequence[str]) -> str:
    return "[" + ",".join(f'"{n}"' for n in names) + "]"


_FIELD_JSON: Final = tuple(f'"fields":{_quote_all((*r, *s))},' for r, s in FIELDSETS)
_TWO_SIDED: Final = np.array([bool(r) and bool(s) for r, s in FIELDSETS])


class Writer:
    """Writes one file of records a day.

    Args:
        folder: where the day's files go.
        names: what the codes stand for.
        form: ndjson, parquet or arrow.
    """

    def __init__(self, folder: Path, names: Names, form: Format) -> None:
        if form not in ("ndjson", "parquet", "arrow"):
            raise SettingsError("unknown format", where="format", todo="use ndjson, parquet or arrow")
        self.folder, self.names, self.form = folder, names, form
        self._pools = {
            "account": (names.accounts, 0), "assignee": (names.accounts, 0), "outlet": (names.outlets, 0),
            "next_outlet": (names.outlets, 0), "kind": (KINDS, 0), "app": (APPS, 0), "reason": (REASONS, 0),
            "outcome": (OUTCOMES, 0), "status": (STATUSES, 0), "state": (STATES, 0), "type": (TICKET_TYPES, 0),
            "channel": (CHANNELS, 0), "device": (names.devices, 0), "ip": (names.ips, 0),
        }  # fmt: skip
        self._json: dict[tuple[str, int], pa.StringArray] = {}

    def write(self, stem: str, rows: Rows, ids: I64) -> Path:
        """Write rows (in order of arrival) as `<stem>.<format>`; `ids` are their record numbers."""
        path = self.folder / f"{stem}.{self.form}"
        if self.form == "ndjson":
            with path.open("wb") as file:
                for start in range(0, len(rows), CHUNK):
                    file.write(self._lines(rows[start : start + CHUNK], ids[start : start + CHUNK]))
        elif self.form == "parquet":
            pq.write_table(self.table(rows, ids), path, compression="zstd")
        else:
            table = self.table(rows, ids)
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as out:
                out.write_table(table, max_chunksize=CHUNK)
        return path

    def _word(self, name: str, codes: npt.NDArray[np.int_]) -> pa.StringArray | None:
        """`"name":"word",` per row; the quoted words are made once, not once a row."""
        if (codes < 0).all():
            return None
        words = self._pools[name][0]
        key = (name, len(words))
        if key not in self._json:
            self._json[key] = pa.array([f'"{name}":"{w}",' for w in words], pa.string())
        return self._json[key].take(pa.array(codes, mask=codes < 0))

    def _number(self, name: str, plus: int, rows: Rows) -> pa.StringArray | None:
        def build(part: Rows) -> pa.StringArray:
            return _prefixed(f'"{name}":', part[name].astype(np.int64) + plus, ",")

        return _spread(rows[name] >= 0, build, rows)

    def _text(self, name: str, make: Callable[[I64], pa.StringArray], rows: Rows) -> pa.StringArray | None:
        def build(part: Rows) -> pa.StringArray:
            return pc.binary_join_element_wise(f'"{name}":"', make(part[name]), '",', "")

        return _spread(rows[name] > 0, build, rows)

    def _lines(self, rows: Rows, ids: I64) -> memoryview:
        """The chunk as bytes, one JSON object a line."""
        base = self.names.base
        digits, time = (pc.cast(pa.array(v), pa.string()) for v in (ids, rows["time"] + base))
        looks = rows["outcome"] >= 0
        parts = [
            pc.binary_join_element_wise('{"id":"e', digits, '","time":', time, ",", ""),
            self._number("received", base, rows),
            *(self._word(n, rows[n]) for n in ("account", "device", "ip", "app", "outlet", "next_outlet", "assignee")),
            self._text("session", lambda v: _prefixed("s", v), rows),
            self._text("waybill", self.names.waybills, rows),
            self._text("ticket", lambda v: _prefixed("T", v), rows),
            _spread(rows["subs"][:, 0] > 0, self._subjects_json, rows),
            _spread(looks & (rows["fieldset"] >= 0), lambda p: _pool(_FIELD_JSON, p["fieldset"]), rows),
            _spread(looks & _TWO_SIDED[rows["fieldset"]] & (rows["subs"][:, 1] > 0), self._shown_json, rows),
            _spread(rows["masked"] > 0, lambda p: pa.array(['"masked":true,'] * len(p)), rows),
            *(self._word(n, rows[n]) for n in ("reason", "outcome", "status", "state", "type", "channel")),
            self._number("until", base, rows),
            self._number("results", 0, rows),
            self._number("page", 0, rows),
            pa.array([f'"kind":"{k}"}}\n' for k in KINDS]).take(pa.array(rows["kind"])),
        ]
        found = [p for p in parts if p is not None]
        return _bytes(pc.binary_join_element_wise(*found, "", null_handling="skip"))

    def _subjects_json(self, rows: Rows) -> pa.StringArray:
        parts: list[pa.Array | str] = ['"subjects":["', self.names.subjects(rows["subs"][:, 0]), '"']
        for k in range(1, rows["subs"].shape[1]):
            column = rows["subs"][:, k]
            part = _spread(column > 0, lambda p, k=k: self._more(p["subs"][:, k]), rows)  # type: ignore[misc]
            if part is not None:
                parts.append(part)
        return pc.binary_join_element_wise(*parts, "],", "", null_handling="skip")

    def _more(self, subjects: I64) -> pa.StringArray:
        return pc.binary_join_element_wise(',"', self.names.subjects(subjects), '"', "")

    def _shown_json(self, rows: Rows) -> pa.StringArray:
        left = _pool([f'","fields":{_quote_all(r)}}},{{"subject":"' for r, _ in FIELDSETS], rows["fieldset"])
        right = _pool([f'","fields":{_quote_all(s)}}}],' for _, s in FIELDSETS], rows["fieldset"])
        one, two = self.names.subjects(rows["subs"][:, 0]), self.names.subjects(rows["subs"][:, 1])
        return pc.binary_join_element_wise('"shown":[{"subject":"', one, left, two, right, "")

    def table(self, rows: Rows, ids: I64) -> pa.Table:
        """The rows as a table of the contract's columns (what a sender sends), times as epoch milliseconds."""
        names, base, n = self.names, self.names.base, len(rows)
        columns: dict[str, pa.Array] = {"id": _prefixed("e", ids), "time": pa.array(rows["time"] + base)}
        for name in ("received", "until"):
            columns[name] = pa.array(rows[name] + base, mask=rows[name] < 0)
        for name, (words, _) in self._pools.items():
            columns[name] = _pool(words, rows[name])
        texts = {
            "waybill": names.waybills,
            "session": lambda v: _prefixed("s", v),
            "ticket": lambda v: _prefixed("T", v),
        }
        for name, make in texts.items():
            columns[name] = _spread(rows[name] > 0, lambda p, name=name, make=make: make(p[name]), rows)  # type: ignore[misc]
        for name in ("results", "page"):
            columns[name] = pa.array(rows[name].astype(np.int64), mask=rows[name] < 0)
        columns["masked"] = pa.array(
            rows["masked"] > 0, mask=(rows["outcome"] < 0) | (rows["kind"] == KINDS.index("login"))
        )
        columns["subjects"] = self._subject_lists(rows)
        sets = [[*r, *s] for r, s in FIELDSETS]
        columns["fields"] = pa.array(sets, pa.list_(pa.string())).take(
            pa.array(rows["fieldset"], mask=rows["fieldset"] < 0)
        )
        columns["shown"] = self._shown_lists(rows)
        send = [f for f in SCHEMA if f.name not in ASSIGNED_BY_US]
        filled = [columns.get(f.name) for f in send]
        arrays = [pa.nulls(n, f.type) if c is None else c.cast(f.type) for f, c in zip(send, filled, strict=True)]
        return pa.table(arrays, schema=pa.schema(send))

    def _subject_lists(self, rows: Rows) -> pa.ListArray:
        have = rows["subs"] > 0
        count = have.sum(axis=1)
        offsets = np.concatenate([[0], np.cumsum(count)]).astype(np.int32)
        values = self.names.subjects(rows["subs"][have])
        return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(count == 0))

    def _shown_lists(self, rows: Rows) -> pa.Array:
        two = (rows["outcome"] >= 0) & _TWO_SIDED[rows["fieldset"]] & (rows["subs"][:, 1] > 0)

        def build(part: Rows) -> pa.Array:
            subjects = self.names.subjects(part["subs"][:, :2].ravel())
            sides = pa.array([list(side) for pair in FIELDSETS for side in pair], pa.list_(pa.string()))
            codes = (part["fieldset"].astype(np.int64)[:, None] * 2 + np.array([0, 1])).ravel()
            pairs = pa.StructArray.from_arrays([subjects, sides.take(pa.array(codes))], names=["subject", "fields"])
            return pa.ListArray.from_arrays(pa.array(np.arange(0, 2 * len(part) + 2, 2, dtype=np.int32)), pairs)

        return _spread(two, build, rows)


def _bytes(lines: pa.StringArray) -> memoryview:
    """The characters of a string array, end to end, without a copy."""
    _, offsets, data = lines.buffers()
    ends = np.frombuffer(offsets, np.int32, count=len(lines) + 1, offset=lines.offset * 4)
    return memoryview(data)[int(ends[0]) : int(ends[-1])]

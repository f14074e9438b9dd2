"""From records to sightings: which account was shown which customer or parcel and when, and who had a parcel in hands.

What counts as shown is exactly what `exposed.py` says; scans tell custody. Keys are 64-bit hashes: one wrong match in a list of a
thousand among a hundred million keys has a chance of about one in two hundred million.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchbill.core.hashing import hash_column, hash_text
from watchbill.inquiry.exposed import COLUMNS, conform, expand, exposing
from watchbill.ledger.canonical import SEQ

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from watchbill.inquiry.controls import Controls

READ: Final = tuple(dict.fromkeys([*COLUMNS, "device", "outlet", "assignee", "status"]))
"""Columns of a record that sightings are made of."""
SUBJECT, WAYBILL, CUSTODY, PARCEL, ALIAS = "subject", "waybill", "custody", "parcel", "alias"
KINDS: Final = (SUBJECT, WAYBILL, CUSTODY, PARCEL, ALIAS)
"""What a key is and what it leads to: customer -> who saw; parcel -> who saw; parcel -> who held; customer -> parcels; what a masked
phone leaves -> customers."""
ROW: Final = np.dtype([("value", "<u8"), ("time", "<i8"), ("fields", "<u2")])
"""`value`: whose sighting (`source_hashes`), or the hash led to; `time`: first, epoch milliseconds; `fields`: bits of what was shown."""
ACCOUNT, DEVICE, OUTLET = 0, 1, 2
PREFIX: Final = ("a:", "d:", "o:")
FIELD_BITS: Final = {"name": 1, "phone": 2, "address": 4, "id_number": 8}
OTHER_FIELD: Final = 16
UNKNOWN: Final = 1 << 15
"""The system does not log masking: it may have shown nothing."""
PHONE: Final = r"^(\+?86)?1[0-9]{10}$"
_CLASS: Final = np.uint64(3)


class Sightings(NamedTuple):
    """Sightings of one kind: uint64[n] keys, sorted, and n rows of `ROW`; no key holds a (value, fields) twice."""

    keys: NDArray[np.uint64]
    rows: NDArray[np.void]


NONE: Final = Sightings(np.zeros(0, np.uint64), np.zeros(0, ROW))


def source_hashes(names: pa.Array | pa.ChunkedArray, sort: int) -> NDArray[np.uint64]:
    """Hash of each account, device or outlet; the two low bits say which of them it is; uint64[n], 0 where null."""
    hashes = hash_column(names)
    return np.where(hashes == 0, np.uint64(0), (hashes & ~_CLASS) | np.uint64(sort))


def source_hash(name: str, sort: int) -> int:
    """Hash of one source, as `source_hashes`."""
    return (hash_text(name) & ~3) | sort


def class_of(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """ACCOUNT, DEVICE or OUTLET of each hash."""
    return values & _CLASS


def alias_of(visible: str) -> int:
    """Key of a masked phone by its visible digits, as "138****1234" or "1381234****"."""
    return hash_text(f"~{visible}")


def distinct(keys: NDArray[np.uint64], rows: NDArray[np.void]) -> Sightings:
    """Sort by key and keep the earliest of each (key, value, fields)."""
    present = (keys != 0) & (rows["value"] != 0)
    keys, rows = keys[present], rows[present]
    if not len(keys):
        return NONE
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    again = np.zeros(len(keys), np.bool_)  # keys that stand there more than once: only they are sorted further
    again[1:] = keys[1:] == keys[:-1]
    again[:-1] |= again[1:]
    some = rows[order[again]]
    order[again] = order[again][np.lexsort((some["time"], some["fields"], some["value"], keys[again]))]
    rows = rows[order]
    new = np.ones(len(keys), np.bool_)
    new[1:] = (keys[1:] != keys[:-1]) | (rows["value"][1:] != rows["value"][:-1])
    new[1:] |= rows["fields"][1:] != rows["fields"][:-1]
    return Sightings(keys[new], rows[new])


def rows_of(
    values: NDArray[np.uint64], times: NDArray[np.int64], fields: NDArray[np.uint16] | int = 0
) -> NDArray[np.void]:
    """Rows of `ROW`."""
    out = np.zeros(len(values), ROW)
    out["value"], out["time"], out["fields"] = values, times, fields
    return out


COMPLAINTS: Final = pa.schema(
    [
        pa.field("seq", pa.int64()),
        pa.field("time", pa.int64()),
        pa.field("waybill", pa.string()),
        pa.field("subjects", pa.list_(pa.string())),
    ]
)
"""What is kept of complaints: few, and read whole."""


class Sighted(NamedTuple):
    """All sightings of some records, the names behind the hashes of sources, and the complaints (`COMPLAINTS`) among them."""

    of: dict[str, Sightings]
    names: dict[int, str]
    complaints: pa.Table = COMPLAINTS.empty_table()


def sighted(records: pa.Table, controls: Controls, home: Path) -> Sighted:
    """The sightings of records (columns `READ` and seq; what is missing counts as null)."""
    names: dict[int, str] = {}
    shown = _shown(records, controls, home, names)
    complaints = records.filter(pc.equal(records.column("kind"), "complaint"))
    none = [pa.nulls(complaints.num_rows, field.type) for field in COMPLAINTS]
    columns = [
        complaints.column(f.name) if f.name in complaints.column_names else n
        for f, n in zip(COMPLAINTS, none, strict=True)
    ]
    return Sighted(shown | {CUSTODY: _custody(records, names)}, names, pa.table(columns, schema=COMPLAINTS))


def _shown(records: pa.Table, controls: Controls, home: Path, names: dict[int, str]) -> dict[str, Sightings]:
    whole = conform(records)
    device = records.column("device") if "device" in records.column_names else pa.nulls(records.num_rows, pa.string())
    looks = exposing(whole.append_column("device", device))
    if not looks.num_rows:
        return dict.fromkeys((SUBJECT, WAYBILL, PARCEL, ALIAS), NONE)
    laid = expand(looks.drop_columns(["device"]), controls, home)
    try:
        pairs = _laid(laid.db, "select seq, time, waybill, unknown, subject, fields from pairs", looks)
        bare = _laid(
            laid.db, "select seq, time, waybill, unknown, null::varchar as subject, fields from unresolved", looks
        )
    finally:
        laid.db.close()
    both = pa.concat_tables([pairs, bare])
    who = _sources(both, names)
    times, bits = np.asarray(both.column("time")), _bits(both)
    subjects, waybills = hash_column(both.column("subject")), hash_column(both.column("waybill"))
    return {
        SUBJECT: distinct(subjects, rows_of(who, times, bits)),
        WAYBILL: distinct(waybills, rows_of(who, times, bits)),
        PARCEL: distinct(subjects, rows_of(waybills, times)),
        ALIAS: _aliases(both.column("subject")),
    }  # fmt: skip


def _laid(db: object, sql: str, looks: pa.Table) -> pa.Table:
    """Rows of laid-out looks with account and device of their look; `fields` as one text."""
    table = db.sql(  # type: ignore[attr-defined]  # DuckDB's connection
        f"select seq, time, waybill, unknown, subject, array_to_string(fields, ',') as fields from ({sql})"
    ).to_arrow_table()
    seqs = looks.column(SEQ).to_numpy()
    order = np.argsort(seqs, kind="stable")
    at = order[np.searchsorted(seqs[order], table.column("seq").to_numpy())] if len(seqs) else np.zeros(0, np.int64)
    for name in ("account", "device"):
        table = table.append_column(name, looks.column(name).take(pa.array(at)))
    return table


def _sources(table: pa.Table, names: dict[int, str]) -> NDArray[np.uint64]:
    """The account of each row, else its device; what names neither is nobody's (0)."""
    accounts = source_hashes(table.column("account"), ACCOUNT)
    devices = source_hashes(table.column("device"), DEVICE)
    _note(names, table.column("account"), ACCOUNT)
    _note(names, table.column("device").filter(pa.array(accounts == 0)), DEVICE)
    return np.where(accounts != 0, accounts, devices)


def _note(names: dict[int, str], column: pa.ChunkedArray, sort: int) -> None:
    held = pc.unique(column.drop_null())
    hashes = source_hashes(held, sort).tolist()
    names.update(zip(hashes, (PREFIX[sort] + name for name in held.to_pylist()), strict=True))


def _bits(table: pa.Table) -> NDArray[np.uint16]:
    """Bits of the fields shown; few different lists occur, so each is read once."""
    texts = table.column("fields").fill_null("").combine_chunks()
    encoded = (texts if isinstance(texts, pa.Array) else pa.concat_arrays(texts.chunks)).dictionary_encode()
    each = np.array([bits_of(text.split(",")) for text in encoded.dictionary.to_pylist()] or [0], np.uint16)
    out = each[np.asarray(encoded.indices)] if len(encoded) else np.zeros(0, np.uint16)
    unknown = np.asarray(table.column("unknown").fill_null(False))
    return (out | np.where(unknown, UNKNOWN, 0)).astype(np.uint16)


def bits_of(fields: list[str]) -> int:
    """Bits of field names such as recipient.phone, whichever party they are of."""
    out = 0
    for field in fields:
        if field:
            out |= FIELD_BITS.get(field.rpartition(".")[2], OTHER_FIELD)
    return out


def _aliases(subjects: pa.ChunkedArray) -> Sightings:
    """What is left of phones when the middle or the end is masked -> the customer, where customers are known by phone."""
    held = pc.unique(subjects.drop_null())
    held = held.filter(pc.match_substring_regex(held, PHONE))
    if not len(held):
        return NONE
    digits = pc.utf8_slice_codeunits(held, -11)
    forms = [
        pc.binary_join_element_wise("~", pc.utf8_slice_codeunits(digits, 0, 3), "****", pc.utf8_slice_codeunits(digits, 7), ""),
        pc.binary_join_element_wise("~", pc.utf8_slice_codeunits(digits, 0, 7), "****", ""),
    ]  # fmt: skip
    values, times = hash_column(held), np.zeros(len(held), np.int64)
    keys = np.concatenate([hash_column(form) for form in forms])
    return distinct(keys, rows_of(np.concatenate([values, values]), np.concatenate([times, times])))


def _custody(records: pa.Table, names: dict[int, str]) -> Sightings:
    """Who physically had a parcel: the outlet of a scan, who scanned it, the courier whom it was out with."""
    have = set(records.column_names)
    if not {"waybill", "kind", "time"} <= have:
        return NONE
    scans = records.filter(pc.and_(pc.equal(records.column("kind"), "scan"), pc.is_valid(records.column("waybill"))))
    waybills, times = hash_column(scans.column("waybill")), np.asarray(scans.column("time"))
    parts: list[tuple[NDArray[np.uint64], NDArray[np.void]]] = [(NONE.keys, NONE.rows)]
    for name, sort in (("outlet", OUTLET), ("account", ACCOUNT), ("assignee", ACCOUNT)):
        if name not in have:
            continue
        column = scans.column(name)
        if name == "assignee" and "status" in have:
            out = pc.equal(scans.column("status"), "out_for_delivery")
            column = pc.if_else(pc.fill_null(out, False), column, pa.scalar(None, pa.string()))
        _note(names, column, sort)
        parts.append((waybills, rows_of(source_hashes(column, sort), times)))
    return distinct(np.concatenate([keys for keys, _ in parts]), np.concatenate([rows for _, rows in parts]))

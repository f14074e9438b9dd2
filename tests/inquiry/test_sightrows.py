from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from inquiry.leaks import T0, look, scan
from watchbill.core.hashing import hash_text
from watchbill.inquiry import sightrows
from watchbill.inquiry.controls import Controls
from watchbill.inquiry.sightrows import (
    ACCOUNT,
    ALIAS,
    CUSTODY,
    DEVICE,
    FIELD_BITS,
    OTHER_FIELD,
    OUTLET,
    PARCEL,
    SUBJECT,
    UNKNOWN,
    WAYBILL,
    Sighted,
    alias_of,
    bits_of,
    class_of,
    distinct,
    rows_of,
    sighted,
    source_hash,
    source_hashes,
)
from watchbill.ledger.canonical import SEQ
from watchbill.records.schema import SCHEMA


def seen(tmp_path: Path, rows: list[dict[str, Any]], controls: Controls | None = None) -> Sighted:
    full = [
        {"source": "s", "id": f"i{n}", "time": T0 + n, "arrival": T0 + n, "kind": "view", **row}
        for n, row in enumerate(rows)
    ]
    table = pa.Table.from_pylist(full, schema=SCHEMA).append_column(SEQ, pa.array(np.arange(len(rows))))
    return sighted(table, controls or Controls(), tmp_path)


def of(said: Sighted, kind: str) -> dict[tuple[int, str], tuple[int, int]]:
    """(key, name of the source) -> (time since T0, fields)."""
    keys, rows = said.of[kind]
    return {
        (int(key), said.names[int(row["value"])]): (int(row["time"]) - T0, int(row["fields"]))
        for key, row in zip(keys, rows, strict=True)
    }


def test_a_look_is_a_sighting_of_its_customer_and_of_its_parcel(tmp_path: Path) -> None:
    said = seen(tmp_path, [look("E1", 1), look("E1", 1), look("E2", 1, fields=["sender.name", "x"])])
    customer, parcel = hash_text("C00000000001"), hash_text("YT0000000000001")
    phone, both = FIELD_BITS["phone"], FIELD_BITS["name"] | OTHER_FIELD
    assert of(said, SUBJECT) == {(customer, "a:E1"): (0, phone), (customer, "a:E2"): (2, both)}
    assert of(said, WAYBILL) == {(parcel, "a:E1"): (0, phone), (parcel, "a:E2"): (2, both)}
    keys, rows = said.of[PARCEL]
    assert (keys.tolist(), rows["value"].tolist()) == ([customer], [parcel])


@pytest.mark.parametrize(
    "hidden", [{"masked": True}, {"outcome": "denied"}, {"kind": "scan"}, {"subjects": None, "waybill": None}]
)
def test_what_was_not_shown_is_no_sighting(tmp_path: Path, hidden: dict[str, Any]) -> None:
    said = seen(tmp_path, [look("E1", 1, **hidden)])
    assert not len(said.of[SUBJECT].keys)
    assert not len(said.of[WAYBILL].keys)


def test_a_look_that_lists_nobody_is_a_sighting_of_its_parcel_and_a_device_stands_in(tmp_path: Path) -> None:
    said = seen(tmp_path, [look("E1", 1, subjects=None), look(None, 2, device="PC1"), look(None, 3)])
    assert set(of(said, WAYBILL)) == {(hash_text("YT0000000000001"), "a:E1"), (hash_text("YT0000000000002"), "d:PC1")}
    assert set(of(said, SUBJECT)) == {(hash_text("C00000000002"), "d:PC1")}


def test_unknown_masking_is_marked(tmp_path: Path) -> None:
    controls = Controls(masking={"s": [(-1, True)]})
    assert [fields & UNKNOWN for _, fields in of(seen(tmp_path, [look("E1", 1)], controls), SUBJECT).values()] == [
        UNKNOWN
    ]


def test_custody_is_the_outlet_who_scanned_and_whom_it_is_out_with(tmp_path: Path) -> None:
    out = {"status": "out_for_delivery", "assignee": "E7"}
    said = seen(tmp_path, [scan(1, "O1", "E1"), scan(1, "O1"), scan(1, "O2", assignee="E8"), scan(1, "O2", **out)])
    assert {name for _, name in of(said, CUSTODY)} == {"o:O1", "a:E1", "o:O2", "a:E7"}
    kinds = class_of(said.of[CUSTODY].rows["value"])
    assert sorted(kinds.tolist()) == [ACCOUNT, ACCOUNT, OUTLET, OUTLET]


def test_phones_are_found_by_what_a_mask_leaves(tmp_path: Path) -> None:
    said = seen(tmp_path, [look("E1", 1, subjects=["+8613812345678", "C1"])])
    keys, rows = said.of[ALIAS]
    assert set(keys.tolist()) == {alias_of("138****5678"), alias_of("1381234****")}
    assert set(rows["value"].tolist()) == {hash_text("+8613812345678")}


def test_sources_of_different_kinds_never_meet() -> None:
    assert len({source_hash("X", sort) for sort in (ACCOUNT, DEVICE, OUTLET)}) == 3
    assert source_hashes(pa.array(["X", None]), OUTLET).tolist() == [source_hash("X", OUTLET), 0]
    assert bits_of(["recipient.phone", "sender.phone", ""]) == FIELD_BITS["phone"]


def test_the_earliest_of_each_is_kept_and_nobody_is_dropped() -> None:
    keys = np.array([5, 5, 5, 0, 2], np.uint64)
    rows = rows_of(np.array([1, 1, 0, 1, 9], np.uint64), np.array([30, 20, 1, 1, 7]), 0)
    kept = distinct(keys, rows)
    assert kept.keys.tolist() == [2, 5]
    assert kept.rows["time"].tolist() == [7, 20]
    assert sightrows.distinct(*sightrows.NONE) == sightrows.NONE

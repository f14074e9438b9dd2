from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from watchbill.context.interning import Interner
from watchbill.context.spans import SpanTable, holds
from watchbill.context.static import canary_spans, device_outlets, parcel_spans
from watchbill.context.traces import T_ASSIGNED, T_IN, T_OUT
from watchbill.core.hashing import hash_text, work_key

Tables = Callable[[str, list[dict[str, Any]]], pa.Table]
NEVER = np.iinfo(np.int64).max


def has(spans: SpanTable, owner: str, item: str, tag: int, time: int) -> bool:
    key = work_key(np.uint64(hash_text(owner)), np.uint64(hash_text(item)), tag)
    return bool(holds(spans.cells, np.uint64(key), time, 0, NEVER))


def test_parcels_give_work_to_outlets_and_the_assigned(tables: Tables) -> None:
    row = {
        "waybill": "w",
        "sender": "s",
        "recipient": "r",
        "origin": "north",
        "destination": "south",
        "assigned": "a",
        "from": 10,
        "until": 20,
    }
    spans = parcel_spans(tables("parcels", [row]))
    for item in ("w", "s", "r"):
        assert has(spans, "north", item, T_OUT, 10)
        assert has(spans, "south", item, T_OUT, 19)
        assert has(spans, "south", item, T_IN, 15)
        assert has(spans, "a", item, T_ASSIGNED, 15)
        assert not has(spans, "north", item, T_IN, 15)
        assert not has(spans, "a", item, T_ASSIGNED, 20)  # `until` is excluded
        assert not has(spans, "a", item, T_ASSIGNED, 9)


def test_what_is_absent_gives_nothing(tables: Tables) -> None:
    spans = parcel_spans(tables("parcels", [{"waybill": "w"}]))
    assert spans.count == 0
    for none in (None, tables("parcels", [])):
        assert parcel_spans(none).cells.shape == (1,)
        assert canary_spans(none).cells.shape == (1,)


def test_open_ends_hold_for_ever_and_wide_spans_stay_wide(tables: Tables) -> None:
    rows = [
        {"waybill": "w1", "recipient": "r", "assigned": "a", "from": 5, "until": 100},
        {"waybill": "w2", "recipient": "r", "assigned": "a", "from": 7, "until": 50},
        {"waybill": "w3", "assigned": "a"},
    ]
    spans = parcel_spans(tables("parcels", rows))
    assert has(spans, "a", "r", T_ASSIGNED, 99)
    assert not has(spans, "a", "w2", T_ASSIGNED, 99)
    assert has(spans, "a", "w3", T_ASSIGNED, 10**15)


def test_canaries_count_from_when_they_were_placed(tables: Tables) -> None:
    spans = canary_spans(tables("canaries", [{"waybill": "w", "placed": 10}, {"subject": "s"}]))
    assert not holds(spans.cells, np.uint64(hash_text("w")), 9, 0, NEVER)
    assert holds(spans.cells, np.uint64(hash_text("w")), 10, 0, NEVER)
    assert holds(spans.cells, np.uint64(hash_text("s")), 0, 0, NEVER)


def test_devices_are_known_by_outlet_kind_and_sharing(tables: Tables) -> None:
    outlets = Interner("outlets", 10)
    rows = [
        {"device": "d1", "outlet": "o", "kind": "scanner", "shared": "True"},
        {"device": "d2", "kind": "nonsense"},
        {"device": "d1", "outlet": "p", "kind": "pc", "shared": "no"},
    ]
    found = device_outlets(tables("devices", rows), outlets)
    values = found.get(np.array([hash_text("d1"), hash_text("d2"), hash_text("d3")], np.uint64), default=-99)
    assert values.tolist() == [outlets.find("p") * 16 + 2, -16, -99]
    assert device_outlets(None, outlets).count == 0

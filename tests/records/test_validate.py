"""The contract's rules on columns, and the arrival clock."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchbill.records.limits import DAY_MS, MINUTE_MS, RecordLimits
from watchbill.records.parse import parse_ndjson
from watchbill.records.schema import SCHEMA
from watchbill.records.validate import stamp_arrival

T = 1_760_000_000_000
VIEW = {"time": T, "kind": "view", "account": "E1"}


def reason(record: dict[str, Any], limits: RecordLimits | None = None) -> str:
    text = json.dumps(record).encode()
    parsed = parse_ndjson(text, source="s", identity="f", limits=limits or RecordLimits())
    return parsed.quarantined[0].reason if parsed.quarantined else ""


@pytest.mark.parametrize(
    ("record", "want"),
    [
        (VIEW, ""),
        ({"time": T, "kind": "print", "device": "d"}, ""),
        ({"time": T, "kind": "view"}, "a look needs an account or a device"),
        ({"time": T, "kind": "view", "account": ""}, "a look needs"),
        ({"time": T, "kind": "login", "device": "d"}, "account is missing, which a login needs"),
        ({"time": T, "kind": "complaint"}, ""),
        ({"time": T, "kind": "scan", "waybill": "w", "outlet": "o", "status": "signed"}, ""),
        ({"time": T, "kind": "scan", "outlet": "o", "status": "signed"}, "waybill is missing, which a scan needs"),
        ({"time": T, "kind": "scan", "waybill": "w", "status": "signed"}, "outlet is missing"),
        ({"time": T, "kind": "scan", "waybill": "w", "outlet": "o"}, "status is missing"),
        ({"time": T, "kind": "scan", "waybill": "w", "outlet": "o", "status": "lost"}, "status is none of"),
        ({"time": T, "kind": "ticket", "ticket": "t", "state": "open", "type": "cover", "until": 253402214400000}, ""),
        ({"time": T, "kind": "ticket", "state": "open"}, "ticket is missing"),
        ({"time": T, "kind": "ticket", "ticket": "t"}, "state is missing"),
        ({"time": T, "kind": "ticket", "ticket": "t", "state": "ajar"}, "state is none of"),
        ({"time": T, "kind": "ticket", "ticket": "t", "state": "open", "type": "x"}, "type is none of"),
        ({"time": T, "account": "E"}, "kind is missing"),
        ({"time": T, "kind": "look"}, "kind is none of"),
        ({"time": T, "kind": "wb.verdict"}, "written by Watchbill only"),
        ({"kind": "view", "account": "E"}, "time is missing"),
        (VIEW | {"time": "9999-12-31T00:00:00Z"}, "time is out of range"),
        (VIEW | {"time": 0}, "time is out of range"),
        (VIEW | {"received": 9_000_000_000_000_000}, "received is out of range"),
        (VIEW | {"until": 253402300800000}, "until is out of range"),
        (VIEW | {"outcome": "ok"}, "outcome is none of"),
        (VIEW | {"page": -1}, "page is below zero"),
        (VIEW | {"ip": "10.0.0.1"}, ""),
        (VIEW | {"ip": "2001:db8::1"}, ""),
        (VIEW | {"ip": "::ffff:10.0.0.1"}, ""),
        (VIEW | {"ip": "10.0.0.256"}, "ip is neither"),
        (VIEW | {"ip": "10.0.0"}, "ip is neither"),
        (VIEW | {"ip": "10.0.0.01"}, "ip is neither"),
        (VIEW | {"ip": "10..0.1"}, "ip is neither"),
        (VIEW | {"ip": "1.2.3.4."}, "ip is neither"),
        (VIEW | {"ip": "localhost"}, "ip is neither"),
        (VIEW | {"session": "x" * 4097}, "session is longer than text_bytes_max"),
        (VIEW | {"reason": "x" * 5000}, ""),
        (VIEW | {"reason": "x" * 20_000}, "reason is longer"),
        (VIEW | {"subjects": ["c"] * 10_001}, "subjects has more than list_items_max"),
        (VIEW | {"subjects": ["c", "x" * 5000]}, "an item of subjects is longer"),
        (VIEW | {"shown": [{"subject": "c"}] * 10_001}, "shown has more than"),
        (VIEW | {"shown": [{"subject": "x" * 5000}]}, "an item of shown is longer"),
        (VIEW | {"shown": [{"subject": "c", "fields": ["x" * 5000]}]}, "an item of shown is longer"),
        (VIEW | {"shown": [{"subject": "c", "fields": ["x"] * 10_001}]}, "list_items_max"),
    ],
)
def test_rules(record: dict[str, Any], want: str) -> None:
    found = reason(record)
    assert found.find(want) >= 0 if want else found == ""


def table(times: list[int], received: list[int | None]) -> pa.Table:
    columns: dict[str, Any] = {"time": pa.array(times, pa.int64()), "received": pa.array(received, pa.int64())}
    n = len(times)
    for name in ("source", "id", "kind"):
        columns[name] = ["x"] * n
    columns["arrival"] = pa.array([0] * n, pa.int64())
    return pa.table([columns.get(f.name, pa.nulls(n, f.type)) for f in SCHEMA], names=SCHEMA.names)


def stamp(times: list[int], received: list[int | None], clock: int = 0, live: int | None = None, **limits: Any) -> Any:
    return stamp_arrival(table(times, received), clock, live_now=live, limits=RecordLimits(**limits))


def test_the_clock_never_goes_back() -> None:
    stamped = stamp([T, T - 5, T + 9, T + 1], [None, None, None, T + 20])
    assert stamped.table.column("arrival").to_pylist() == [T, T, T + 9, T + 20]
    assert stamped.arrival == T + 20
    assert not stamped.reasons


def test_a_jump_is_refused_and_does_not_move_the_clock() -> None:
    far = T + 8 * DAY_MS
    stamped = stamp([T, far, T + 1], [None, None, None])
    assert list(stamped.reasons) == [1]
    assert "jumps over 7 days" in stamped.reasons[1]
    assert stamped.table.column("arrival").to_pylist()[2] == T + 1
    assert stamp([T, far], [None, None], allow_jump=True).arrival == far
    assert stamp([far], [None]).arrival == far
    assert stamp([far], [None], clock=T).arrival == T


def test_time_ahead_of_arrival_is_refused() -> None:
    stamped = stamp([T, T + 6 * MINUTE_MS, T + 4 * MINUTE_MS], [T, T, T])
    assert list(stamped.reasons) == [1]
    assert "5 minutes later" in stamped.reasons[1]
    assert not stamp([T + 6 * MINUTE_MS], [T], allow_ahead=True).reasons


def test_live_the_machines_clock_counts() -> None:
    stamped = stamp([T, T + 10 * MINUTE_MS], [None, None], clock=T - 20 * DAY_MS, live=T)
    assert stamped.table.column("arrival").to_pylist() == [T, T]
    assert list(stamped.reasons) == [1]
    assert stamp([T], [None], clock=T + 5, live=T).arrival == T + 5


times = st.integers(T, T + 20 * DAY_MS)


@settings(deadline=None)
@given(st.lists(st.tuples(times, st.none() | times), max_size=12), st.integers(0, 12))
def test_cuts_change_nothing(rows: list[tuple[int, int | None]], cut: int) -> None:
    t, r = [a for a, _ in rows], [b for _, b in rows]
    whole = stamp(t, r)
    first = stamp(t[:cut], r[:cut])
    second = stamp(t[cut:], r[cut:], clock=first.arrival)
    assert whole.arrival == second.arrival
    assert whole.reasons == first.reasons | {row + min(cut, len(t)): why for row, why in second.reasons.items()}
    both = first.table.column("arrival").to_pylist() + second.table.column("arrival").to_pylist()
    assert whole.table.column("arrival").to_pylist() == both
    kept = [a for i, a in enumerate(both) if i not in whole.reasons]
    assert kept == sorted(kept)
    assert np.all(np.diff(kept) <= 7 * DAY_MS)

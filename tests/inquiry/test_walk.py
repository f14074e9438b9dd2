from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from watchbill.context.roster import ENDED, UNKNOWN
from watchbill.core.settings import Settings
from watchbill.inquiry.walk import HABITS, Walk
from watchbill.records.columns import columns_of
from watchbill.records.schema import SCHEMA

T0 = 1_741_060_800_000  # 2025-03-04 12:00 in Shanghai
HOUR = 3_600_000
NETWORKS = pa.table({
    "network": ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"], "place": ["上海", "广州", "4g"], "lat": [31.2, 23.1, 40.0],
    "lon": [121.5, 113.3, 90.0], "kind": ["office", "office", "mobile"],
})  # fmt: skip


def walked(rows: list[dict[str, Any]], cuts: tuple[int, ...] = (), **tables: pa.Table) -> Walk:
    full = [
        {
            "source": "s",
            "id": str(n),
            "kind": "view",
            "account": "E1",
            "waybill": f"W{n}",
            "time": T0 + n,
            "arrival": T0 + n,
            **row,
        }
        for n, row in enumerate(rows)
    ]
    walk = Walk(Settings(), tables)
    edges = [0, *cuts, len(full)]
    for start, stop in pairwise(edges):
        walk.take(columns_of(pa.Table.from_pylist(full[start:stop], schema=SCHEMA), start))
    return walk


def habit(walk: Walk, account: str) -> np.void:
    return walk.habits[walk.context.accounts.find(account)]


def roster(until: int | None) -> pa.Table:
    row = {
        "account": "E1",
        "outlet": "A",
        "person": "p",
        "role": "courier",
        "from": 0,
        "until": until,
        "supervisor": None,
        "employment": None,
    }
    kinds = {"from": pa.int64(), "until": pa.int64()}
    return pa.table({name: pa.array([value], kinds.get(name, pa.string())) for name, value in row.items()})


def test_explained_looks_are_counted_by_account() -> None:
    scans = [{"kind": "scan", "outlet": "A", "waybill": f"X{n}", "status": "arrived"} for n in range(3)]
    looks = [{"waybill": f"X{n}"} for n in range(3)] + [{"waybill": "elsewhere"}, {"waybill": "X0", "masked": True}]
    mine = habit(walked(scans + looks, accounts=roster(None)), "E1")
    assert (mine["looks"], mine["first"], mine["explained"], mine["days"]) == (5, 4, 3, 1)


def test_reasons_that_come_late_and_hours_of_far_too_many_looks_are_counted() -> None:
    late = [
        {"waybill": "L1"},
        {"kind": "scan", "outlet": "A", "waybill": "L1", "status": "arrived", "arrival": T0 + 60_000, "time": T0 - 1},
    ]
    assert habit(walked(late, accounts=roster(None)), "E1")["late"] == 1
    rows = [
        {"waybill": f"V{hour}-{n}", "time": T0 + hour * HOUR + n * 500, "arrival": T0 + hour * HOUR + n * 500}
        for hour in (0, 3, 6) for n in range(900)
    ]  # fmt: skip
    assert habit(walked(rows, accounts=roster(None)), "E1")["volume_hours"] >= 2


def test_roster_status_by_day() -> None:
    rows = [{"time": T0 + n * 24 * HOUR, "arrival": T0 + n * 24 * HOUR} for n in range(4)] + [
        {"account": "E2", "arrival": T0 + 96 * HOUR}
    ]
    walk = walked(rows, accounts=roster(T0 + 36 * HOUR))
    mine, stranger = habit(walk, "E1"), habit(walk, "E2")
    assert mine["status"].tolist() == [2, 0, 2, 0]
    assert mine["from_day"][ENDED] - mine["to_day"][0] == 1
    assert mine["days"] == 4
    assert stranger["status"][UNKNOWN] == 1


@pytest.mark.parametrize(
    ("second", "found"),
    [
        ({"ip": "10.2.0.1", "device": "D2"}, True),
        ({"ip": "10.2.0.1", "device": "D1"}, False),  # one device in two places is a journey, no shared number
        ({"ip": "10.1.0.9", "device": "D2"}, False),
        ({"ip": "10.3.0.1", "device": "D2"}, False),  # a carrier's address says nothing about the place
        ({"ip": "10.2.0.1", "device": "D2", "time": T0 + 5 * HOUR, "arrival": T0 + 5 * HOUR}, False),
        ({"ip": "10.2.0.1", "device": "D2", "account": "E2"}, False),
    ],
)
def test_two_devices_far_apart_at_once(second: dict[str, Any], found: bool) -> None:
    walk = walked([{"ip": "10.1.0.1", "device": "D1"}, second], networks=NETWORKS)
    assert walk.apart(50.0) == ([walk.context.accounts.find("E1")] if found else [])
    assert walk.places == [2, 2]


def test_cuts_change_nothing() -> None:
    rows = [
        {"account": f"E{n % 5}", "waybill": f"W{n % 40}", "time": T0 + n * 200_000, "arrival": T0 + n * 200_000}
        for n in range(300)
    ]
    whole, parts = walked(rows), walked(rows, cuts=(1, 7, 100, 101, 250))
    for name in HABITS.names or ():
        assert np.array_equal(whole.habits[name][:5], parts.habits[name][:5]), name

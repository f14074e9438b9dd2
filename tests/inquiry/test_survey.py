from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from watchbill.inquiry.survey import Join, Keys, Survey
from watchbill.records.batch import Quarantined
from watchbill.records.columns import Columns, columns_of
from watchbill.records.schema import SCHEMA


def columns(rows: list[dict[str, Any]]) -> Columns:
    full = [{"source": "s", "id": str(n), "time": 10 + n, "arrival": 10 + n, **row} for n, row in enumerate(rows)]
    return columns_of(pa.Table.from_pylist(full, schema=SCHEMA), 0)


ROWS = [
    {"kind": "scan", "waybill": "W1", "outlet": "A", "assignee": "E1"},
    {"kind": "ticket", "waybill": "W2", "ticket": "T1"},
    {"kind": "view", "account": "E1", "waybill": "W1", "device": "D1", "ticket": "T1", "subjects": ["c"]},
    {"kind": "view", "account": "E1", "waybill": "W2", "device": "D2", "ticket": "T9", "subjects": []},
    {"kind": "view", "account": "E1"},
]


def test_fields_and_joins() -> None:
    survey = Survey()
    survey.take(columns(ROWS))
    assert survey.by_kind() == {"view": 3, "scan": 1, "ticket": 1}
    assert survey.looks == 3
    view = survey.fields()["view"]
    assert (view["account"], view["waybill"], view["subjects"]) == (1.0, 0.6667, 0.3333)
    assert survey.has("device")
    assert not survey.has("ip")
    joins = {
        one.join: (one.of, one.found, one.missing) for one in survey.joins({"devices": pa.table({"device": ["D1"]})})
    }
    assert joins["looks' parcels among scans"] == (2, 1, "")
    assert joins["looks' parcels among tickets"] == (2, 1, "")
    assert joins["work orders that looks name among the tickets"] == (2, 1, "")
    assert joins["devices of looks and logins in the devices table"] == (2, 1, "")
    assert joins["outlets of scans in the outlets table"] == (1, 0, "no outlets table")


def test_what_was_not_tried_has_no_share() -> None:
    assert Join("a", 4, 1).share == 0.25
    assert Join("a", 0, 0).share is None
    assert Join("a", 4, 0, "no table").share is None


def test_clocks() -> None:
    survey = Survey()
    survey.take(
        columns(
            [
                {"kind": "view", "time": 100},
                {"kind": "view", "time": 50},
                {"kind": "view", "time": 120, "arrival": 4_000_000},
            ]
        )
    )
    survey.take(
        columns([{"kind": "view", "time": 110, "received": 130}, {"kind": "view", "time": 40, "received": 125}])
    )
    assert survey.clock() == {"over_an_hour_late": 1, "latest_ms": 3_999_880, "order_goes_back": 2}
    assert (survey.first, survey.last) == (40, 120)


def test_like_reasons_stand_together() -> None:
    survey = Survey()
    survey.refuse(Quarantined("s", "p", f"line of {n} bytes is longer", "", "") for n in range(5))
    assert survey.reasons == {"line of N bytes is longer": 5}


def test_keys_pass_over_what_is_absent() -> None:
    keys = Keys()
    keys.add(np.array([0, 3, 3], np.uint64), distinct=True)
    keys.add(np.array([3, 0, 4], np.uint64), distinct=False)
    assert keys.all().tolist() == [3, 3, 4]


@given(st.integers(0, 5))
def test_cuts_change_nothing(cut: int) -> None:
    whole, parts = Survey(), Survey()
    whole.take(columns(ROWS))
    parts.take(columns(ROWS).cut(0, cut))
    parts.take(columns(ROWS).cut(cut, 5))
    assert whole.fields() == parts.fields()
    assert whole.joins({}) == parts.joins({})
    assert whole.clock() == parts.clock()

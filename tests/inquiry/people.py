"""Looks of a made-up owner and of somebody else, for the tests of who sat there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from watchbill.inquiry.inforce import FOREVER, Device, InForce, Post
from watchbill.inquiry.sessions import Activity, activity_of
from watchbill.ledger.canonical import SEQ
from watchbill.records.schema import SCHEMA

DAY = 86_400_000
T0 = 20_150 * DAY  # midnight UTC
NOTHING = (np.zeros(0, np.int64), np.zeros(0, np.bool_))


def look(time: int, **said: Any) -> dict[str, Any]:
    """One look of E1."""
    row = {
        "kind": "view",
        "account": "E1",
        "time": time,
        "app": "handset",
        "fields": ["recipient.phone"],
        "outcome": "success",
    }
    return {"source": "s", "id": f"i{time}", "arrival": time, **row, **said}


def owner_days(days: int, *, device: str = "H1", looks: int = 12) -> list[dict[str, Any]]:
    """Looks of mornings and afternoons, minutes apart, each followed by the owner's own scan of the parcel."""
    rows = []
    for day in range(days):
        for k in range(looks):
            time = T0 + day * DAY + 9 * 3_600_000 + (k * 37 + (k * k * 13) % 29) * 60_000
            waybill = f"W{day * 7919 + k * 1013}"
            said = {"session": f"own{day}", "device": device, "ip": "10.0.0.1", "waybill": waybill}
            rows += [look(time, **said), look(time + 600_000, kind="scan", waybill=waybill, id=f"s{time}")]
    return rows


def foreign(
    day: int, *, session: str = "other", device: str = "X9", looks: int = 80, hour: float = 20
) -> list[dict[str, Any]]:
    """A sitting that walks waybills, seconds apart, from another device and address; no work follows."""
    start = T0 + day * DAY + int(hour * 3_600_000)
    said = {"session": session, "device": device, "ip": "99.0.0.7", "kind": "search", "app": "counter"}
    return [look(start + k * 5_000, waybill=f"W{900_000 + k}", **said) for k in range(looks)]


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    """Records with their seq, in the order given."""
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    return table.append_column(SEQ, pa.array(np.arange(table.num_rows)))


def activity(rows: list[dict[str, Any]], *, bare: str = "X9") -> Activity:
    """The activity of E1; looks of the device `bare` are unexplained, the others explained."""
    table = table_of(rows)
    seqs = table.column(SEQ).to_numpy()
    explained = np.array([row["device"] != bare for row in table.to_pylist()])
    return activity_of("E1", table, (seqs, explained))


def tables(*, persons: int = 1, shared: bool = False) -> InForce:
    """E1 is a courier of outlet O1 whose handset H1 is registered there."""
    posts = [Post(f"P{k}", "courier", "O1", 0, FOREVER) for k in range(persons)]
    return InForce(posts={"E1": posts}, devices={"H1": Device("O1", "handset", shared)}, outlets={"O1": (31.2, 121.5)})

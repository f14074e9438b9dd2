"""Which parcels are an account's to deliver at a moment: assigned by scans, not yet delivered, signed for or gone elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from watchbill.ledger.canonical import SEQ
from watchbill.ledger.reader import Span

if TYPE_CHECKING:
    from watchbill.ledger.reader import Ledger

DAYS: Final = 3
"""How long ago a parcel may have been assigned."""
OVER: Final = frozenset(
    {"delivered", "held_at_station", "signed", "returning", "rerouted", "refused", "cancelled", "departed"}
)
"""Statuses after which a parcel is nobody's to deliver, until it is assigned anew."""
_DAY_MS: Final = 86_400_000
_COLUMNS: Final = ("kind", "time", "waybill", "status", "account", "assignee")


def assigned_parcels(ledger: Ledger, account: str, now: int) -> list[str]:
    """Waybills of the account at `now` (epoch ms), sorted; what is later in the ledger is not yet known then."""
    parts = [
        _scans(part, account)
        for part in ledger.records([*_COLUMNS], Span(None, now - DAYS * _DAY_MS, now + 1))
        if part.num_rows
    ]
    given = {row["waybill"] for part in parts for row in part.to_pylist()}
    if not given:
        return []
    found = ledger.find_all("waybill", sorted(given)).to_pylist()
    last: dict[str, str | None] = {}
    for row in sorted((row for row in found if row["kind"] == "scan" and row["time"] <= now), key=_order):
        last[row["waybill"]] = _holder(row, last.get(row["waybill"]))
    return sorted(waybill for waybill, who in last.items() if who == account)


def _scans(part: pa.Table, account: str) -> pa.Table:
    """Scans that gave the account a parcel."""
    named = pc.equal(part.column("assignee"), account)
    took = pc.and_(pc.equal(part.column("status"), "out_for_delivery"), pc.equal(part.column("account"), account))
    mine = pc.or_(pc.fill_null(named, False), pc.fill_null(took, False))
    return part.filter(pc.and_(mine, pc.equal(part.column("kind"), "scan")))


def _holder(row: dict[str, Any], before: str | None) -> str | None:
    """Whose the parcel is after a scan."""
    if row["assignee"]:
        return str(row["assignee"])
    if row["status"] == "out_for_delivery" and row["account"]:
        return str(row["account"])
    return None if row["status"] in OVER else before


def _order(row: dict[str, Any]) -> tuple[int, int]:
    return int(row["time"]), int(row[SEQ])

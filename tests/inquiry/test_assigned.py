"""Whose a parcel is to deliver at a moment, from the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runners.test_engine import START, batch, engine
from watchbill.inquiry.assigned import assigned_parcels
from watchbill.ledger.reader import Ledger

MINUTE, DAY = 60_000, 86_400_000


def scan(minute: float, waybill: str, status: str, **more: Any) -> dict[str, Any]:
    """A scan that minute."""
    time = START + int(minute * MINUTE)
    given = {
        "id": f"s{minute}-{waybill}-{status}",
        "kind": "scan",
        "time": time,
        "waybill": waybill,
        "status": status,
        "outlet": "O1",
    }
    return given | more


SCANS = [
    scan(0, "W1", "arrived", assignee="a1"),
    scan(1, "W2", "out_for_delivery", account="a1"),
    scan(2, "W3", "out_for_delivery", account="a1"),
    scan(3, "W3", "delivered", account="a1"),
    scan(4, "W4", "out_for_delivery", account="a1"),
    scan(5, "W4", "arrived", assignee="a2"),
    scan(6, "W5", "out_for_delivery", account="a2"),
    scan(7, "W6", "out_for_delivery", account="a1"),
    scan(8, "W6", "problem", account="a1"),
    scan(9, "W7", "refused", account="a1"),
    scan(10, "W7", "out_for_delivery", account="a1"),
]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = engine(tmp_path)
    made.take(batch(*SCANS))
    made.close()
    return Ledger(tmp_path)


def test_what_is_given_and_not_over_is_the_account_s(ledger: Ledger) -> None:
    assert assigned_parcels(ledger, "a1", START + 60 * MINUTE) == ["W1", "W2", "W6", "W7"]
    assert assigned_parcels(ledger, "a2", START + 60 * MINUTE) == ["W4", "W5"]
    assert assigned_parcels(ledger, "nobody", START + 60 * MINUTE) == []


def test_what_comes_later_is_not_known_yet_and_what_is_old_is_forgotten(ledger: Ledger) -> None:
    assert assigned_parcels(ledger, "a1", START + 2 * MINUTE) == ["W1", "W2", "W3"]
    assert assigned_parcels(ledger, "a1", START - 1) == []
    assert assigned_parcels(ledger, "a1", START + 4 * DAY) == []

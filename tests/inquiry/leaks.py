"""A small carrier in a ledger, for the tests of attribution: who was shown whom, who had which parcel in hands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from watchbill.inquiry.leaklist import Item
from watchbill.ledger.frames import Frame, pack
from watchbill.ledger.journal import Journal
from watchbill.ledger.sealing import seal
from watchbill.records.schema import SCHEMA

T0 = 1_740_931_200_000
PHONE = ["recipient.phone"]


def look(account: str | None, number: int, **more: Any) -> dict[str, Any]:
    """A look of an account at customer `number` by the parcel of the same number."""
    return {"account": account, "waybill": f"YT{number:013d}", "subjects": [f"C{number:011d}"], "fields": PHONE} | more


def scan(number: int, outlet: str, account: str | None = None, **more: Any) -> dict[str, Any]:
    """A scan of parcel `number` at an outlet."""
    said = {"kind": "scan", "waybill": f"YT{number:013d}", "outlet": outlet, "account": account, "status": "arrived"}
    return said | more


def roster(**outlets: str) -> dict[str, Any]:
    """A record that the roster was loaded; `keep_roster` keeps its file."""
    return {
        "kind": "wb.reload",
        "source": "wb",
        "extra": json.dumps({"table": "accounts", "digest": "d", "rows": len(outlets)}),
    }


def keep_roster(home: Path, **outlets: str) -> None:
    """The roster (account -> outlet) as the runner keeps it."""
    (home / "reference").mkdir(parents=True, exist_ok=True)
    table = pa.table({"account": list(outlets), "outlet": list(outlets.values())})
    pq.write_table(table, home / "reference" / "accounts-d.parquet")


def ledger(home: Path, rows: Sequence[dict[str, Any]], sealed: Sequence[int] = ()) -> Path:
    """A ledger of these records, sealed up to each of these heights in turn; the rest stays in the journal."""
    full = [
        {"source": "s", "id": f"i{n}", "time": T0 + n, "arrival": T0 + n, "kind": "view", **row}
        for n, row in enumerate(rows)
    ]
    table, at = pa.Table.from_pylist(full, schema=SCHEMA), 0
    for end in [*sealed, len(rows)]:
        with Journal.open(home) as journal:
            part = table.slice(at, end - at)
            if part.num_rows:
                journal.append(Frame(part.num_rows, part["arrival"][-1].as_py(), pack(part)))
                journal.commit()
        if end in sealed:
            seal(home, upto=end, final=True)
        at = end
    return home


def customers(numbers: Iterable[int]) -> list[Item]:
    """A list by customers, one line each."""
    return [Item((f"C{number:011d}",), (), line) for line, number in enumerate(numbers, start=1)]


def parcels(numbers: Iterable[int]) -> list[Item]:
    """A list by parcels."""
    return [Item((f"YT{number:013d}",), (), line) for line, number in enumerate(numbers, start=1)]

"""Was this id here before? The sealed index answers for records over seven days old (contract/records.md, Duplicates)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc

from watchbill.ledger.reader import Ledger
from watchbill.records.dedup import content_hashes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def sealed_lookup(home: Path) -> Callable[[str, list[str]], list[int | None]]:
    """A function (source, ids) -> content hash of each, None where the ledger holds no such record."""

    def lookup(source: str, ids: list[str]) -> list[int | None]:
        ledger = Ledger(home)
        out: list[int | None] = []
        for identity in ids:
            found = ledger.find("id", identity)
            found = found.filter(pc.equal(found.column("source"), source)) if found.num_rows else found
            out.append(int(content_hashes(found)[0]) if found.num_rows else None)
        return out

    return lookup

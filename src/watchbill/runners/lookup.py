"""Was this id here before? The sealed index answers for records over seven days old (contract/records.md, Duplicates)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchbill.ledger.reader import Ledger
from watchbill.records.dedup import content_hashes

if TYPE_CHECKING:
    from pathlib import Path

    from watchbill.records.dedup import Lookup


def sealed_lookup(home: Path) -> Lookup:
    """A function (source, ids, before) -> content hash of each, None where no such record arrived before `before`."""

    def lookup(source: str, ids: list[str], before: int) -> list[int | None]:
        found = Ledger(home).find_all("id", ids, before)
        if not found.num_rows:
            return [None] * len(ids)
        known: dict[tuple[str, str], int] = {}
        columns = (found.column("source").to_pylist(), found.column("id").to_pylist(), content_hashes(found).tolist())
        for sent_by, identity, content in zip(*columns, strict=True):
            known.setdefault((sent_by, identity), content)  # in order of seq: the first stands
        return [known.get((source, identity)) for identity in ids]

    return lookup

"""Counting what a day of logs holds, before anything is concluded from it: fields, joins, clocks, quarantine."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchbill.core.hashing import hash_column
from watchbill.records.columns import KIND
from watchbill.records.schema import ASSIGNED_BY_US, KINDS, LOOKS, SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from watchbill.records.batch import Quarantined
    from watchbill.records.columns import Columns

KEPT_MAX: Final = 20_000_000
"""Looks whose waybills are kept for the joins; beyond it the shares are those of the first looks."""
REASONS_MAX: Final = 1_000
LATE_MS: Final = 3_600_000
_LOOK_CODES: Final = np.array([KIND[name] for name in LOOKS], dtype=np.uint8)
_EITHER: Final = np.array([*(KIND[name] for name in LOOKS), KIND["login"]], dtype=np.uint8)
_ALWAYS: Final = {*ASSIGNED_BY_US, "time", "kind"}


@dataclass(frozen=True)
class Join:
    """One join: of how many rows (`of`) the partner was found; `missing` says why it was not tried ("" when it was)."""

    join: str
    of: int
    found: int
    missing: str = ""

    @property
    def share(self) -> float | None:
        """Share found, None when there was nothing to join."""
        return round(self.found / self.of, 4) if self.of and not self.missing else None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"join": self.join, "of": self.of, "found": self.found, "share": self.share, "missing": self.missing}


@dataclass
class Keys:
    """Hashes of one column of some kinds of records, gathered batch by batch."""

    parts: list[NDArray[np.uint64]] = field(default_factory=list)
    held: int = 0

    def add(self, hashes: NDArray[np.uint64], *, distinct: bool) -> None:
        """Keep hashes (0 = absent is passed over), each once when `distinct`."""
        present = hashes[hashes != 0]
        present = np.unique(present) if distinct else present
        if present.shape[0] and self.held < KEPT_MAX:
            self.parts.append(present)
            self.held += present.shape[0]

    def all(self) -> NDArray[np.uint64]:
        """Everything kept."""
        return np.concatenate([np.zeros(0, np.uint64), *self.parts])


class Survey:
    """Counts over all batches. `take` each stamped batch, `refuse` what it refused, then read the results."""

    def __init__(self) -> None:
        self.kinds = np.zeros(len(KINDS) + 1, np.int64)
        self.present: dict[str, NDArray[np.int64]] = {}
        self.sources: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.waybills = {name: Keys() for name in ("look", "scan", "ticket")}
        self.tickets_named, self.tickets = Keys(), Keys()
        self.devices, self.scan_outlets, self.assignees = Keys(), Keys(), Keys()
        self.first, self.last = 0, 0
        self.late, self.late_most, self.backwards = 0, 0, 0
        self._clock = 0

    def take(self, c: Columns) -> None:
        """Count a batch whose arrival is stamped."""
        if len(c) == 0:
            return
        self.kinds += np.bincount(c.kind, minlength=len(KINDS) + 1)
        self._fields(c)
        self._keys(c)
        self.first = min(self.first or int(c.time.min()), int(c.time.min()))
        self.last = max(self.last, int(c.time.max()))
        late = c.arrival - c.time
        self.late += int(np.sum(late > LATE_MS))
        self.late_most = max(self.late_most, int(late.max()))
        sent = np.asarray(pc.coalesce(c.table.column("received"), c.table.column("time")))
        self.backwards += int(np.sum(sent < np.maximum.accumulate(np.append(self._clock, sent))[:-1]))
        self._clock = max(self._clock, int(sent.max()))

    def _fields(self, c: Columns) -> None:
        for source, count in zip(*np.unique(c.table.column("source").to_numpy(), return_counts=True), strict=True):
            self.sources[str(source)] += int(count)
        for name in SCHEMA.names:
            column = c.table.column(name)
            if name not in _ALWAYS and column.null_count < len(c):
                held = pc.is_valid(column)
                if pa.types.is_list(column.type):
                    held = pc.greater(pc.fill_null(pc.list_value_length(column), 0), 0)
                counts = np.bincount(c.kind[np.asarray(held)], minlength=len(KINDS) + 1)
                self.present[name] = self.present.get(name, np.zeros(len(KINDS) + 1, np.int64)) + counts

    def _keys(self, c: Columns) -> None:
        looks = np.isin(c.kind, _LOOK_CODES)
        scans, tickets = c.kind == KIND["scan"], c.kind == KIND["ticket"]
        self.waybills["look"].add(c.waybill[looks], distinct=False)
        self.waybills["scan"].add(c.waybill[scans], distinct=True)
        self.waybills["ticket"].add(c.waybill[tickets], distinct=True)
        self.tickets_named.add(c.ticket[looks], distinct=False)
        self.tickets.add(c.ticket[tickets], distinct=True)
        self.devices.add(c.device[np.isin(c.kind, _EITHER)], distinct=False)
        self.scan_outlets.add(c.outlet[scans], distinct=False)
        self.assignees.add(c.assignee[scans | tickets], distinct=False)

    def refuse(self, entries: Iterable[Quarantined]) -> None:
        """Count refused records by reason; figures in a reason are left out, so that like stands with like."""
        for entry in entries:
            reason = re.sub(r"\d+", "N", entry.reason)
            self.reasons[reason if reason in self.reasons or len(self.reasons) < REASONS_MAX else "other"] += 1

    # -- results -----------------------------------------------------------------------------------------------

    def by_kind(self) -> dict[str, int]:
        """Records by kind."""
        return {name: int(self.kinds[KIND[name]]) for name in KINDS if self.kinds[KIND[name]]}

    @property
    def looks(self) -> int:
        """Looks in all."""
        return int(self.kinds[_LOOK_CODES].sum())

    def fields(self) -> dict[str, dict[str, float]]:
        """Share of a kind's records that have the field, for fields seen at all."""
        return {
            kind: {
                name: round(int(counts[KIND[kind]]) / total, 4)
                for name, counts in self.present.items()
                if counts[KIND[kind]]
            }
            for kind, total in self.by_kind().items()
        }

    def has(self, name: str, kinds: Iterable[str] = (*LOOKS, "login")) -> bool:
        """Whether any record of these kinds has the field."""
        return name in self.present and any(self.present[name][KIND[kind]] for kind in kinds)

    def joins(self, reference: dict[str, pa.Table]) -> list[Join]:
        """The joins that stand on hashes of columns."""
        looks = self.waybills["look"].all()
        out = [self._waybills(looks, name) for name in ("scan", "ticket")]
        plan = [
            ("looks' parcels in the parcels table", looks, "parcels", "waybill"),
            ("devices of looks and logins in the devices table", self.devices.all(), "devices", "device"),
            ("outlets of scans in the outlets table", self.scan_outlets.all(), "outlets", "outlet"),
            ("assignees of scans and tickets in the roster", self.assignees.all(), "accounts", "account"),
        ]
        for text, rows, table, column in plan:
            known = hash_column(reference[table].column(column)) if table in reference else np.zeros(0, np.uint64)
            missing = "" if table in reference else f"no {table} table"
            out.append(Join(text, rows.shape[0], int(np.isin(rows, known).sum()), missing))
        named = self.tickets_named.all()
        missing = "" if self.kinds[KIND["ticket"]] else "no ticket records"
        found = int(np.isin(named, self.tickets.all()).sum())
        return [*out, Join("work orders that looks name among the tickets", named.shape[0], found, missing)]

    def _waybills(self, looks: NDArray[np.uint64], kind: str) -> Join:
        missing = "" if self.kinds[KIND[kind]] else f"no {kind} records"
        found = int(np.isin(looks, self.waybills[kind].all()).sum())
        return Join(f"looks' parcels among {kind}s", looks.shape[0], found, missing)

    def clock(self) -> dict[str, int]:
        """Clock problems: counts of records, and the most that one was late (ms)."""
        return {"over_an_hour_late": self.late, "latest_ms": self.late_most, "order_goes_back": self.backwards}

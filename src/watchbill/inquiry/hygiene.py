"""What is untidy and makes the rest blind: shared numbers, leavers still open, unregistered devices, stale tables; no accusations.

Each finding is about data or habits of the firm. A shared number has a date by which its persons should have numbers of
their own; until then concurrency and the separation of renters say "cannot tell" there.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from watchbill.inquiry.inforce import tables_at
from watchbill.ledger.reader import Ledger, Span

if TYPE_CHECKING:
    from pathlib import Path

DAY_MS: Final = 86_400_000
LAST_DAYS: Final = 7
"""What counts as today's habit."""
MIGRATE_DAYS: Final = 30
DAILY_DAYS: Final = 3
"""A device seen on so many of the last days is in daily use."""
STALE_DAYS: Final = 1
FOREVER: Final = np.iinfo(np.int64).max // 4
OPTIONAL: Final = {
    "devices": "unregistered devices, leavers' devices",
    "networks": "places",
    "shifts": "hours",
    "canaries": "canaries",
}
_COLUMNS: Final = ("account", "device", "kind", "time", "outcome")
_ENTERED: Final = ("login", "view", "search", "export", "print")


@dataclass(frozen=True)
class Finding:
    """One kind of untidiness: how often, in words, and each case as plain data (at most ITEMS_MAX of them)."""

    kind: str
    count: int
    text: str
    items: tuple[dict[str, Any], ...] = ()


ITEMS_MAX: Final = 1_000


@dataclass
class Hygiene:
    """The answer: `height` it stands on, `now`: arrival of the newest record (epoch ms)."""

    height: int
    now: int
    findings: list[Finding] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain data, as `watchbill hygiene --json` prints it."""
        return asdict(self)


@dataclass
class Habits:
    """The last days of looks and logins that succeeded: account -> time of the newest; device -> (accounts, local days, looks)."""

    newest: dict[str, int] = field(default_factory=dict)
    devices: dict[str, tuple[set[str], set[int], int]] = field(default_factory=dict)


def hygiene(home: Path) -> Hygiene:
    """All findings of a home, as of its newest record.

    Raises:
        LedgerError: the ledger is damaged.
    """
    ledger = Ledger(home)
    first, now = _span(ledger)
    tables = {name: pq.read_table(path) for name, path in tables_at(home, ledger.height).items()}
    habits = habits_of(ledger, now)
    found = [
        *roster_findings(tables.get("accounts"), habits, first, now), devices_finding(tables.get("devices"), habits),
        shifts_finding(tables.get("shifts"), habits, now), missing_finding(tables), silent_finding(home),
    ]  # fmt: skip
    return Hygiene(ledger.height, now, [one for one in found if one is not None and one.count])


def _span(ledger: Ledger) -> tuple[int, int]:
    """Arrival of the first and of the newest record; (0, 0) in an empty home."""
    low, high = FOREVER, 0
    for table in ledger.records(("arrival",)):
        if table.num_rows:
            ends = pc.min_max(table.column("arrival")).as_py()
            low, high = min(low, ends["min"]), max(high, ends["max"])
    return (low, high) if high else (0, 0)


def habits_of(ledger: Ledger, now: int) -> Habits:
    """Read the last LAST_DAYS days before `now` (epoch ms)."""
    out = Habits()
    for table in ledger.records(_COLUMNS, Span(None, now - LAST_DAYS * DAY_MS, None)):
        keep = pc.is_in(table.column("kind"), value_set=pa.array(_ENTERED))
        keep = pc.and_(keep, pc.equal(pc.coalesce(table.column("outcome"), "success"), "success"))
        rows = table.filter(keep)
        rows = rows.append_column("day", pa.array(np.asarray(rows.column("time")) // DAY_MS))
        for row in (
            rows.group_by(["account", "device", "day"]).aggregate([("time", "max"), ("time", "count")]).to_pylist()
        ):
            account, device = row["account"], row["device"]
            if account:
                out.newest[account] = max(out.newest.get(account, 0), row["time_max"])
            if device:
                people, days, looks = out.devices.get(device, (set(), set(), 0))
                out.devices[device] = (
                    people | ({account} if account else set()),
                    days | {row["day"]},
                    looks + row["time_count"],
                )
    return out


def _cut(kind: str, text: str, items: list[dict[str, Any]]) -> Finding:
    return Finding(kind, len(items), text, tuple(items[:ITEMS_MAX]))


def roster_findings(roster: pa.Table | None, habits: Habits, first: int, now: int) -> list[Finding]:
    """Shared numbers, people without an outlet, leavers still open, strangers.

    Args:
        roster: the accounts table in force. first: when Watchbill's records begin; a shared number's date counts from then
            or from when the sharing began, whichever is later. now: epoch ms.
    """
    if roster is None:
        return [Finding("no_roster", 1, "there is no accounts table: roles, outlets and leavers are unknown")]
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in roster.to_pylist():
        rows[row["account"] or ""].append(row)
    shared, homeless, open_ = [], [], []
    for account in sorted(rows):
        posts = rows[account]
        current = [post for post in posts if (post["from"] or 0) <= now < _until(post)]
        people = {post["person"] for post in current}
        if len(people) > 1:
            begun = sorted((post["from"] or 0) for post in current)[1]
            by = max(begun, first) + MIGRATE_DAYS * DAY_MS
            shared.append({"account": account, "outlet": current[0]["outlet"], "persons": len(people), "since": begun,
                           "migrate_by": by, "overdue": now > by})  # fmt: skip
        if current and not any(post["outlet"] for post in current):
            homeless.append({"account": account, "role": current[0]["role"]})
        ended = max(_until(post) for post in posts)
        if not current and habits.newest.get(account, 0) >= ended:
            open_.append({"account": account, "ended": ended, "last": habits.newest[account]})
    strangers = [
        {"account": account, "last": habits.newest[account]} for account in sorted(set(habits.newest) - set(rows))
    ]
    text = f"numbers that several persons hold at once: give each person an own one within {MIGRATE_DAYS} days"
    return [
        _cut("shared_number", text, shared), _cut("no_outlet", "accounts without an outlet", homeless),
        _cut("leaver_open", "accounts whose post has ended and that still get in", open_),
        _cut("not_on_roster", "accounts that are used and stand on no roster", strangers),
    ]  # fmt: skip


def _until(post: dict[str, Any]) -> int:
    return FOREVER if post["until"] is None else int(post["until"])


def devices_finding(devices: pa.Table | None, habits: Habits) -> Finding | None:
    """Devices in daily use that the register does not hold; None without a register."""
    if devices is None:
        return None
    known = set(devices.column("device").to_pylist())
    items = [
        {"device": device, "accounts": sorted(people), "days": len(days), "looks": looks}
        for device, (people, days, looks) in sorted(habits.devices.items())
        if device not in known and len(days) >= DAILY_DAYS
    ]
    return _cut(
        "unregistered_device",
        f"unregistered devices in use on {DAILY_DAYS} or more of the last {LAST_DAYS} days",
        items,
    )


def shifts_finding(shifts: pa.Table | None, habits: Habits, now: int) -> Finding | None:
    """Accounts in use whose newest shift ended over LAST_DAYS days ago; of all of them, the table itself is stale."""
    if shifts is None or not shifts.num_rows:
        return None
    last: dict[str, int] = {}
    for account, until in zip(shifts.column("account").to_pylist(), shifts.column("until").to_pylist(), strict=True):
        last[account] = max(last.get(account, 0), FOREVER if until is None else until)
    newest = max(last.values())
    if newest < now - STALE_DAYS * DAY_MS:
        return Finding(
            "stale_shifts", 1, "the shifts table ends before today: hours are judged by nothing", ({"until": newest},)
        )
    late = [
        {"account": account, "until": last[account]}
        for account in sorted(habits.newest)
        if account in last and last[account] < now - LAST_DAYS * DAY_MS
    ]
    return _cut("stale_shifts", f"accounts in use whose shifts ended over {LAST_DAYS} days ago", late)


def missing_finding(tables: dict[str, pa.Table]) -> Finding:
    """Optional tables that are absent, and what is blind without them."""
    return _cut("missing_table", "reference tables that are absent", [
        {"table": name, "blind": blind} for name, blind in OPTIONAL.items() if name not in tables
    ])  # fmt: skip


def silent_finding(home: Path) -> Finding | None:
    """Sources that the runner's last status calls silent; None where it has written none."""
    path = home / "status.json"
    try:
        sources = json.loads(path.read_text(encoding="utf-8")).get("sources", {}) if path.exists() else {}
    except (OSError, ValueError):
        return Finding(
            "status_damaged", 1, "status.json cannot be read; the next checkpoint of the runner writes it anew"
        )
    items = [{"source": name, "lag_ms": one["lag_ms"]} for name, one in sorted(sources.items()) if one["silent"]]
    return _cut("silent_source", "sources that are silent where they should send", items)

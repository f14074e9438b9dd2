"""The context as one object: reference tables and the state of the reason join, from record columns to account events."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchbill.context.calendar import Calendar
from watchbill.context.events import EVENT
from watchbill.context.facts import DESK, FACT, WAITING
from watchbill.context.feeds import CLOCK_SIZE, FEED
from watchbill.context.given import Given
from watchbill.context.interning import Interner
from watchbill.context.lone import AT, DEVICE_MARK, account_key, device_of, lone_looks
from watchbill.context.networks import Networks, networks_of
from watchbill.context.reasons import advance
from watchbill.context.roster import roster_of
from watchbill.context.rules import compile_rules
from watchbill.context.shifts import shifts_of
from watchbill.context.spans import SpanTable
from watchbill.context.static import canary_spans, device_outlets, parcel_spans
from watchbill.context.store import DAY_MS, WorkStore
from watchbill.context.traces import (
    C_ANY,
    C_COVER,
    C_OUT,
    C_SCAN,
    HELD,
    LAST_LOOK_KIND,
    LOGIN_KIND,
    N_ITEMS,
    N_POOL,
    N_SIGNED,
    N_TICKETS,
    N_WORK,
    OUT_FOR_DELIVERY,
    SIGNED_STATUS,
    Known,
    Pool,
)
from watchbill.context.waiting import link_all
from watchbill.core.hashing import combine
from watchbill.core.kernel import kernel
from watchbill.core.tables import Table64
from watchbill.records.columns import KIND

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.core.settings import Settings
    from watchbill.records.columns import Columns

_Kind = TypeVar("_Kind", bound=np.generic)
_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 3_600_000
_FIELD_SETS_MAX: Final = 10_000
_INT32_MAX: Final = np.iinfo(np.int32).max
_SAME: Final = (
    "seq", "time", "arrival", "until", "account", "assignee", "device", "waybill", "ticket", "outlet", "next_outlet",
    "field_set", "field_count", "session", "number", "kind", "masked", "outcome", "status", "state", "type",
)  # fmt: skip


@kernel
def _whats(facts: NDArray[np.void], apps: NDArray[np.uint64]) -> None:
    for i in range(facts.shape[0]):
        fact = facts[i]
        if LOGIN_KIND <= fact.kind <= LAST_LOOK_KIND:
            fact.what = np.uint32(
                combine(combine(np.uint64(fact.kind), apps[i], 1), fact.field_set, 2) >> np.uint64(32)
            )
        else:
            fact.what = 0


class Context:
    """Reference tables as of the last reload, and everything that the reason join remembers.

    `prepare` turns record columns into `Facts`; `join` runs the reason join over them and gives events
    (`context.events.EVENT`). Both expect a batch within one UTC hour of arrival (see `cuts`).
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.calendar = Calendar(settings.time_zone)
        self.accounts = Interner("accounts", settings.limits.accounts_max, account_key)
        self.outlets = Interner("outlets", settings.limits.outlets_max)
        self.places = Interner("reference_rows", settings.limits.reference_rows_max)
        self.rules, self.roles, self.labels = compile_rules(settings.reasons)
        self._keys_a_ticket = 1 + 2 * max(int(bits).bit_count() for bits in self.rules.type_classes)
        self.tables: dict[str, pa.Table] = {}
        self.networks = Networks()
        self.devices = Table64()
        self.shifts = shifts_of(None, self.accounts)
        self.lone_devices = 0
        self.roster = roster_of(None, self.accounts, self.outlets, self.roles, settings.reasons)
        self.parcels, self.canaries = SpanTable.none(), SpanTable.none()
        longest = int(self.rules.table[:, :, 1].max()) // DAY_MS + 1
        self.work = WorkStore(settings.reasons.exact_days, longest)
        self.tickets, self.signed, self.heads = SpanTable(), SpanTable(), SpanTable()
        self.given = Given(settings.limits.decisions_max, settings.limits.decision_hours)
        self.desk = np.zeros(0, DESK)
        self.pool = np.zeros(1024, WAITING)
        self.pool_used = 0
        self.feed = np.zeros(0, FEED)
        self.clock = np.zeros(CLOCK_SIZE, np.int64)
        self._weights: dict[int, float] = {0: 1.0}
        self._events = np.zeros(0, EVENT)
        self._limits = self._limit_array()
        self._who_is_else = np.array([self.roles.index("unknown"), self._role_of_devices()], np.int64)

    def _role_of_devices(self) -> int:
        return self.roles.index("device" if "device" in self.roles else "unknown")

    def _limit_array(self) -> NDArray[np.int64]:
        reasons = self.settings.reasons
        signed_keep = int(self.rules.table[:, :, 1].max())
        ticket = int(self.rules.table[:, :, 1].max())
        return np.array(
            [
                reasons.after_minutes * _MINUTE_MS,
                reasons.ticket_grace_minutes * _MINUTE_MS,
                reasons.pending_an_account,
                ticket,
                signed_keep,
                reasons.ticket_after_minutes * _MINUTE_MS,
            ],
            dtype=np.int64,
        )

    # -- reference ---------------------------------------------------------------------------------------------

    def apply(self, name: str, table: pa.Table | None) -> None:
        """Take a reference table (typed by `context.reference.read_table`) into use; None = it is absent."""
        if table is None:
            self.tables.pop(name, None)
        else:
            self.tables[name] = table
        if name == "accounts":
            self.roster = roster_of(table, self.accounts, self.outlets, self.roles, self.settings.reasons)
        elif name == "networks":
            self.networks = networks_of(table, self.places)
        elif name == "shifts":
            self.shifts = shifts_of(table, self.accounts)
        elif name == "devices":
            self.devices = device_outlets(table, self.outlets)
        elif name == "parcels":
            self.parcels = parcel_spans(table)
        elif name == "canaries":
            self.canaries = canary_spans(table)
        elif name == "outlets" and table is not None:
            for outlet in table.column("outlet").to_pylist():
                self.outlets.add(outlet)

    def outlet_places(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(lat, lon) of each dense outlet, NaN when the outlets table does not say."""
        lat, lon = np.full(len(self.outlets), np.nan), np.full(len(self.outlets), np.nan)
        table = self.tables.get("outlets")
        if table is not None:
            at = np.array([self.outlets.find(name) for name in table.column("outlet").to_pylist()], np.int64)
            lat[at] = table.column("lat").to_numpy()
            lon[at] = table.column("lon").to_numpy()
        return lat, lon

    # -- one batch ---------------------------------------------------------------------------------------------

    def cuts(self, columns: Columns) -> list[int]:
        """Rows at which a new UTC hour of arrival begins (the batch is to be cut there), with the end."""
        hours = columns.arrival // _HOUR_MS
        inner = (np.flatnonzero(np.diff(hours)) + 1).tolist() if len(columns) else []
        return [*inner, len(columns)]

    def prepare(self, columns: Columns) -> NDArray[np.void]:
        """FACT[n]: the columns with dense accounts and outlets, places, weights, local day and hour."""
        c = columns
        room = self.settings.limits.devices_max - self.lone_devices
        accounts, lone, new = lone_looks(c, self.accounts, self.devices, room, registry="devices" in self.tables)
        self.lone_devices += new
        # row by row, so that no cut of the batches changes who comes first
        people = np.stack([accounts, c.assignee], axis=1).ravel()
        ids = self.accounts.of(people, lambda at: self._name(c, lone, at))
        account_id, assignee_id = ids[::2], ids[1::2]
        outlet_id = self.outlets.of(c.outlet, lambda row: c.text("outlet", row))
        facts = np.empty(len(c), FACT)
        for name in _SAME:
            facts[name] = getattr(c, name)
        facts["account"], facts["lone"] = accounts, lone
        facts["account_id"], facts["assignee_id"], facts["outlet_id"] = account_id, assignee_id, outlet_id
        facts["place"], facts["subject_end"] = self.networks.place_of(c.table.column("ip")), c.subject_ends
        if lone.any():
            facts["outlet"] = np.where(lone > 0, self.outlets.hash_of(lone - AT), facts["outlet"])
        facts["address"] = c.ip
        facts["results"], facts["page"] = np.clip(c.results, 0, _INT32_MAX), np.clip(c.page, 0, _INT32_MAX)
        _whats(facts, c.app)
        facts["weight"], facts["decided"] = self._weight(c), self.given.settle(c, accounts)
        facts["day"], facts["hour"] = self.calendar.day_hour(c.time)
        return facts

    @staticmethod
    def _name(c: Columns, lone: NDArray[np.int32], at: int) -> str:
        row = at // 2
        if at % 2:
            return c.text("assignee", row)
        return DEVICE_MARK + c.text("device", row) if lone[row] else c.text("account", row)

    def _weight(self, c: Columns) -> NDArray[np.float32]:
        counts = np.diff(c.subject_ends, prepend=np.int32(0))
        weight = np.maximum(counts, 1).astype(np.float32)
        exports = np.flatnonzero(c.kind == KIND["export"])
        if exports.shape[0]:  # every row of an export is a customer, listed or not
            listed = np.asarray(pc.fill_null(c.table.column("results").take(pa.array(exports)), 0), np.float32)
            weight[exports] = np.maximum(weight[exports], listed)
        sets, rows, inverse = np.unique(c.field_set, return_index=True, return_inverse=True)
        factors = [self._field_weight(int(key), c, int(row)) for key, row in zip(sets, rows, strict=True)]
        return weight * np.array(factors, dtype=np.float32)[inverse] if factors else weight

    def _field_weight(self, key: int, c: Columns, row: int) -> float:
        if key not in self._weights:
            if len(self._weights) >= _FIELD_SETS_MAX:
                self._weights = {0: 1.0}
            names = [re.sub(r"^.*\.", "", name or "") for name in c.table.column("fields")[row].as_py() or []]
            tokens = self.settings.reasons.field_tokens
            self._weights[key] = max((tokens.get(name, 1.0) for name in names), default=1.0)
        return self._weights[key]

    def join(self, facts: NDArray[np.void], subjects: NDArray[np.uint64]) -> NDArray[np.void]:
        """Run the reason join over a batch within one UTC hour; EVENT[m] (a view that the next call overwrites)."""
        n = int(facts.shape[0])
        if n == 0:
            return self._events[:0]
        self._roll(int(facts["arrival"][0]) // DAY_MS)
        self._reserve(facts)
        counters = np.zeros(8, np.int64)
        counters[N_POOL] = self.pool_used
        known = Known(
            self.rules.table, self.work.cells, self.work.words, self.work.filters, self.tickets.cells,
            self.signed.cells, self.parcels.cells, self.desk, self._limits,
        )  # fmt: skip
        count = int(
            advance(
                facts, subjects, self.rules, known, self.roster, Pool(self.pool, self.heads.cells), self.shifts,
                self._who_is_else, self.feed, self.clock, self._feed_settings(int(facts["arrival"][0])), self.canaries.cells, self.accounts.hashes,
                self._events, counters,
            )
        )  # fmt: skip
        self.work.settle(int(counters[N_WORK]))
        self.heads.count += int(counters[N_ITEMS])
        self.tickets.count += int(counters[N_TICKETS])
        self.signed.count += int(counters[N_SIGNED])
        self.pool_used = int(counters[N_POOL])
        return self._events[:count]

    def _feed_settings(self, arrival: int) -> NDArray[np.float64]:
        gates = self.settings.gates
        offset = self.calendar.offset_ms(arrival // _HOUR_MS * _HOUR_MS)  # of the UTC hour: the same for any cut
        tick_ms = self.settings.tick_seconds * 1000
        return np.array([tick_ms, offset, gates.feed_quantile, gates.feed_scans_min], dtype=np.float64)

    def _reserve(self, facts: NDArray[np.void]) -> None:
        kinds = np.bincount(facts["kind"], minlength=10)
        looks, scans, tickets = int(kinds[2:6].sum()), int(kinds[6]), int(kinds[7])
        self.work.reserve(self._keys_of(facts, scans) + tickets + 3 * looks + self.pool_used)
        self.heads.reserve(looks)
        self.tickets.reserve(tickets * self._keys_a_ticket)
        self.signed.reserve(int(np.count_nonzero(facts["status"] == SIGNED_STATUS)))
        if self.pool_used + looks > self.pool.shape[0]:
            self._compact(looks)
        self.desk = grown(self.desk, len(self.accounts))
        self.feed = grown(self.feed, len(self.outlets))
        room = 2 * looks + int(kinds[1]) + scans + tickets + self.pool_used
        if room > self._events.shape[0]:
            self._events = np.zeros(max(64, room * 3 // 2), EVENT)

    def _keys_of(self, facts: NDArray[np.void], scans: int) -> int:
        """Work keys that a batch can add at most: a tight bound keeps the table, and so the cache misses, small."""
        used = self.rules.used
        often = int(used[C_OUT] or used[C_COVER]) + int(used[C_ANY]) + int(used[C_SCAN])
        given = int(np.count_nonzero(facts["assignee"])) + int(np.count_nonzero(facts["status"] == OUT_FOR_DELIVERY))
        held = int(np.count_nonzero(facts["status"] == HELD))
        often += int(used[C_SCAN]) + 2  # by its device, its pickup, and that its account looked before
        return scans * often + int(np.count_nonzero(facts["next_outlet"])) + 3 * given + held

    def _roll(self, day: int) -> None:
        if day <= self.work.day:
            return
        self.work.roll(day)
        now = day * DAY_MS
        self.tickets.expire(now - int(self._limits[0]))
        self.signed.expire(now)
        self.given.expire(now)
        alive = self.pool[: self.pool_used]
        keep = now - int(self.settings.reasons.pending_hours * _HOUR_MS)
        alive["alive"][alive["arrival"] < keep] = 0
        self._compact(0)

    def _compact(self, more: int) -> None:
        """Drop dead waiting looks and relink the living in order of seq."""
        living = self.pool[: self.pool_used]
        living = living[living["alive"] == 1]
        pool = np.zeros(max(1024, 2 * (living.shape[0] + more)), WAITING)
        pool[: living.shape[0]] = living
        self.pool, self.pool_used = pool, living.shape[0]
        self.heads = SpanTable(living.shape[0] + more)
        relink(self, living.shape[0])

    # -- snapshots ---------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Named arrays and lists from which `restore` builds the same context (reference tables apart)."""
        self._compact(0)
        out: dict[str, Any] = {
            "desk": self.desk.copy(), "pool": self.pool[: self.pool_used].copy(), "feed": self.feed.copy(),
            "clock": self.clock.copy(), "accounts": list(self.accounts.names), "outlets": list(self.outlets.names),
            "places": list(self.places.names),
        }  # fmt: skip
        for name, part in (
            ("work", self.work), ("tickets", self.tickets), ("signed", self.signed), ("given", self.given),
        ):  # fmt: skip
            out |= {f"{name}.{key}": value for key, value in part.snapshot().items()}
        return out

    def restore(self, saved: dict[str, Any]) -> None:
        """Take over a snapshot; names are interned in the saved order, so call it before `apply`."""
        for name in saved["accounts"]:
            self.accounts.add(name)
            self.lone_devices += bool(device_of(name))
        for name in saved["outlets"]:
            self.outlets.add(name)
        for name in saved["places"]:
            self.places.add(name)
        self.desk, self.feed, self.clock = (np.array(saved[name]) for name in ("desk", "feed", "clock"))
        self.pool, self.pool_used = saved["pool"].copy(), int(saved["pool"].shape[0])
        self.work.restore(_part(saved, "work"))
        self.tickets = SpanTable.restore(_part(saved, "tickets"))
        self.signed = SpanTable.restore(_part(saved, "signed"))
        self.given.restore(_part(saved, "given"))
        self._compact(0)


def _part(saved: dict[str, Any], name: str) -> dict[str, Any]:
    return {key.removeprefix(f"{name}."): value for key, value in saved.items() if key.startswith(f"{name}.")}


def grown(array: NDArray[_Kind], size: int) -> NDArray[_Kind]:
    """`array` with room for `size` rows (new rows zero), grown by half so that growth is rare."""
    if size <= array.shape[0]:
        return array
    out = np.zeros(max(64, size + size // 2), dtype=array.dtype)
    out[: array.shape[0]] = array
    return out


def relink(context: Context, count: int) -> None:
    """Rebuild the item and account chains of the first `count` waiting looks."""
    context.desk["waiting"] = 0
    context.desk["waiting_head"] = 0
    context.desk["waiting_tail"] = 0
    context.heads.count = int(link_all(context.pool, count, context.desk, context.heads.cells))

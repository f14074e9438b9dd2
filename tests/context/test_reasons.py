"""The reason join against a slow implementation in plain Python, on random small streams; and its stated rules one by one."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from watchbill.context.context import Context
from watchbill.context.events import LOOK, RETRACT, WORK
from watchbill.context.lone import DEVICE_MARK
from watchbill.core.settings import Reason, ReasonSettings, Role, Settings

DAY, HOUR, MINUTE = 86_400_000, 3_600_000, 60_000
START = 20_000 * DAY + 2 * HOUR
Events = Callable[..., NDArray[np.void]]
Tables = Callable[..., Any]
LOOK_KINDS = {"view", "search", "export", "print"}

TEMPLATES = {
    "assigned": Reason(template="assigned", window_hours=100, signed_hours=72),
    "own_outlet": Reason(template="own_outlet", window_hours=100),
    "cover": Reason(template="cover", window_hours=100),
    "inbound": Reason(template="inbound", window_hours=100),
    "held": Reason(template="held", window_hours=100),
    "own_scan": Reason(template="own_scan", window_hours=100, signed_hours=72),
    "any_scan": Reason(template="any_scan", window_hours=30),
    "claim": Reason(template="ticket", name="claim", types=("claim", "none"), window_hours=336),
    "help": Reason(template="ticket", name="help", types=("call",), anyone=True, window_hours=336),
    "team": Reason(template="team", window_hours=100),
    "looked": Reason(template="looked", window_hours=100),
}
ROLES = {name: Role(reasons=(reason,)) for name, reason in TEMPLATES.items()}
ROLES["mixed"] = Role(reasons=(TEMPLATES["assigned"], TEMPLATES["help"], TEMPLATES["looked"]))
ROLES["unknown"] = Role(reasons=(TEMPLATES["own_scan"], TEMPLATES["looked"]))
SETTINGS = Settings(reasons=ReasonSettings(roles=ROLES, exact_days=14, pending_an_account=3))
CLASSES = {frozenset(reason.types) for reason in TEMPLATES.values() if reason.template == "ticket"}
AFTER, GRACE, TICKET_AFTER = 60 * MINUTE, 30 * MINUTE, 30 * MINUTE
TICKET_SPAN = 336 * HOUR
OUTLETS = ("north", "south")
ACCOUNTS = {role: OUTLETS[i % 2] for i, role in enumerate(ROLES) if role != "unknown"}
BOSS = {"assigned": "team", "own_scan": "team"}


def context(tables: Tables) -> Context:
    made = Context(SETTINGS)
    made.apply("outlets", tables("outlets", [{"outlet": name} for name in OUTLETS]))
    rows = [
        {"account": role, "outlet": outlet, "role": role, "supervisor": BOSS.get(role)}
        for role, outlet in ACCOUNTS.items()
    ]
    made.apply("accounts", tables("accounts", rows))
    return made


@dataclass
class Model:
    """What the join is meant to do, said slowly: one dictionary a kind of trace, no expiry but the windows."""

    work: dict[tuple[Any, ...], int] = field(default_factory=dict)
    tickets: dict[tuple[Any, ...], list[int]] = field(default_factory=dict)  # since, last, until, how many hold it
    known: dict[str, tuple[int, bool, set[frozenset[str]]]] = field(
        default_factory=dict
    )  # ticket: until, open, classes
    day: int = 0
    signed: dict[str, int] = field(default_factory=dict)
    covers: dict[str, list[tuple[str, int, int]]] = field(default_factory=dict)
    seen: set[tuple[str, str]] = field(default_factory=set)
    shown: set[tuple[Any, ...]] = field(default_factory=set)
    waiting: list[dict[str, Any]] = field(default_factory=list)
    out: list[tuple[Any, ...]] = field(default_factory=list)

    def mark(self, key: tuple[Any, ...], time: int) -> None:
        self.work[key] = max(self.work.get(key, 0), time)

    def has(self, key: tuple[Any, ...], time: int, window: int, latest: float) -> bool:
        return key in self.work and time - window <= self.work[key] <= latest

    def open(self, key: tuple[Any, ...], time: int, until: int, fresh: bool) -> None:
        since, last, end, count = self.tickets.get(key, [time, time, time, 0])
        if time >= end:
            since, last, end, count = time, time, until, 0
        self.tickets[key] = [min(since, time), max(last, time), max(end, until) if count else until, count + fresh]

    def close(self, key: tuple[Any, ...], time: int, until: int, was_open: bool) -> None:
        cell = self.tickets.setdefault(key, [time, time, until, 0])
        cell[3] = max(0, cell[3] - was_open)
        if cell[3] == 0:
            cell[2] = until

    def forget(self, arrival: int) -> None:
        if arrival // DAY > self.day:
            self.day = arrival // DAY
            before = self.day * DAY - AFTER
            self.tickets = {key: cell for key, cell in self.tickets.items() if cell[2] >= before}
            self.known = {name: state for name, state in self.known.items() if state[0] >= before}

    def held(self, key: tuple[Any, ...], time: int, window: int) -> bool:
        since, last, until, _ = self.tickets.get(key, [0, 0, 0, 0])
        return key in self.tickets and since - TICKET_AFTER <= time < until and time - last <= window

    def ticket_holds(self, rule: Reason, who: str, record: dict[str, Any], time: int) -> bool:
        window, item, name = int(rule.window_hours * HOUR), record.get("waybill"), record.get("ticket")
        keys: list[tuple[Any, ...]] = []
        kind = frozenset(rule.types)
        if kind:
            if item:
                keys += [("mine", item, who, kind), ("every" if rule.anyone else "nobody", item, "", kind)]
            if name:
                keys += [("named", name, who, kind), ("named", name, "", kind)]
        return any(self.held(key, time, window) for key in keys)

    def holds(self, rule: Reason, who: str, record: dict[str, Any], time: int, latest: float) -> bool:
        item, window, outlet = record.get("waybill"), int(rule.window_hours * HOUR), ACCOUNTS.get(who, "")
        if rule.template == "ticket":
            return self.ticket_holds(rule, who, record, time)
        if not item or (
            rule.signed_hours and item in self.signed and time > self.signed[item] + rule.signed_hours * HOUR
        ):
            return False
        if rule.template == "cover":
            return any(
                since - AFTER <= time < until
                and any(self.has((tag, place, item), time, window, latest) for tag in ("out", "in"))
                for place, since, until in self.covers.get(who, [])
            )
        owner, tag = {
            "assigned": (who, "assigned"), "own_outlet": (outlet, "out"), "inbound": (outlet, "in"),
            "held": (outlet, "held"), "own_scan": (who, "scan"), "any_scan": ("*", "any"), "team": (who, "team"),
            "looked": (who, "look"),
        }[rule.template]  # fmt: skip
        return bool(owner) and self.has((tag, owner, item), time, window, latest)

    def reason(self, who: str, record: dict[str, Any], time: int, latest: float) -> str:
        rules = ROLES[who if who in ACCOUNTS else "unknown"].reasons
        return next((rule.label for rule in rules if self.holds(rule, who, record, time, latest)), "")

    def scan(self, r: dict[str, Any]) -> None:
        time, item = r["time"], r["waybill"]
        for tag, owner in (
            ("out", r.get("outlet")),
            ("in", r.get("next_outlet")),
            ("scan", r.get("account")),
            ("any", "*"),
        ):
            if owner:
                self.mark((tag, owner, item), time)
        if r["status"] == "held_at_station":
            self.mark(("held", r["outlet"], item), time)
        if r["status"] == "signed":
            self.signed[item] = min(time, self.signed.get(item, time))
        who = r.get("assignee") or (r.get("account") if r["status"] == "out_for_delivery" else None)
        if who:
            self.mark(("assigned", who, item), time)
            if who in BOSS:
                self.mark(("team", BOSS[who], item), time)

    def cover(self, r: dict[str, Any]) -> None:
        span = (r["time"], r.get("until") or r["time"] + TICKET_SPAN)
        if r["state"] == "closed":
            span = (r["time"], r["time"] + GRACE)
        kept = self.covers.setdefault(r.get("assignee") or r["account"], [])
        kept[:] = [cover for cover in kept if cover[0] != r["outlet"]]
        kept.append((r["outlet"], *span))

    def ticket(self, r: dict[str, Any]) -> None:
        if r.get("type") == "cover":
            self.cover(r)
            return
        time, item, who, kind = r["time"], r.get("waybill"), r.get("assignee") or "", r.get("type") or "none"
        opening, longest = r["state"] == "open", r.get("until") or time + TICKET_SPAN
        before, was_open, old = self.known.get(r["ticket"], (0, False, set()))
        classes = {kinds for kinds in CLASSES if kind in kinds} | (old if was_open else set())
        self.known[r["ticket"]] = (max(before, longest), opening, classes)
        for kinds in classes:
            keys: list[tuple[Any, ...]] = [("named", r["ticket"], who, kinds)]
            if item:
                keys = [("every", item, "", kinds), ("mine" if who else "nobody", item, who, kinds)]
            for key in keys:
                if opening:
                    self.open(key, time, longest, not was_open)
                else:
                    self.close(key, time, time + GRACE, was_open)

    def look(self, seq: int, r: dict[str, Any], arrival: int) -> None:
        who, time, item = r["account"], r["time"], r.get("waybill")
        reason = self.reason(who, r, time, np.inf if arrival - time > AFTER else time + AFTER)
        reveal = not r.get("masked") and r.get("outcome", "success") == "success"
        first = reveal if item is None else False
        if item is not None and r.get("outcome", "success") == "success":
            first = (who, item) not in self.seen
            if reason:
                self.mark(("look", who, item), time)
            if reason or reveal:
                self.seen.add((who, item))
        self.out.append(("look", seq, who, reason, bool(first), reveal))
        content = (who, item, tuple(r.get("subjects") or ()), tuple(r.get("fields") or ()))
        fresh = content not in self.shown
        if reveal and not reason and item:
            self.shown.add(content)
        if reveal and not reason and fresh and item:
            mine = [look for look in self.waiting if look["who"] == who]
            if len(mine) == SETTINGS.reasons.pending_an_account:
                self.waiting.remove(mine[0])
            self.waiting.append({"seq": seq, "who": who, "item": item, "time": time})

    def settle(self, r: dict[str, Any], arrival: int) -> None:
        late = arrival - r["time"] > AFTER
        for look in [look for look in reversed(self.waiting) if look["item"] == r.get("waybill")]:
            if r["time"] > look["time"] + AFTER:
                continue
            asked = {"waybill": look["item"], "ticket": r.get("ticket")}
            reason = self.reason(look["who"], asked, look["time"], np.inf if late else look["time"] + AFTER)
            if reason:
                self.waiting.remove(look)
                self.mark(("look", look["who"], look["item"]), look["time"])
                self.out.append(("retract", look["seq"], look["who"], reason))

    def run(self, records: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        arrival = 0
        for seq, r in enumerate(records):
            arrival = max(arrival, r.get("received", r["time"]))
            self.forget(arrival)
            if r["kind"] == "scan":
                self.scan(r)
            elif r["kind"] == "ticket":
                self.ticket(r)
            elif r["kind"] in LOOK_KINDS:
                self.look(seq, r, arrival)
            if r["kind"] in {"scan", "ticket"} and r.get("waybill"):
                self.settle(r, arrival)
        return self.out


def said(made: Context, events: NDArray[np.void]) -> list[tuple[Any, ...]]:
    out: list[tuple[Any, ...]] = []
    for event in events:
        who, reason = made.accounts.names[event["account"]], made.labels[event["reason"]]
        if event["kind"] == LOOK:
            out.append(("look", int(event["seq"]), who, reason, bool(event["first"]), bool(event["reveal"])))
        elif event["kind"] == RETRACT:
            out.append(("retract", int(event["seq"]), who, reason))
    return out


WHO = st.sampled_from([*ACCOUNTS, "stranger"])
WAYBILL = st.sampled_from(["w1", "w2", "w3"])
TICKET_NAME = st.sampled_from(["t1", "t2"])
MINUTES = st.integers(0, 40) | st.integers(0, 50 * 60)


@st.composite
def scans(draw: st.DrawFn) -> dict[str, Any]:
    status = draw(st.sampled_from(["arrived", "departed", "out_for_delivery", "held_at_station", "signed"]))
    record = {"kind": "scan", "waybill": draw(WAYBILL), "outlet": draw(st.sampled_from(OUTLETS)), "status": status}
    for name, values in (("next_outlet", st.sampled_from(OUTLETS)), ("account", WHO), ("assignee", WHO)):
        if draw(st.booleans()):
            record[name] = draw(values)
    return record


@st.composite
def ticket_records(draw: st.DrawFn) -> dict[str, Any]:
    record: dict[str, Any] = {
        "kind": "ticket",
        "ticket": draw(TICKET_NAME),
        "state": draw(st.sampled_from(["open", "open", "closed"])),
    }
    record["type"] = draw(st.sampled_from(["claim", "call", "legal", "cover", None]))
    if record["type"] == "cover":
        return record | {
            draw(st.sampled_from(["assignee", "account"])): draw(st.sampled_from(["cover", "mixed"])),
            "outlet": draw(st.sampled_from(OUTLETS)),
        }
    if draw(st.booleans()):
        record["waybill"] = draw(WAYBILL)
    if draw(st.booleans()):
        record["assignee"] = draw(WHO)
    return record


@st.composite
def look_records(draw: st.DrawFn) -> dict[str, Any]:
    record: dict[str, Any] = {"kind": draw(st.sampled_from(sorted(LOOK_KINDS))), "account": draw(WHO)}
    if draw(st.integers(0, 9)):
        record["waybill"] = draw(WAYBILL)
    if draw(st.integers(0, 3)) == 0:
        record["ticket"] = draw(TICKET_NAME)
    record["masked"] = draw(st.integers(0, 5)) == 0
    record["outcome"] = draw(st.sampled_from(["success"] * 6 + ["failure", "denied"]))
    return record


@st.composite
def streams(draw: st.DrawFn) -> list[dict[str, Any]]:
    arrival, out = START, []
    for record in draw(st.lists(scans() | ticket_records() | look_records(), min_size=1, max_size=30)):
        arrival += draw(MINUTES) * MINUTE // 4
        late = draw(st.sampled_from([0, 0, 0, 10, 59, 60, 61, 300, 1500])) * MINUTE
        if "until" not in record and record["kind"] == "ticket" and draw(st.booleans()):
            record["until"] = arrival - late + draw(st.integers(1, 3000)) * MINUTE
        out.append({**record, "time": arrival - late, "received": arrival})
    return out


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=streams(), cuts=st.lists(st.integers(0, 30), max_size=6))
def test_the_join_is_what_the_slow_model_says_for_any_cut(
    records: list[dict[str, Any]], cuts: list[int], events_of: Events, tables: Tables
) -> None:
    made = context(tables)
    events = events_of(made, records, [cut for cut in cuts if cut < len(records)])
    assert said(made, events) == Model().run(records)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=streams(), at=st.integers(0, 30))
def test_a_snapshot_anywhere_changes_nothing(
    records: list[dict[str, Any]], at: int, events_of: Events, tables: Tables
) -> None:
    whole = context(tables)
    expected = said(whole, events_of(whole, records))
    first = context(tables)
    at = min(at, len(records))
    # arrival runs on: the first piece tells the second how late it is
    clock = [max(r["received"] for r in records[: i + 1]) for i in range(len(records))]
    records = [{**r, "received": c} for r, c in zip(records, clock, strict=True)]
    said_first = said(first, events_of(first, records[:at])) if at else []
    second = Context(SETTINGS)
    second.restore(first.snapshot())
    blank = context(tables)
    for name, table in blank.tables.items():
        second.apply(name, table)
    rest = said(second, events_of(second, records[at:], None, at)) if at < len(records) else []
    assert said_first + rest == expected


# --- the rules one by one ---------------------------------------------------------------------------------------------


def scan(time: int, **given: Any) -> dict[str, Any]:
    return {"kind": "scan", "time": time, "waybill": "w", "outlet": "south", "status": "arrived", **given}


def view(time: int, who: str, **given: Any) -> dict[str, Any]:
    return {"kind": "view", "time": time, "account": who, "waybill": "w", **given}


def reasons(made: Context, events: NDArray[np.void]) -> list[str]:
    return [made.labels[event["reason"]] for event in events if event["kind"] == LOOK]


CASES = [
    ("assigned to me", [scan(START, assignee="assigned"), view(START + HOUR, "assigned")], ["assigned"]),
    ("out with me", [scan(START, account="assigned", status="out_for_delivery"), view(START, "assigned")], ["assigned"]),
    ("out with another", [scan(START, account="mixed", status="out_for_delivery"), view(START, "assigned")], [""]),
    ("at my outlet", [scan(START, outlet="south"), view(START, "own_outlet")], ["own_outlet"]),
    ("at another outlet", [scan(START, outlet="north"), view(START, "own_outlet")], [""]),
    ("past the window", [scan(START, outlet="south"), view(START + 101 * HOUR, "own_outlet")], [""]),
    ("on its way to me", [scan(START, next_outlet="south"), view(START, "inbound")], ["inbound"]),
    ("held here", [scan(START, outlet="north", status="held_at_station"), view(START, "held")], ["held"]),
    ("arrived, not held", [scan(START, outlet="north"), view(START, "held")], [""]),
    ("I scanned it", [scan(START, account="own_scan"), view(START, "own_scan")], ["own_scan"]),
    ("anybody scanned it", [scan(START), view(START, "any_scan")], ["any_scan"]),
    ("nobody scanned it", [view(START, "any_scan")], [""]),
    ("my man has it", [scan(START, assignee="assigned"), view(START, "team")], ["team"]),
    ("not my man has it", [scan(START, assignee="mixed"), view(START, "team")], [""]),
    ("signed, 71 hours", [scan(START, assignee="assigned"), scan(START + 1, status="signed"), view(START + 71 * HOUR, "assigned")], ["assigned"]),
    ("signed, 73 hours", [scan(START, assignee="assigned"), scan(START + 1, status="signed"), view(START + 73 * HOUR, "assigned")], [""]),
    ("an hour before the scan", [view(START, "any_scan"), scan(START + HOUR)], [""]),
    ("my ticket", [{"kind": "ticket", "time": START, "ticket": "t", "state": "open", "type": "claim", "waybill": "w", "assignee": "claim"}, view(START, "claim")], ["claim"]),
    ("another's ticket", [{"kind": "ticket", "time": START, "ticket": "t", "state": "open", "type": "claim", "waybill": "w", "assignee": "x"}, view(START, "claim")], [""]),
    ("nobody's ticket", [{"kind": "ticket", "time": START, "ticket": "t", "state": "open", "type": "claim", "waybill": "w"}, view(START, "claim")], ["claim"]),
    ("anyone's ticket", [{"kind": "ticket", "time": START, "ticket": "t", "state": "open", "type": "call", "waybill": "w", "assignee": "x"}, view(START, "help")], ["help"]),
    ("a ticket of another type", [{"kind": "ticket", "time": START, "ticket": "t", "state": "open", "type": "legal", "waybill": "w", "assignee": "claim"}, view(START, "claim")], [""]),
    ("the ticket that I name", [{"kind": "ticket", "time": START, "ticket": "t", "state": "open", "type": "claim", "assignee": "claim"}, view(START, "claim", ticket="t")], ["claim"]),
    ("a ticket that is not", [view(START, "claim", ticket="t")], [""]),
    ("closed, 29 minutes", [{"kind": "ticket", "time": START, "ticket": "t", "state": "closed", "type": "claim", "waybill": "w"}, view(START + 29 * MINUTE, "claim")], ["claim"]),
    ("closed, 31 minutes", [{"kind": "ticket", "time": START, "ticket": "t", "state": "closed", "type": "claim", "waybill": "w"}, view(START + 31 * MINUTE, "claim")], [""]),
    ("until now", [{"kind": "ticket", "time": START, "ticket": "t", "state": "open", "type": "claim", "waybill": "w", "until": START + HOUR}, view(START + HOUR, "claim")], [""]),
    ("I cover that outlet", [{"kind": "ticket", "time": START, "ticket": "t", "state": "open", "type": "cover", "assignee": "cover", "outlet": "south", "until": START + DAY}, scan(START), view(START + HOUR, "cover")], ["cover"]),
    ("this account covers that outlet", [{"kind": "ticket", "time": START, "ticket": "t", "state": "open", "type": "cover", "account": "cover", "outlet": "south", "until": START + DAY}, scan(START), view(START + HOUR, "cover")], ["cover"]),
    ("I covered that outlet", [{"kind": "ticket", "time": START, "ticket": "t", "state": "open", "type": "cover", "assignee": "cover", "outlet": "south", "until": START + DAY}, scan(START), view(START + DAY, "cover")], [""]),
    ("own explained look", [scan(START, assignee="mixed"), view(START, "mixed"), scan(START + 1), view(START + 99 * HOUR, "mixed")], ["assigned", "assigned"]),
    ("unexplained looks explain nothing", [view(START, "looked"), view(START + 1, "looked"), view(START + 2, "looked")], ["", "", ""]),
    ("unknown to the roster", [scan(START, account="stranger"), view(START, "stranger")], ["own_scan"]),
]  # fmt: skip


@pytest.mark.parametrize(("records", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_rule(records: list[dict[str, Any]], expected: list[str], events_of: Events, tables: Tables) -> None:
    made = context(tables)
    assert reasons(made, events_of(made, records)) == expected


def test_a_late_explanation_takes_back_once(events_of: Events, tables: Tables) -> None:
    made = context(tables)
    late = [
        view(START, "any_scan"),
        scan(START - HOUR, received=START + 30 * HOUR),
        scan(START - 1, received=START + 31 * HOUR),
    ]
    events = events_of(made, late)
    assert [(event["kind"], event["seq"]) for event in events] == [(LOOK, 0), (RETRACT, 0)]
    assert events["weight"].tolist() == [1, 1]
    assert events["row"].tolist() == [0, 1]
    # and the look explains a repeat from now on
    roles = context(tables)
    events = events_of(
        roles,
        [
            view(START, "mixed"),
            scan(START - HOUR, assignee="mixed", received=START + HOUR),
            view(START + 2 * HOUR, "mixed"),
        ],
    )
    assert reasons(roles, events) == ["", "assigned"]


def test_an_unexplained_look_does_not_renew_a_reason(events_of: Events, tables: Tables) -> None:
    short = Settings(reasons=ReasonSettings(roles={"r": Role(reasons=(Reason(template="assigned", window_hours=1), Reason(template="looked", window_hours=2)))}, exact_days=14))  # fmt: skip
    made = Context(short)
    made.apply("accounts", tables("accounts", [{"account": "a", "outlet": "o", "role": "r"}]))
    events = events_of(made, [scan(START, assignee="a"), *(view(START + hours * HOUR, "a") for hours in (0, 3, 4, 5))])
    assert reasons(made, events) == ["assigned", "", "", ""]


def test_a_masked_look_does_not_make_the_unmasked_one_a_repeat(events_of: Events, tables: Tables) -> None:
    made = context(tables)
    events = events_of(made, [view(START, "claim", masked=True), view(START + 1, "claim"), view(START + 2, "claim")])
    assert events["first"].tolist() == [1, 1, 0]
    assert events["weight"].tolist() == [0, 1, 0]


def test_the_last_looks_of_an_account_wait(events_of: Events, tables: Tables) -> None:
    made = context(tables)
    looks = [view(START + i, "any_scan", waybill=f"w{i}") for i in range(5)]
    news = [scan(START - 1, waybill=f"w{i}", received=START + HOUR) for i in range(5)]
    events = events_of(made, looks + news)
    assert sorted(events["seq"][events["kind"] == RETRACT].tolist()) == [2, 3, 4]  # three wait at most


def test_explained_looks_do_not_take_the_place_of_waiting_ones(events_of: Events, tables: Tables) -> None:
    made = context(tables)
    records = []
    for i in range(6):  # each but the first is explained before the next comes
        records.append(view(START + 10 * i, "any_scan", waybill=f"w{i}"))
        if i:
            records.append(scan(START + 10 * i + 1, waybill=f"w{i}"))
    records.append(scan(START + 1, waybill="w0", received=START + 1000))
    events = events_of(made, records)
    assert 0 in events["seq"][events["kind"] == RETRACT]


def test_identifiers_may_be_uuids(events_of: Events, tables: Tables) -> None:
    rng = np.random.default_rng(1)
    names = [str(uuid.UUID(bytes=rng.bytes(16))) for _ in range(400)]
    made = Context(Settings())
    made.apply("accounts", tables("accounts", [{"account": names[0], "outlet": names[1], "role": "courier"}]))
    seen = [scan(START, waybill=name, outlet=names[1]) for name in names[2:200]]
    looks = [view(START + 1, names[0], waybill=name) for name in names[2:]]
    found = [bool(reason) for reason in reasons(made, events_of(made, seen + looks))]
    assert found == [True] * 198 + [False] * 200


def test_looks_without_a_waybill_are_explained_by_the_parcels_table(events_of: Events, tables: Tables) -> None:
    made = Context(Settings())
    made.apply(
        "accounts",
        tables(
            "accounts",
            [{"account": "a", "outlet": "o", "role": "service"}, {"account": "b", "outlet": "p", "role": "service"}],
        ),
    )
    parcel = {
        "waybill": "w",
        "sender": "s1",
        "recipient": "s2",
        "origin": "x",
        "destination": "o",
        "from": START,
        "until": START + DAY,
    }
    again = {**parcel, "waybill": "w2", "until": START + HOUR}  # the same customer: the wider span counts
    made.apply("parcels", tables("parcels", [parcel, again]))
    looks = [
        {"kind": "view", "time": time, "account": who, "subjects": [subject]}
        for who, subject, time in (("a", "s2", START + 2 * HOUR), ("b", "s2", START + 2 * HOUR), ("a", "s9", START + 2 * HOUR), ("a", "s1", START + DAY - 1), ("a", "w", START + DAY))
    ]  # fmt: skip
    made_events = events_of(made, sorted(looks, key=lambda look: look["time"]))
    assert reasons(made, made_events) == ["own_outlet", "", "", "own_outlet", ""]


def test_a_device_that_looks_for_itself_is_an_account_of_its_own(events_of: Events, tables: Tables) -> None:
    made = context(tables)
    rows = [
        {"kind": "view", "time": START, "device": "scanner", "waybill": "w"},
        {"kind": "scan", "time": START + HOUR, "device": "scanner", "waybill": "w", "outlet": "A", "status": "arrived"},
        {"kind": "view", "time": START + 2 * HOUR, "device": "scanner", "waybill": "w"},
        {"kind": "view", "time": START + 2 * HOUR, "device": "other", "waybill": "w"},
    ]
    events = events_of(made, rows)
    who = made.accounts.find(DEVICE_MARK + "scanner")
    assert who >= 0
    looks = events[events["kind"] == LOOK]
    assert looks["account"].tolist() == [who, who, made.accounts.find(DEVICE_MARK + "other")]
    assert [made.labels[reason] for reason in looks["reason"]] == ["", "own_scan", ""]
    assert looks["lone"].tolist() == [1, 1, 1]
    assert {made.roles[role] for role in looks["role"]} == {"unknown"}  # these settings name no role "device"
    taken = events[events["kind"] == RETRACT]  # the scan came within the hour that work may come after a look
    assert taken["account"].tolist() == [who]
    assert taken["lone"].tolist() == [1]


def test_what_is_known_of_a_parcel_and_what_follows_a_look(events_of: Events, tables: Tables) -> None:
    made = context(tables)

    def scan(time: int, account: str | None, status: str, **more: Any) -> dict[str, Any]:
        return {
            "kind": "scan",
            "time": time,
            "account": account,
            "waybill": "w",
            "outlet": "north",
            "status": status,
        } | more

    rows = [
        scan(START, "held", "picked_up"),
        view(START + HOUR, "assigned"),
        scan(START + 3 * HOUR, "held", "arrived", assignee="assigned"),
        view(START + 4 * HOUR, "assigned"),
        view(START + 4 * HOUR, "claim"),
        view(START + 4 * HOUR, "held"),
        scan(START + 5 * HOUR, "assigned", "delivered"),
        scan(START + 6 * HOUR, "assigned", "signed"),
        scan(START + 40 * HOUR, "claim", "problem"),
    ]
    events = events_of(made, rows)
    looks, work = events[events["kind"] == LOOK], events[events["kind"] == WORK]
    assert looks["fresh"].tolist() == [1, 0, 0, 0]
    assert looks["assigned"].tolist() == [0, 1, 2, 2]
    assert looks["own_scan"].tolist() == [0, 0, 0, 1]
    # one look, one consequence: the second scan of the parcel says nothing new, the scan after a day nothing at all
    assert work["follows"].tolist() == [0, 0, 1, 0, 0]
    north = made.outlets.find("north")
    assert work["at"].tolist() == [north] * 5


def test_tokens_weigh_by_subjects_and_fields(events_of: Events, tables: Tables) -> None:
    made = context(tables)
    looks = [
        view(START, "claim", waybill="a", subjects=["s"] * 5, fields=["recipient.phone"]),
        view(START, "claim", waybill="b", subjects=["s"], fields=["recipient.phone", "sender.id_number"]),
        view(START, "claim", waybill="c", masked=True, subjects=["s"] * 5),
        view(START, "claim", waybill="d", decision="d1"),
        view(START, "claim", waybill="e", decision="made-up"),
    ]
    events_of(made, [view(START, "claim", waybill="d", decision="d1", source="wb.decide")])
    assert events_of(made, looks)["weight"].tolist() == [5, 10, 0, 0, 1]


@pytest.mark.parametrize(("minutes", "explains"), [(29, True), (31, False)])
def test_a_ticket_opened_soon_after_the_look_explains_it(
    events_of: Events, tables: Tables, minutes: int, explains: bool
) -> None:
    later = START + minutes * MINUTE
    ticket = {"kind": "ticket", "time": later, "ticket": "t", "state": "open", "type": "claim", "waybill": "w"}
    events = events_of(context(tables), [view(START, "claim"), ticket])
    assert (RETRACT in events["kind"].tolist()) == explains


def test_a_canary_is_seen_by_waybill_and_by_subject_once_it_is_placed(events_of: Events, tables: Tables) -> None:
    made = context(tables)
    made.apply(
        "canaries", tables("canaries", [{"waybill": "trap", "placed": START}, {"subject": "ghost", "placed": START}])
    )
    looks = [
        view(START - 1, "claim", waybill="trap"),
        view(START, "claim", waybill="trap"),
        view(START, "claim", subjects=["x", "ghost"]),
        view(START, "claim"),
    ]
    assert events_of(made, looks)["canary"].tolist() == [0, 1, 1, 0]


def test_waiting_looks_are_forgotten_after_their_hours(events_of: Events, tables: Tables) -> None:
    made = context(tables)
    gone = START + 4 * DAY
    events = events_of(made, [view(START, "any_scan"), scan(gone, waybill="other"), scan(START - 1, received=gone)])
    assert RETRACT not in events["kind"]
    assert made.pool_used == 0


def test_another_customer_or_field_of_the_same_item_costs_again_and_the_same_does_not(
    events_of: Events, tables: Tables
) -> None:
    made = context(tables)
    base = {"kind": "view", "account": "assigned", "waybill": "w1"}
    shown = [
        {"subjects": ["a"], "fields": ["recipient.name"]},
        {"subjects": ["a"], "fields": ["recipient.name"]},
        {"subjects": ["b"], "fields": ["recipient.name"]},
        {"subjects": ["a"], "fields": ["recipient.id_number"]},
        {"subjects": ["a", "b", "c"], "fields": ["recipient.name"]},
    ]
    events = events_of(made, [base | one | {"id": f"r{i}", "time": START + i * 1000} for i, one in enumerate(shown)])
    assert events["weight"].tolist() == [1, 0, 1, 10, 3]
    assert events["first"].tolist() == [1, 0, 0, 0, 0]  # evidence counts items


def test_an_export_costs_all_its_rows(events_of: Events, tables: Tables) -> None:
    made = context(tables)
    records = [
        {"id": "e", "kind": "export", "account": "assigned", "time": START, "results": 500},
        {"id": "s", "kind": "search", "account": "assigned", "time": START, "results": 500, "subjects": ["a"]},
    ]
    assert events_of(made, records)["weight"].tolist() == [500, 1]

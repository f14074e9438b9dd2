from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchbill.context.context import Context, grown
from watchbill.context.events import LOGIN, LOOK
from watchbill.core.settings import LimitSettings, Settings

DAY, HOUR = 86_400_000, 3_600_000
START = 20_000 * DAY
Events = Callable[..., NDArray[np.void]]
Tables = Callable[..., Any]


def test_events_carry_what_is_known_of_the_moment(events_of: Events, tables: Tables) -> None:
    made = Context(Settings())
    made.apply("networks", tables("networks", [{"network": "10.0.0.0/8", "place": "office", "kind": "office"}]))
    made.apply("accounts", tables("accounts", [
        {"account": "a", "outlet": "o", "role": "courier", "from": START, "until": START + HOUR},
        {"account": "a", "outlet": "p", "role": "service", "from": START + HOUR},
    ]))  # fmt: skip
    look = {"kind": "view", "account": "a", "waybill": "w", "ip": "10.1.1.1", "device": "d"}
    login = {"kind": "login", "account": "a", "ip": "9.9.9.9", "outcome": "failure"}
    events = events_of(made, [{**look, "time": START}, {**look, "time": START + HOUR}, {**login, "time": START + 17 * HOUR}, {**look, "account": "z", "time": START + 18 * HOUR}])  # fmt: skip
    assert events["kind"].tolist() == [LOOK, LOOK, LOGIN, LOOK]
    assert [made.roles[role] for role in events["role"]] == ["courier", "service", "service", "unknown"]
    assert [made.outlets.names[o] if o >= 0 else "" for o in events["outlet_id"]] == ["o", "p", "p", ""]
    assert events["place"].tolist() == [0, 0, -1, 0]
    assert events["day"].tolist() == [20_000, 20_000, 20_001, 20_001]  # Shanghai is eight hours ahead
    assert events["hour"].tolist() == [8, 9, 1, 2]
    assert events["success"].tolist() == [1, 1, 0, 1]
    assert events["roster"].tolist() == [0, 0, 0, 1]
    assert events["first"].tolist() == [1, 0, 0, 1]


def test_a_reload_counts_from_the_next_record_on(events_of: Events, tables: Tables) -> None:
    made = Context(Settings())
    look = {"kind": "view", "account": "a", "waybill": "w"}
    roster = tables("accounts", [{"account": "a", "outlet": "o", "role": "courier"}])
    statuses = []
    for number, table in enumerate([None, roster, roster.slice(0, 0), roster]):
        made.apply("accounts", table)
        statuses += events_of(made, [{**look, "time": START + number}], None, number)["roster"].tolist()
    assert statuses == [1, 0, 1, 0]


def test_people_are_numbered_in_order_of_appearance_for_any_cut(events_of: Events) -> None:
    records = [
        {"kind": "scan", "time": START, "waybill": "w", "outlet": "o", "status": "arrived", "account": "s1", "assignee": "c1"},
        {"kind": "view", "time": START, "account": "a", "waybill": "w"},
        {"kind": "scan", "time": START, "waybill": "w", "outlet": "p", "status": "arrived", "account": "s2", "assignee": "c2"},
    ]  # fmt: skip
    names = []
    for edges in ([], [1], [1, 2]):
        made = Context(Settings())
        events_of(made, records, edges)
        names.append(made.accounts.names)
    assert names == [["s1", "c1", "a", "s2", "c2"]] * 3


def test_cuts_fall_on_hours(events_of: Events) -> None:
    made = Context(Settings())
    records = [{"kind": "login", "time": START + minute * 60_000, "account": "a"} for minute in (0, 59, 60, 61, 200)]
    assert len(events_of(made, records)) == 5
    assert made.clock[0] == START + 201 * 60_000


def test_made_up_names_meet_a_limit(events_of: Events) -> None:
    made = Context(Settings(limits=LimitSettings(accounts_max=3)))
    looks = [{"kind": "view", "time": START, "account": f"a{n}", "waybill": "w"} for n in range(5)]
    events = events_of(made, looks)
    assert events["account"].tolist() == [0, 1, 2, -1, -1]  # each look still has its event, and so its verdict
    assert (made.accounts.names, made.accounts.left_out) == (["a0", "a1", "a2"], 2)


def test_memory_is_flat_over_days(events_of: Events) -> None:
    made = Context(Settings())
    sizes = []
    for day in range(40):
        base = START + day * DAY
        looks = [
            {"kind": "view", "time": base + n * 1000, "account": f"a{n % 5}", "waybill": f"w{day}-{n}"}
            for n in range(150)
        ]
        scans = [
            {"kind": "scan", "time": base + 200_000 + n, "waybill": f"s{day}-{n}", "outlet": "o", "status": "signed"}
            for n in range(150)
        ]
        events_of(made, looks + scans)
        parts = (
            made.work.cells,
            made.work.words,
            made.signed.cells,
            made.tickets.cells,
            made.heads.cells,
            made.pool,
            made.desk,
        )
        sizes.append(sum(part.nbytes for part in parts))
    assert max(sizes[-5:]) <= max(sizes[30:35])


def test_arrays_grow_by_half() -> None:
    assert grown(np.zeros(10), 5).shape == (10,)
    assert grown(np.zeros(10), 100).shape == (150,)
    held = grown(np.arange(70), 71)
    assert held[:70].tolist() == list(range(70))
    assert not held[70:].any()

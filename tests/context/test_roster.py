from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchbill.context.interning import Interner
from watchbill.context.roster import ACTIVE, EARLY, ENDED, UNKNOWN, Roster, post_at, roster_of
from watchbill.core.settings import ReasonSettings

Tables = Callable[[str, list[dict[str, Any]]], pa.Table]
ROLES = ["courier", "service", "unknown"]


def build(
    tables: Tables, rows: list[dict[str, Any]], names: ReasonSettings | None = None
) -> tuple[Roster, Interner, Interner]:
    accounts, outlets = Interner("accounts", 100), Interner("outlets", 100)
    return roster_of(tables("accounts", rows), accounts, outlets, ROLES, names or ReasonSettings()), accounts, outlets


def at(roster: Roster, account: int, time: int) -> tuple[int, int]:
    return post_at(roster.first, roster.posts, account, time)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(st.sampled_from("ab"), st.none() | st.integers(0, 20), st.none() | st.integers(0, 20)), max_size=8),
    time=st.integers(-2, 22),
)  # fmt: skip
def test_the_post_of_a_moment(rows: list[tuple[str, int | None, int | None]], time: int, tables: Tables) -> None:
    given_rows = [
        {"account": who, "outlet": f"o{n}", "role": "courier", "from": since, "until": until}
        for n, (who, since, until) in enumerate(rows)
    ]
    roster, accounts, outlets = build(tables, given_rows)
    for who in "abc":
        mine = [
            (since or 0, until if until is not None else 10**9, f"o{n}")
            for n, (name, since, until) in enumerate(rows)
            if name == who
        ]
        post, status = at(roster, accounts.find(who), time)
        holding = [outlet for since, until, outlet in mine if since <= time < until]
        if not mine:
            assert (post, status) == (-1, UNKNOWN)
        elif holding:
            assert status == ACTIVE
            assert outlets.names[roster.posts[post]["outlet_id"]] in holding
        elif all(since > time for since, _, _ in mine):
            assert status == EARLY
        else:
            assert status == ENDED
            assert roster.posts[post]["since"] == max(since for since, _, _ in mine if since <= time)


def test_an_account_that_moves_keeps_its_history(tables: Tables) -> None:
    rows = [
        {"account": "a", "outlet": "north", "role": "courier", "from": 0, "until": 100, "supervisor": "boss"},
        {"account": "a", "outlet": "south", "role": "service", "from": 100, "until": 200},
    ]
    roster, accounts, outlets = build(tables, rows[::-1])
    posts = [roster.posts[at(roster, 0, time)[0]] for time in (99, 100)]
    assert [outlets.names[post["outlet_id"]] for post in posts] == ["north", "south"]
    assert [ROLES[post["role"]] for post in posts] == ["courier", "service"]
    assert posts[0]["supervisor"] == accounts.hashes[accounts.find("boss")]
    assert posts[1]["supervisor"] == 0
    assert at(roster, 0, 200)[1] == ENDED  # `until` is excluded


def test_several_persons_at_once_share_a_number(tables: Tables) -> None:
    rows = [{"account": "a", "outlet": "o", "role": "service", "person": person, "from": since, "until": until}
            for person, since, until in (("p", 0, 100), ("q", 50, 150), ("q", 60, 70), ("r", 150, 160))]  # fmt: skip
    roster, _, _ = build(tables, rows)
    assert [int(post["persons"]) for post in roster.posts] == [2, 2, 2, 1]


def test_names_of_roles_are_mapped_and_others_are_unknown(tables: Tables) -> None:
    rows = [
        {"account": str(n), "outlet": None, "role": role}
        for n, role in enumerate(["快递员", "service", "boss", None, ""])
    ]
    roster, _, _ = build(tables, rows, ReasonSettings(role_names={"快递员": "courier"}))
    assert [ROLES[post["role"]] for post in roster.posts] == ["courier", "service", "unknown", "unknown", "unknown"]
    assert (roster.posts["outlet"] == 0).all()
    assert (roster.posts["outlet_id"] == -1).all()


def test_a_roster_that_shrinks_to_zero_knows_nobody(tables: Tables) -> None:
    roster, accounts, outlets = build(tables, [{"account": "a", "outlet": "o", "role": "courier"}])
    assert at(roster, 0, 5)[1] == ACTIVE
    for empty in (tables("accounts", []), None):
        none = roster_of(empty, accounts, outlets, ROLES, ReasonSettings())
        assert at(none, 0, 5) == (-1, UNKNOWN)
    assert at(roster, -1, 5) == (-1, UNKNOWN)
    assert at(roster, 99, 5) == (-1, UNKNOWN)  # interned after the roster was built

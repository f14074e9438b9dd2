from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from watchbill.inquiry.hygiene import (
    DAY_MS,
    Habits,
    devices_finding,
    missing_finding,
    roster_findings,
    shifts_finding,
    silent_finding,
)

NOW = 20_000 * DAY_MS


def roster(*rows: tuple[str, str, str | None, int | None, int | None]) -> pa.Table:
    names = ("account", "person", "outlet", "from", "until")
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    types = (pa.string(), pa.string(), pa.string(), pa.int64(), pa.int64())
    table = {name: pa.array(column, kind) for name, column, kind in zip(names, columns, types, strict=True)}
    return pa.table(table | {"role": pa.array(["service"] * len(rows))})


def found(
    table: pa.Table | None, habits: Habits, first: int = NOW - 40 * DAY_MS
) -> dict[str, tuple[dict[str, object], ...]]:
    return {one.kind: one.items for one in roster_findings(table, habits, first, NOW) if one.count}


def test_a_shared_number_has_a_date_by_which_it_must_be_none() -> None:
    table = roster(
        ("a", "P1", "o", None, None), ("a", "P2", "o", NOW - 50 * DAY_MS, None), ("b", "P3", "o", None, None)
    )
    old = found(table, Habits())["shared_number"]
    assert old == ({"account": "a", "outlet": "o", "persons": 2, "since": NOW - 50 * DAY_MS,
                    "migrate_by": NOW - 10 * DAY_MS, "overdue": True},)  # fmt: skip
    new = found(table, Habits(), first=NOW - DAY_MS)["shared_number"][0]
    assert new["migrate_by"] == NOW + 29 * DAY_MS
    assert new["overdue"] is False
    after_another = roster(("a", "P1", "o", None, NOW - 9), ("a", "P2", "o", NOW - 9, None))
    assert "shared_number" not in found(after_another, Habits())


def test_leavers_still_open_strangers_and_people_of_no_outlet() -> None:
    table = roster(
        ("gone", "P1", "o", None, NOW - 5 * DAY_MS),
        ("left", "P2", "o", None, NOW - DAY_MS),
        ("lost", "P3", None, None, None),
    )
    habits = Habits(newest={"gone": NOW - DAY_MS, "left": NOW - 2 * DAY_MS, "who": NOW})
    said = found(table, habits)
    assert [row["account"] for row in said["leaver_open"]] == ["gone"]
    assert [row["account"] for row in said["not_on_roster"]] == ["who"]
    assert [row["account"] for row in said["no_outlet"]] == ["lost"]
    assert list(found(None, habits)) == ["no_roster"]


def test_unregistered_devices_in_daily_use() -> None:
    habits = Habits(devices={"D1": ({"a"}, {1, 2, 3}, 9), "D2": ({"a", "b"}, {1, 2, 3}, 9), "D3": ({"a"}, {1, 2}, 9)})
    said = devices_finding(pa.table({"device": ["D1"]}), habits)
    assert said is not None
    assert [row["device"] for row in said.items] == ["D2"]
    assert said.items[0]["accounts"] == ["a", "b"]
    assert devices_finding(None, habits) is None


def test_stale_shifts() -> None:
    def shifts(*until: int) -> pa.Table:
        return pa.table({"account": [f"a{n}" for n in range(len(until))], "until": pa.array(until, pa.int64())})

    habits = Habits(newest={"a0": NOW, "a1": NOW})
    whole = shifts_finding(shifts(NOW - 3 * DAY_MS), habits, NOW)
    assert whole is not None
    assert "ends before today" in whole.text
    some = shifts_finding(shifts(NOW, NOW - 9 * DAY_MS), habits, NOW)
    assert some is not None
    assert [row["account"] for row in some.items] == ["a1"]
    assert shifts_finding(None, habits, NOW) is None


def test_absent_tables_and_silent_sources(tmp_path: Path) -> None:
    assert {row["table"] for row in missing_finding({"devices": pa.table({})}).items} == {
        "networks",
        "shifts",
        "canaries",
    }
    assert silent_finding(tmp_path) is not None
    status = tmp_path / "status.json"
    status.write_text('{"sources": {"desk": {"lag_ms": 9, "silent": true}, "hub": {"lag_ms": 1, "silent": false}}}')
    said = silent_finding(tmp_path)
    assert said is not None
    assert said.items == ({"source": "desk", "lag_ms": 9},)
    status.write_text("{")
    assert (again := silent_finding(tmp_path)) is not None
    assert again.kind == "status_damaged"

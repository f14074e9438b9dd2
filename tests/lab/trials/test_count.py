"""Counting on verdicts made by hand: every number is worked out beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from watchbill.lab.trials.count import DAY_MS, SIZES, TENURES, band, count_world, open_counts, truth_of
from watchbill.lab.trials.curve import honest_accounts

START = 20_000 * DAY_MS - 28_800_000
HOUR = 3_600_000

# account, day, hour, decision, and what is not usual of it
LOOKS: list[tuple[str, int, int, str, dict[str, Any]]] = [
    ("A", 0, 9, "step_up", {}),  # in the first days: counts as cold only
    ("A", 2, 9, "allow", {"first": True, "explained": True}),
    ("A", 2, 10, "mask", {"first": True}),
    ("A", 2, 11, "allow", {"masked": True}),  # showed nobody
    ("A", 3, 9, "deny", {}),
    ("A", 3, 10, "deny", {}),  # the same day again
    ("B", 2, 9, "allow", {"first": True, "explained": True}),
    ("B", 2, 10, "ask_reason", {}),
    ("R", 2, 9, "deny", {}),  # a robot is nobody
    ("V", 2, 8, "step_up", {}),  # the owner of an attacked account
    ("V", 2, 9, "allow", {"attack": "lease-0", "explained": True}),
    ("V", 2, 10, "allow", {"attack": "lease-0", "outcome": "failure"}),  # found nobody
    ("V", 2, 11, "mask", {"attack": "lease-0"}),
    ("V", 2, 12, "allow", {"attack": "lease-0"}),  # before the stop, after the first answer
    ("V", 2, 13, "step_up", {"attack": "lease-0"}),
    ("V", 3, 9, "allow", {"attack": "lease-0", "kind": "export", "results": 30}),  # the step has lapsed
    ("W", 2, 9, "allow", {"attack": "slow-1"}),  # before its harvest
    ("W", 3, 9, "allow", {"attack": "slow-1"}),
    (None, 3, 9, "allow", {"attack": "malware-2", "device": "D9"}),
]  # fmt: skip
STEPS = [
    (9, 2, "B", None, "ask_reason"),
    (10, 3, "B", None, "none"),
    (11, 3, "B", None, "suspend"),
    (12, 3, "B", None, "mask"),
    (13, 3, "B", None, "step_up"),
    (14, 2, "V", None, "step_up"),
    (15, 3, "R", None, "throttle"),
    (5, 3, "W", None, "suspend"),  # before its attack's first record: by chance
]
CASES = [
    {"seq": 14, "opened": START + 2 * DAY_MS + 13 * HOUR, "kind": "leased", "accounts": ["V"], "devices": []},
    {"seq": 15, "opened": START + 3 * DAY_MS, "kind": "owner", "accounts": ["A"], "devices": ["D9"]},
    {"seq": 19, "opened": START + 3 * DAY_MS + 10 * HOUR, "kind": "device", "accounts": [], "devices": ["D9"]},
]
ATTACKS = [
    {"id": "lease-0", "kind": "blatant_lease", "accounts": ["V"], "devices": ["D1"]},
    {"id": "slow-1", "kind": "poisoner", "accounts": ["W"], "devices": ["D2"], "harvest_from": START + 3 * DAY_MS},
    {"id": "malware-2", "kind": "scanner_malware", "accounts": [], "devices": ["D9"]},
    {"id": "idle-3", "kind": "mimic", "accounts": ["A"], "devices": []},
]


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    world = tmp_path_factory.mktemp("world")
    out = write(world)
    db = open_counts(world, out, 2, START, truth_of(world))
    return count_world(db, 2, truth_of(world)) | {"honest": honest_accounts(db)}


def write(world: Path) -> Path:
    records, truth, verdicts = [], [], []
    for seq, (account, day, hour, decision, more) in enumerate(LOOKS):
        time, attack = START + day * DAY_MS + hour * HOUR, more.get("attack")
        records.append(
            {"id": f"e{seq}", "kind": more.get("kind", "view"), "outcome": more.get("outcome"), "masked": more.get("masked"),
             "subjects": [f"p{seq}"], "results": more.get("results"), "session": "s", "device": more.get("device", "D")}
        )  # fmt: skip
        truth.append({"id": f"e{seq}", "wrongful": attack is not None, "attack": attack, "first": more.get("first", False),
                      "operator": "owner"})  # fmt: skip
        verdicts.append({"seq": seq, "id": f"e{seq}", "time": time, "account": account, "decision": decision,
                         "explained": more.get("explained", False), "score": 0.5})  # fmt: skip
    people = [(a, "robot" if a == "R" else "courier", {"V": "blatant_lease", "W": "poisoner"}.get(a)) for a in "ABRVW"]
    rows = [{"account": a, "role": r, "attack": k, "outlet_size": 3, "tenure_days": 400} for a, r, k in people]
    out = world / "out"
    for folder in (world / "records", world / "truth", out):
        folder.mkdir()
    pq.write_table(pa.Table.from_pylist(records), world / "records" / "day.parquet")
    pq.write_table(pa.Table.from_pylist(truth), world / "truth" / "looks.parquet")
    pq.write_table(pa.Table.from_pylist(rows), world / "truth" / "accounts.parquet")
    pq.write_table(pa.Table.from_pylist(verdicts), out / "verdicts.parquet")
    (world / "truth" / "attacks.json").write_text(json.dumps(ATTACKS))
    steps = [{"seq": s, "time": START + d * DAY_MS, "account": a, "device": v, "step": w} for s, d, a, v, w in STEPS]
    proven = {"account": "B", "time": steps[-1]["time"], "device": None}  # and back again: the same alarm
    steps += [
        {**proven, "seq": 900, "step": "none", "proof": {}},
        {**proven, "seq": 901, "step": "step_up", "resumed": True},
    ]
    (out / "interventions.ndjson").write_text("".join(json.dumps(row) + "\n" for row in steps))
    (out / "cases.ndjson").write_text("".join(json.dumps(row) + "\n" for row in CASES))
    return out


def attack(counted: dict[str, Any], name: str) -> dict[str, Any]:
    (row,) = [one for one in counted["attacks"] if one["id"] == name]
    return row


def test_records_of_a_stopped_attack(counted: dict[str, Any]) -> None:
    row = attack(counted, "lease-0")
    # one before the mask; one more between the mask and the stop; 30 exported after the step lapsed
    assert (row["before_any"], row["before_stop"], row["in_all"]) == (1, 2, 32)
    assert row["shown"] == 1 + 1 + 1 + 1 + 30
    assert (row["accounts"], row["accounts_stopped"], row["account_days"], row["explained"]) == (1, 1, 2, 1)
    assert row["found_by"] == ["case", "step"]
    assert not row["censored"]
    assert (row["role"], row["size"], row["tenure"]) == ("courier", "up to 5 accounts", "over a year")


def test_an_attack_that_is_never_stopped_counts_all_it_got_and_not_what_it_prepared(counted: dict[str, Any]) -> None:
    row = attack(counted, "slow-1")
    assert (row["before_any"], row["before_stop"], row["in_all"], row["shown"]) == (1, 1, 1, 1)
    assert row["censored"]
    assert not row["found"], "a step before its first record is no find"


def test_an_attack_by_a_device_is_found_by_a_case_on_the_device(counted: dict[str, Any]) -> None:
    row = attack(counted, "malware-2")
    assert row["found_by"] == ["case"]
    assert (row["before_stop"], row["accounts"], row["role"]) == (1, 1, "device")


def test_an_attack_without_a_look_was_not_staged(counted: dict[str, Any]) -> None:
    assert [one["id"] for one in counted["attacks"]] == ["lease-0", "slow-1", "malware-2"]


def test_honest_people(counted: dict[str, Any]) -> None:
    people = counted["people"]
    assert counted["honest"] == ["A", "B"]
    assert people["role"] == ["courier", "courier"]
    expected = {
        "days": [2, 2],  # A: days 2 and 3; B: 2, and 3 on which it was suspended
        "days_stopped": [1, 1], "looks": [4, 2], "asked": [1, 1], "stopped": [2, 0], "first": [2, 1],
        "first_explained": [1, 1], "days_suspended": [0, 1], "days_ended": [0, 0], "cases": [1, 0],
        "cold_days": [1, 0], "cold_stopped": [1, 0],
    }  # fmt: skip
    assert {name: people[name] for name in expected} == expected


def test_owners_of_attacked_accounts(counted: dict[str, Any]) -> None:
    assert counted["owners"] == {"looks": 1, "stopped": 1}


def test_cases_and_steps_on_machines(counted: dict[str, Any]) -> None:
    assert counted["machines"] == {"cases": 1, "steps": 1}  # the case on D9; a step on the robot


def test_false_alarms_are_rises_to_a_step_or_beyond(counted: dict[str, Any]) -> None:
    # B: asked; suspended (a rise through all levels, asked again included); then mask > step up: asked and stepped up
    assert counted["alarms"] == {
        "ask_reason": 3, "step_up": 2, "throttle": 1, "end_session": 1, "suspend": 1, "looks": 3,
    }  # fmt: skip


@pytest.mark.parametrize(("value", "name"), [(1, SIZES[0][1]), (5, SIZES[0][1]), (6, SIZES[1][1]), (11, SIZES[2][1])])
def test_bands_hold_their_upper_end(value: int, name: str) -> None:
    assert band(SIZES, value) == name
    assert band(TENURES, -3) == "under 30 days"

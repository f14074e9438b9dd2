from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inquiry.people import DAY, T0, activity, foreign, look, owner_days, tables
from watchbill.context.interning import Interner
from watchbill.context.networks import networks_of
from watchbill.inquiry.inforce import Device, InForce
from watchbill.inquiry.sessions import Activity
from watchbill.inquiry.traits import DEVICE, EDGES, LEVELS, PLACE, TRAITS, Habits, Traits

HABITS = Habits({"": np.full(24, 1 / 24)})


def traits(found: Activity, around: InForce | None = None) -> Traits:
    return Traits(found, around or tables(), HABITS, 0)


def level(found: Traits, name: str, owner: list[float]) -> list[int]:
    column = TRAITS.index(name)
    return found.levels(np.array(owner))[:, column].tolist()


MIXED = [*owner_days(6), *foreign(3)]  # sessions in order of time: own0-own3, other, own4, own5
OWNER = [1.0] * 4 + [0.0] + [1.0] * 2


@pytest.mark.parametrize("name", ["device", "place", "reason", "work", "hour", "rhythm", "mix", "walk"])
def test_the_stranger_stands_out(name: str) -> None:
    found = level(traits(activity(MIXED)), name, OWNER)
    assert (
        found[4] == LEVELS[name] - 1 if name not in {"place", "mix", "hour"} else found[4] > max(found[:4] + found[5:])
    )
    assert found[4] > max(found[:4] + found[5:])


def test_levels_of_a_device() -> None:
    around = InForce(
        posts=tables().posts, devices={"H1": Device("O1", "handset", False), "H2": Device("O2", "pc", False)}
    )
    rows = [
        row
        for day, device in enumerate(["H1"] * 5 + ["H2", "X", "H2", ""])
        for row in foreign(day, session=f"s{day}", device=device)
    ]
    found = level(traits(activity(rows), around), "device", [1.0] * 5 + [0.05] * 4)
    assert [DEVICE[k] if k >= 0 else None for k in found] == [
        "usual", "usual", "usual", "usual", "usual", "registered", "new", "registered", None
    ]  # fmt: skip
    alone = level(traits(activity(foreign(0)), InForce()), "device", [1.0])
    assert alone == [-1], "without a table and a past every device is new"


def test_levels_of_a_place() -> None:
    rows = {"network": ["10.0.0.0/8", "20.0.0.0/8", "30.0.0.0/8", "40.0.0.0/8"], "place": ["O1", "near", "far", "mobile"],
            "lat": [31.2, 31.3, 39.9, 31.2], "lon": [121.5, 121.4, 116.4, 121.5], "kind": ["office", "broadband", "broadband", "mobile"]}  # fmt: skip
    around = InForce(
        posts=tables().posts, networks=networks_of(pa.table(rows), Interner("p", 9)), outlets={"O1": (31.2, 121.5)}
    )
    ips = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "20.0.0.1", "30.0.0.1", "40.0.0.1", "50.0.0.1", None]
    found = level(
        traits(activity([look(T0 + day * DAY, session=f"s{day}", ip=ip) for day, ip in enumerate(ips)]), around),
        "place", [1.0] * 3 + [0.1] * 5,
    )  # fmt: skip
    assert [PLACE[k] if k >= 0 else None for k in found] == ["usual"] * 3 + ["near", "far", "roaming", "unknown", None]


def test_work_elsewhere_while_a_session_is_open() -> None:
    scans = [look(T0 + 3 * DAY + 72_000_000 + k * 20_000, kind="scan", waybill=f"Z{k}", id=f"z{k}") for k in range(9)]
    inside = [row for day in range(6) for row in owner_days(6) if row["time"] // DAY == T0 // DAY + day]
    found = level(traits(activity([*inside, *foreign(3), *scans])), "elsewhere", OWNER)
    assert found[4] == LEVELS["elsewhere"] - 1
    assert max(found[:4]) <= 1


def test_the_same_minute_counts_against_the_stranger_only() -> None:
    found = level(traits(activity([*owner_days(6), *foreign(3, hour=9.8)])), "overlap", OWNER)
    assert found[4] > 0
    assert found[:4] + found[5:] == [0] * 6


def test_shifts_and_numbers_that_lead_nowhere() -> None:
    hour = 3_600_000
    shifts = np.array([[T0 + day * DAY + 8 * hour, T0 + day * DAY + 19 * hour] for day in range(6)], np.int64)
    around = InForce(posts=tables().posts, shifts={"E1": shifts})
    rows = [*owner_days(6), *({**row, "outcome": "failure"} for row in foreign(3))]
    found = traits(activity(rows), around)
    assert level(found, "shift", OWNER) == [0, 0, 0, 0, 2, 0, 0]
    assert level(found, "failed", OWNER)[4] == 2
    assert level(traits(activity(rows)), "shift", OWNER) == [-1] * 7


@given(st.lists(st.floats(0, 1), min_size=7, max_size=7))
def test_a_session_never_vouches_for_itself(owner: list[float]) -> None:
    found = traits(activity(MIXED))
    before = found.levels(np.array(owner))
    for s in range(7):
        other = list(owner)
        other[s] = 1.0 - owner[s]
        mine = found.levels(np.array(other))[s]
        # which device the owner uses more often is the one thing that is a comparison with this session's own
        kept = [k for k, name in enumerate(TRAITS) if name != "overlap"]
        assert mine[kept].tolist() == before[s][kept].tolist()


@given(st.lists(st.floats(0, 1), min_size=7, max_size=7))
def test_levels_are_in_range(owner: list[float]) -> None:
    found = traits(activity(MIXED)).levels(np.array(owner))
    assert (found >= -1).all()
    assert (found < np.array([LEVELS[name] for name in TRAITS])).all()
    assert all(list(edges) == sorted(edges) for edges in EDGES.values())


def test_no_looks_no_levels() -> None:
    assert traits(activity([])).levels(np.zeros(0)).shape == (0, len(TRAITS))

from __future__ import annotations

import csv
import io

import pytest

from lab.trials.counts import attack, people, world
from watchbill.lab.trials.sweep import COLUMNS, as_csv, curve_points


def worlds() -> list[dict[str, object]]:
    control = world("control", 0, people=people({"days": 10, "looks": 100}, {"days": 30, "looks": 300}))
    control["curve"]["points"] = [{"people": [[1, 4, 8]], "attacks": {}}, {"people": [[0, 1, 0]], "attacks": {}}]
    staged = world("attacks", 0, attacks=[attack("blatant_lease", 0, 3), attack("mimic", 1, 20)])
    staged["curve"]["points"] = [
        {"people": [], "attacks": {"blatant_lease-0": 1, "mimic-1": 5}},
        {"people": [], "attacks": {"blatant_lease-0": 3, "mimic-1": 20}},
    ]
    return [control, staged]


def test_points_set_records_against_people() -> None:
    rows = {(row["factor"], row["class"]): row for row in curve_points(worlds())}
    assert set(rows) == {(f, c) for f in (0.1, 1.0) for c in ("bulk", "slow", "all")}
    soon, usual = rows[0.1, "all"], rows[1.0, "all"]
    assert soon["stepped_up_per_1000"] == pytest.approx(100)
    assert soon["asked_share"] == pytest.approx(8 / 400)
    assert usual["stepped_up_per_1000"] == pytest.approx(25)
    assert usual["people_a_day"] == pytest.approx(10_000)
    assert (soon["records_median"], soon["records_p90"], usual["records_p90"]) == (1, 5, 20)
    assert rows[1.0, "bulk"]["records_median"] == 3
    assert usual["stepped_up_low"] < 25 < usual["stepped_up_high"]


def test_there_is_no_curve_where_the_policy_cannot_be_run_again() -> None:
    made = worlds()
    made[1]["curve"] = {"agrees": False, "factors": [], "points": []}
    assert curve_points(made) == []
    assert curve_points(made[:1]) == []


def test_csv_reads_back() -> None:
    points = curve_points(worlds())
    rows = list(csv.DictReader(io.StringIO(as_csv(points))))
    assert tuple(rows[0]) == COLUMNS
    assert [float(row["records_median"]) for row in rows] == [point["records_median"] for point in points]

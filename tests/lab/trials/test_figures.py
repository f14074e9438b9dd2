from __future__ import annotations

import pytest

from lab.trials.counts import attack, people, world
from watchbill.core.settings import PolicySettings
from watchbill.lab.trials.figures import (
    _attribution,
    alarm_figures,
    attacks_in,
    families_figure,
    groups_table,
    kinds_table,
    people_figures,
    people_in,
    records_figures,
    stress_table,
    table_of,
)
from watchbill.lab.trials.gates import LIMITS


def test_records_by_class_count_the_never_stopped_with_all_they_got() -> None:
    bulk = [attack("blatant_lease", n, n, world=n) for n in range(1, 10)]
    bulk.append(attack("device_ring", 0, 800, world=10, censored=True, accounts_stopped=0))
    made = records_figures([*bulk, attack("slow_sixty", 1, 55, world=3)])
    assert made["bulk_median"].value == 5
    assert made["bulk_p90"].value == 9
    assert made["bulk_median"].basis == "10 attacks of 2 kinds, 1 never stopped"
    assert made["slow_median"].met == "gate"
    assert not made["slow_median"].sure
    assert made["half_median"].met == "not available"


def test_a_family_is_found_when_half_of_its_stagings_are() -> None:
    rows = [attack("mimic", 1, 5), attack("mimic", 2, 5, found=False)]
    rows += [attack("slow_sixty", n, 5, found=n == 0) for n in range(3)]
    figure = families_figure(rows)
    assert figure.value == 0.5
    assert figure.basis == "1 of 2 kinds; not: slow_sixty"
    assert figure.met == "missed"


def test_people_are_told_for_the_whole_carrier() -> None:
    two = [people({"days": 600, "days_stopped": 1, "cases": 1, "looks": 60_000, "asked": 30, "first": 100, "first_explained": 98}),
           people({"days": 400, "looks": 40_000, "asked": 20, "first": 100, "first_explained": 98})]  # fmt: skip
    held = people_in([world("control", n, people=one) for n, one in enumerate(two)])
    made = people_figures(held, minutes_a_case=15)
    assert "300 analyst-hours a day (3 cases)" in people_figures(held, 15, more_cases=2)["stepped_up"].carrier
    stepped = made["stepped_up"]
    assert stepped.value == pytest.approx(1.0)
    assert stepped.low <= 0.177
    assert stepped.high >= 5.6
    assert stepped.basis == "1 of 1,000 account-days"
    assert stepped.carrier.startswith("400 (")
    assert "100 analyst-hours a day (1 cases)" in stepped.carrier
    assert made["suspended"].value == 0
    assert made["asked"].value == pytest.approx(50 / 100_000)
    assert made["asked"].carrier == "20,000 looks a day"
    assert made["explained"].value == pytest.approx(0.98)
    assert made["explained"].met == "gate"


def test_alarms_are_held_against_looks_over_c() -> None:
    alarms = {"ask_reason": 50, "step_up": 1, "throttle": 0, "end_session": 0, "suspend": 0, "looks": 100_000}
    made = alarm_figures([world("control", 0, alarms=alarms)], PolicySettings())
    assert made["alarms_ask_reason"].value == pytest.approx(0.5)  # 100,000 / 1,000 = 100 allowed
    assert made["alarms_ask_reason"].low == pytest.approx(0.371, abs=1e-3)
    assert made["alarms_ask_reason"].sure
    assert made["alarms_step_up"].value == pytest.approx(1.0)
    assert made["alarms_step_up"].met == "goal"
    assert not made["alarms_step_up"].sure
    assert made["alarms_throttle"].value == 0


def test_the_whole_table_stands_even_where_nothing_was_built() -> None:
    rows = table_of([], PolicySettings())
    assert [row.limit for row in rows] == list(LIMITS)
    assert {row.met for row in rows} == {"not available"}


def test_kinds_say_whether_anybody_tuned_on_them() -> None:
    worlds = [world("attacks", 0, attacks=[attack("blatant_lease", 0, 3), attack("mimic", 1, 40, found=False, found_by=[])]),
              world("attacks", 1, attacks=[attack("blatant_lease", 0, 5)])]  # fmt: skip
    lease, mimic = kinds_table(attacks_in(worlds))
    assert (lease["kind"], lease["tuned"], lease["staged"], lease["found"], lease["case"]) == (
        "blatant_lease",
        True,
        2,
        2,
        2,
    )
    assert lease["before_stop"]["median"] == 3
    assert lease["before_stop"]["p90"] == 5
    assert (mimic["tuned"], mimic["found"], mimic["class"]) == (False, 0, "slow")
    assert lease["explained"] == pytest.approx(0.1)


def test_results_by_role_and_under_stress() -> None:
    control = world("control", 0, people=people({"days": 10, "days_stopped": 1}))
    other = world("control", 1, people=people({"days": 30}, role="clerk"))
    rows = groups_table(people_in([control, other]), [attack("mimic", 0, 7)], "role")
    assert [(row["role"], row["account_days"], row["attacks"]) for row in rows] == [
        ("clerk", 30, 0),
        ("courier", 10, 1),
    ]
    assert rows[1]["stepped_up"][0] == pytest.approx(0.1)
    assert rows[0]["stepped_up"][0] == 0
    assert rows[1]["before_stop"] == 7
    stressed = world("stress", 0, scenario="peak_days", people=people({"days": 5}), attacks=[attack("mimic", 0, 9)])
    table = stress_table([control, other, stressed])
    assert [(row["scenario"], row["worlds"], row["account_days"]) for row in table] == [
        ("usual", 2, 40),
        ("peak_days", 1, 5),
    ]
    assert table[1]["before_stop"] == 9


def test_planted_leaks_of_all_worlds_count_together() -> None:
    worlds = [
        {"group": "attacks", "attribution": {"asked": 12, "right": 12, "named": 9, "wrong": 0}},
        {"group": "attacks", "attribution": {"asked": 8, "right": 7, "named": 6, "wrong": 1}},
        {"group": "attacks"},
    ]
    figure = _attribution(worlds)
    assert figure.value == 0.95
    assert "20 leaks" in figure.basis
    assert "15 named, 1 of them wrongly" in figure.basis
    assert _attribution([{"group": "attacks", "attribution": {}}]).value is None

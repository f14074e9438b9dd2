from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from watchbill.core.errors import SettingsError
from watchbill.lab.attacks.base import load_attacks
from watchbill.lab.simulator.settings import HonestStress
from watchbill.lab.trials.plan import (
    ATTACKS_A_WORLD,
    LONG_DAYS_MAX,
    Job,
    Wanted,
    chosen,
    plan_trial,
    scenarios,
    stress_of,
)

ATTACK_FILE = """
from watchbill.lab.attacks.base import Attack
from watchbill.lab.simulator.rows import new_rows
ATTACK = Attack(summary="s", generate=lambda view, plan, rng: new_rows(0), choose=lambda *a: (0,))
"""


def test_every_kind_is_staged_once_a_seed_and_has_room() -> None:
    jobs = plan_trial(Wanted(seeds=(2001, 2002)))
    kinds = load_attacks()
    for seed in (2001, 2002):
        staged = [one for job in jobs if job.group == "attacks" and job.seed == seed for one in job.attacks]
        assert sorted(one.kind for one in staged) == sorted(kinds)
    for job in jobs:
        assert len(job.attacks) <= ATTACKS_A_WORLD
        assert job.days <= LONG_DAYS_MAX
        assert all(job.test_from <= one.day < job.days - 1 for one in job.attacks)
        for one in job.attacks:
            if one.kind != "low_and_slow" and job.group == "attacks":
                assert one.day + kinds[one.kind].days <= job.days + kinds[one.kind].days // 2, one.kind


def test_controls_have_no_attack_and_stress_has_its_own_worlds() -> None:
    jobs = plan_trial(Wanted(seeds=(2001, 2002, 2003)))
    controls = [job for job in jobs if job.group == "control"]
    assert [job.seed for job in controls] == [2001, 2002, 2003]
    assert not any(job.attacks for job in controls)
    stress = [job for job in jobs if job.group == "stress"]
    assert {job.scenario for job in stress} == set(scenarios())
    assert len({job.world for job in jobs}) == len(jobs), "two worlds share a seed: they would be the same carrier"
    assert len({job.name for job in jobs}) == len(jobs)
    assert sum(job.group == "speed" for job in jobs) == 1


def test_judged_worlds_lie_after_tuned_ones_in_time() -> None:
    tuned, judged = (plan_trial(Wanted(seeds=(seed,)))[0].start for seed in (1, 2001))
    assert tuned < judged


def test_only_what_was_asked_for() -> None:
    jobs = plan_trial(Wanted(seeds=(1,), attacks="blatant_lease", stress="none", control_outlets=0))
    assert [job.group for job in jobs] == ["attacks", "speed"]
    assert [one.kind for one in jobs[0].attacks] == ["blatant_lease"]
    assert plan_trial(Wanted(seeds=(1,), attacks="none", stress="none"))[0].group == "speed"
    with pytest.raises(SettingsError, match="--attacks"):
        plan_trial(Wanted(seeds=(1,), attacks="blatant_lease,no_such"))
    with pytest.raises(SettingsError, match="--stress"):
        plan_trial(Wanted(seeds=(1,), stress="no_such"))
    with pytest.raises(SettingsError, match="mixed"):
        plan_trial(Wanted(seeds=(1, 2001)))


def test_an_attack_from_outside_is_staged(tmp_path: Path) -> None:
    (tmp_path / "dropped_in.py").write_text(ATTACK_FILE)
    jobs = plan_trial(Wanted(seeds=(1,), attacks="dropped_in", stress="none", extra=tmp_path))
    assert jobs[0].attacks[0].kind == "dropped_in"
    assert jobs[0].extra == str(tmp_path.resolve())


def test_a_job_is_itself_again_after_json_and_its_digest_knows_every_field() -> None:
    job = plan_trial(Wanted(seeds=(1,)))[0]
    again = Job.read(json.loads(json.dumps(asdict(job))))
    assert again == job
    assert again.digest == job.digest
    assert replace(job, days=job.days + 1).digest != job.digest
    assert replace(job, attacks=job.attacks[:-1]).digest != job.digest


def test_names_are_chosen_in_the_order_of_what_is_known() -> None:
    assert chosen("all", ["a", "b"], "--x") == ["a", "b"]
    assert chosen("b, a", ["a", "b", "c"], "--x") == ["a", "b"]
    assert chosen("none", ["a"], "--x") == []


def test_each_scenario_is_another_stress_than_the_usual() -> None:
    assert stress_of("usual") == HonestStress()
    assert all(stress_of(name) != HonestStress() for name in scenarios())
    with pytest.raises(SettingsError, match="--stress"):
        stress_of("no_such")

"""Children, results and resumption, with a child that only pretends to build a world."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from watchbill.core.errors import SettingsError, WatchbillError
from watchbill.lab.trials import run
from watchbill.lab.trials.plan import Job, Wanted, plan_trial
from watchbill.lab.trials.run import RESULTS, Telling, check_folder, result_of, run_jobs

PLAN = plan_trial(Wanted(seeds=(1,), attacks="blatant_lease,mimic", stress="none"))
CHILD = """
import json, pathlib, sys, time
wish, result, folder = (pathlib.Path(word) for word in sys.argv[-3:])
job = json.loads(wish.read_text())
folder.mkdir(parents=True)
(folder / "big").write_text("a world")
print("building", flush=True)
if job["seed"] == 66:
    sys.exit("it cannot be built")
if job["seed"] == 77:
    time.sleep(600)
result.write_text(json.dumps({"digest": DIGESTS[job["name"]], "name": job["name"]}))
"""


@pytest.fixture(autouse=True)
def pretend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Children run CHILD instead of building worlds; the start of the command stays `python`."""
    real = run.subprocess.Popen

    def start(command: list[str], **more: Any) -> Any:
        digests = json.loads((tmp_path / "digests.json").read_text())
        return real([command[0], "-c", f"DIGESTS = {digests!r}\n{CHILD}", *command[-3:]], **more)

    monkeypatch.setattr(run.subprocess, "Popen", start)
    tell(tmp_path, PLAN)


def tell(folder: Path, jobs: list[Job]) -> None:
    (folder / "digests.json").write_text(json.dumps({job.name: job.digest for job in jobs}))


def test_each_result_is_a_file_and_worlds_go(tmp_path: Path) -> None:
    phases: list[tuple[str, str]] = []
    results: list[str] = []
    telling = Telling(
        lambda job, phase: phases.append((job.name, phase)), lambda job, _result: results.append(job.name)
    )
    assert run_jobs(PLAN, tmp_path, at_once=2, keep=False, telling=telling)
    assert sorted(results) == sorted(job.name for job in PLAN)
    assert sorted(phases) == sorted((job.name, "building") for job in PLAN)
    assert all(result_of(tmp_path, job) for job in PLAN)
    assert list((tmp_path / "worlds").iterdir()) == []


def test_worlds_stay_when_asked_to(tmp_path: Path) -> None:
    run_jobs(PLAN[:1], tmp_path, at_once=1, keep=True, telling=Telling())
    assert (tmp_path / "worlds" / PLAN[0].name / "big").exists()


def test_a_stop_keeps_what_is_counted_and_a_later_call_goes_on(tmp_path: Path) -> None:
    done: list[str] = []
    telling = Telling(on_result=lambda job, _result: done.append(job.name), stop=lambda: bool(done))
    assert not run_jobs(PLAN, tmp_path, at_once=1, keep=False, telling=telling)
    assert len(done) == 1
    with pytest.raises(SettingsError, match="--resume"):
        check_folder(tmp_path, PLAN, resume=False)
    left = check_folder(tmp_path, PLAN, resume=True)
    assert [job.name for job in left] == [job.name for job in PLAN if job.name not in done]
    assert run_jobs(left, tmp_path, at_once=1, keep=False, telling=Telling())
    assert check_folder(tmp_path, PLAN, resume=True) == []


def test_a_stop_ends_the_child_that_runs(tmp_path: Path) -> None:
    slow = replace(PLAN[0], seed=77)
    tell(tmp_path, [slow])
    asked: list[str] = []
    telling = Telling(on_phase=lambda _job, phase: asked.append(phase), stop=lambda: bool(asked))
    assert not run_jobs([slow], tmp_path, at_once=1, keep=False, telling=telling)
    assert result_of(tmp_path, slow) is None
    assert not (tmp_path / "worlds" / slow.name).exists()


def test_a_world_that_fails_says_which_and_why(tmp_path: Path) -> None:
    with pytest.raises(WatchbillError, match=f"{PLAN[0].name}.*it cannot be built"):
        run_jobs([replace(PLAN[0], seed=66)], tmp_path, at_once=1, keep=False, telling=Telling())


def test_results_of_another_trial_are_refused(tmp_path: Path) -> None:
    run_jobs(PLAN, tmp_path, at_once=1, keep=False, telling=Telling())
    with pytest.raises(SettingsError, match="another trial"):
        check_folder(tmp_path, [replace(job, days=job.days + 1) for job in PLAN], resume=True)
    with pytest.raises(SettingsError, match="another trial"):
        check_folder(tmp_path, PLAN[1:], resume=True)
    (tmp_path / RESULTS / f"{PLAN[0].name}.json").write_text("{")
    assert result_of(tmp_path, PLAN[0]) is None

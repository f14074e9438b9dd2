from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from watchbill.lab.trials import speed
from watchbill.lab.trials.plan import Job, Staged
from watchbill.lab.trials.work import FAILED, code_digest, main, work


def test_one_small_world_is_built_replayed_and_counted(
    worked: tuple[dict[str, Any], Path], quick_jobs: list[Job]
) -> None:
    result, _ = worked
    assert result["digest"] == quick_jobs[0].digest
    assert result["code"] == code_digest()
    assert {one["kind"] for one in result["attacks"]} == {"blatant_lease", "leaver_reuse"}
    assert all(
        0 <= one["before_any"] <= one["before_stop"] <= one["in_all"] <= one["shown"] for one in result["attacks"]
    )
    lease = next(one for one in result["attacks"] if one["kind"] == "blatant_lease")
    assert lease["shown"] > 100
    assert lease["found"]
    people = result["people"]
    assert len(people["days"]) > 10
    assert all(stopped <= days for stopped, days in zip(people["days_stopped"], people["days"], strict=True))
    assert result["exposure"]["asked"] == 2
    leaks = result["attribution"]
    assert leaks["asked"] > 8
    assert leaks["right"] >= leaks["asked"] - 1
    assert leaks["wrong"] == 0
    json.dumps(result)


def test_the_policy_run_again_at_the_defaults_says_what_was_said(worked: tuple[dict[str, Any], Path]) -> None:
    curve = worked[0]["curve"]
    assert curve["agrees"]
    assert len(curve["points"]) == len(curve["factors"])
    usual = curve["points"][curve["factors"].index(1.0)]
    assert usual["attacks"] == {one["id"]: one["before_stop"] for one in worked[0]["attacks"]}
    people = worked[0]["people"]
    assert sum(days for _, days, _ in usual["people"]) <= sum(people["days_stopped"])
    assert sum(asked for _, _, asked in usual["people"]) == sum(people["asked"])


def test_a_world_that_cannot_be_built_is_told_in_one_line(
    quick_jobs: list[Job], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = replace(quick_jobs[0], attacks=(Staged("no_such_attack", 2),))
    (tmp_path / "job.json").write_text(json.dumps(asdict(job)))
    result = tmp_path / "result.json"
    assert main([str(tmp_path / "job.json"), str(result), str(tmp_path / "folder")]) == FAILED
    assert "no such attack" in capsys.readouterr().err
    assert not result.exists()


def test_single_records_are_timed_through_the_engine(
    quick_jobs: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "RECORDS", 200)
    monkeypatch.setattr(speed, "WARM", 50)
    job = replace(next(job for job in quick_jobs if job.group == "speed"), days=2, outlets=3)
    took = work(job, tmp_path, lambda _phase: None)["speed"]
    assert took["records"] == 150
    assert 0 < took["median"] <= took["p99"] <= took["most"]
    assert took["low"] <= took["high"]

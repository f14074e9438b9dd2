"""`watchbill trial`: what it refuses before anything is built, and one small trial from end to end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from commands.conftest import Told
from lab.trials.counts import world
from watchbill.commands import trial
from watchbill.core.settings import Calibration

Run = Callable[..., Told]
SMALL = ("--days", "3", "--outlets", "3", "--control-outlets", "3", "--scale", "0.2", "--stress", "none", "--jobs", "2")


def test_mixed_seeds_are_refused(run: Run, tmp_path: Path) -> None:
    told = run("trial", "--seeds", "5,2001", "--out", tmp_path / "t")
    assert told.code == 2
    assert "mixed" in told.err
    assert not (tmp_path / "t").exists()


def test_calibration_on_judged_seeds_is_refused(run: Run, tmp_path: Path) -> None:
    told = run("trial", "calibrate", "--seeds", "2001", "--out", tmp_path / "t", "--file", tmp_path / "c.json")
    assert told.code == 2
    assert "must be tuned" in told.err
    assert not (tmp_path / "c.json").exists()


def test_knots_are_written_for_scoring_to_load(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def counted(wanted: Any, *_: Any, **__: Any) -> list[dict[str, Any]]:
        asked.append(wanted)
        return [world("attacks", 0), world("control", 1), {"group": "speed"}]

    monkeypatch.setattr(trial, "_run", counted)
    told = run("trial", "calibrate", "--seeds", "1-2", "--file", tmp_path / "c.json", "--json")
    assert told.json == {"file": str(tmp_path / "c.json"), "seeds": [1, 2], "knots": 2}
    written = json.loads((tmp_path / "c.json").read_text())
    assert Calibration.model_validate(written).raw == (0.001, 0.9)
    # fitted on scores that no earlier calibration had touched
    assert asked[0].settings.risk.calibration == Calibration(raw=(0.0, 1.0), posterior=(0.0, 1.0))


@pytest.mark.slow
@pytest.mark.timeout(400)  # three fresh processes; on a busy machine with cold kernels minutes
def test_a_small_trial_from_end_to_end_and_again(run: Run, tmp_path: Path) -> None:
    words = ("trial", "--seeds", "1", "--attacks", "blatant_lease", *SMALL, "--out", tmp_path / "t")
    told = run(*words, "--json")
    assert told.code == 0, told.err
    report = told.json
    assert report["purpose"] == "tuned"
    assert report["worlds"] == 3
    assert [row["kind"] for row in report["kinds"]] == ["blatant_lease"]
    figures = {row["key"]: row for row in report["table"]}
    assert figures["action_p99"]["value"] > 0
    assert figures["stepped_up"]["value"] is not None
    ET.fromstring((tmp_path / "t" / "curve.svg").read_text())  # noqa: S314  our own text
    assert run(*words, "--json").code == 2
    again = run(*words, "--json", "--resume")
    assert again.json == report
    assert list((tmp_path / "t" / "worlds").iterdir()) == []
    assert json.loads((tmp_path / "t" / "report.json").read_text()) == report

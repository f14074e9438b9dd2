from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from lab.trials.counts import attack, people, world
from watchbill.core.settings import Settings
from watchbill.lab.trials.report import NOT_AVAILABLE, markdown, report_of, seed_case_summary, shown, write_report


def worlds() -> list[dict[str, object]]:
    control = world(
        "control",
        0,
        people=people({"days": 1000, "looks": 10_000, "first": 100, "first_explained": 99, "days_stopped": 1}),
    )
    staged = world("attacks", 0, attacks=[attack("blatant_lease", 0, 3)])
    staged["curve"]["points"] = [{"people": [], "attacks": {"blatant_lease-0": n}} for n in (1, 3)]
    speed = {
        **world("speed", 0),
        "speed": {"records": 10, "median": 0.001, "p99": 0.01, "low": 0.009, "high": 0.02, "most": 0.03},
    }
    for name in ("people", "attacks", "curve", "scores", "operators"):
        del speed[name]
    return [control, staged, speed]


def test_the_report_is_plain_data_and_files(tmp_path: Path) -> None:
    report = report_of(worlds(), Settings())
    names = write_report(tmp_path, report)
    assert names == ["report.json", "report.md", "curve.csv", "curve.svg"]
    assert json.loads((tmp_path / "report.json").read_text())["table"][0]["key"] == "bulk_median"
    ET.fromstring((tmp_path / "curve.svg").read_text())  # noqa: S314  our own text
    text = (tmp_path / "report.md").read_text()
    assert "| event to action, p99 | 0.0100 s | 0.0090 s - 0.0200 s | 5.0000 s | 1.0000 s | goal |" in text
    assert "judged seeds 2001" in text


def test_rows_are_as_wide_as_their_heads() -> None:
    for table in shown(report_of(worlds(), Settings())):
        assert all(len(row) == len(table.columns) for row in table.rows), table.title


def test_what_cannot_be_asked_is_said() -> None:
    text = markdown(report_of(worlds(), Settings()))
    assert f"| renter separation, AUC of sessions | {NOT_AVAILABLE} | this release cannot tell sessions apart |" in text
    assert f"two known | {NOT_AVAILABLE} | numbers_in_turn was not staged |" in text


def test_the_seed_case_is_summed() -> None:
    case = {"others": 3, "cases": {"named": 3, "strangers": 0}, "inquiry": None}
    half = {"others": 3, "cases": {"named": 1, "strangers": 2}, "inquiry": None}
    said = seed_case_summary([world("attacks", 0, seed_case=[case]), world("attacks", 1, seed_case=[half])])
    assert said == {"staged": 2, "others": 6, "cases": {"named": 4, "strangers": 2, "whole": 1}, "inquiry": None}


def test_results_of_different_code_are_told() -> None:
    mixed = worlds()
    mixed[0]["code"] = "other"
    assert "states of the code" in markdown(report_of(mixed, Settings()))
    assert "states of the code" not in markdown(report_of(worlds(), Settings()))


def test_calibration_error_is_at_the_base_rate() -> None:
    error = report_of(worlds(), Settings())["calibration"]
    assert error is not None
    # two worlds: 182 honest, so 182 e^-7 = .166 wrong at that rate, all at a score of .9 beside 2 honest
    assert error["error_high"] == pytest.approx(0.9 - 0.166 / 2.166, abs=1e-3)
    assert error["error_here_high"] == pytest.approx(0.0, abs=1e-9)

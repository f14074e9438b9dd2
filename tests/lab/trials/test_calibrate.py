from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.core.errors import SettingsError
from watchbill.core.settings import Calibration, Settings
from watchbill.lab.trials.calibrate import (
    EDGES,
    KNOTS_MAX,
    added,
    at_base_rate,
    calibrated,
    check_calibration,
    expected_error,
    fit,
    isotonic,
    log_odds,
    read_calibration,
    uncalibrated,
    write_calibration,
)

WEIGHTS = st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 10)), min_size=1, max_size=40)


def histogram(scores: list[float], honest: list[float], wrong: list[float]) -> dict[str, Any]:
    place = np.searchsorted(EDGES, log_odds(np.array(scores))).tolist()
    return {"bin": place, "score": scores, "honest": honest, "wrong": wrong}


def test_violators_are_pooled_by_weight() -> None:
    values, weights = np.array([0.1, 0.5, 0.2, 0.9]), np.array([1.0, 1.0, 3.0, 1.0])
    assert isotonic(values, weights).tolist() == pytest.approx([0.1, 0.275, 0.275, 0.9])


@given(WEIGHTS)
def test_isotonic_rises_and_keeps_the_weighted_mean(pairs: list[tuple[float, float]]) -> None:
    values, weights = (np.array(column) for column in zip(*pairs, strict=True))
    smooth = isotonic(values, weights)
    assert np.all(np.diff(smooth) >= -1e-12)
    assert np.average(smooth, weights=weights) == pytest.approx(np.average(values, weights=weights))


def test_calibration_states_the_share_of_wrong_looks_at_the_base_rate() -> None:
    # of ten looks scored .9 half are wrong; the prior says one wrong look to ten honest ones in all
    parts = [histogram([0.1, 0.9], [95.0, 5.0], [0.0, 5.0])]
    raw, posterior = fit(parts, odds=0.1)
    scaled = 0.1 * 100  # all wrong weight is at .9
    assert raw == pytest.approx([0.1, 0.9])
    assert posterior[1] == pytest.approx(scaled / (scaled + 5))
    assert calibrated(np.array([0.9]), raw, posterior)[0] == posterior[1]


def test_error_of_a_perfect_and_of_a_boastful_score() -> None:
    score, honest, wrong = np.array([0.2, 0.8]), np.array([80.0, 20.0]), np.array([20.0, 80.0])
    assert expected_error(score, honest, wrong) == (pytest.approx(0.0), pytest.approx(0.0))
    whole, high = expected_error(np.array([0.2, 0.9]), honest, wrong)
    assert whole == pytest.approx(0.05)  # half the weight is off by .1
    assert high == pytest.approx(0.1)


def test_fitting_lowers_the_error() -> None:
    rng = np.random.default_rng(5)
    scores = np.sort(rng.uniform(0.01, 0.99, 60))
    wrong = 100 * scores**3
    part = histogram(scores.tolist(), (100 - wrong).tolist(), wrong.tolist())
    odds = wrong.sum() / (100 - wrong).sum()
    raw, posterior = fit([part], odds)
    score, honest, bad = added([part])
    weighed = at_base_rate(honest, bad, odds)
    before, after = (
        expected_error(score, honest, weighed)[0],
        expected_error(calibrated(score, raw, posterior), honest, weighed)[0],
    )
    assert after < 0.2 * before
    assert len(raw) <= KNOTS_MAX
    assert np.all(np.diff(raw) > 0)


def test_there_is_nothing_to_fit_without_attacks() -> None:
    with pytest.raises(SettingsError, match="calibrate on"):
        fit([histogram([0.1], [5.0], [0.0])], 0.1)


def test_the_file_names_its_seeds_and_judged_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    write_calibration(path, [2, 1], [0.1, 0.9], [0.01, 0.5])
    assert json.loads(path.read_text()) == {"version": 1, "seeds": [1, 2], "raw": [0.1, 0.9], "posterior": [0.01, 0.5]}
    assert read_calibration(path)["seeds"] == [1, 2]
    with pytest.raises(SettingsError, match="must be tuned"):
        write_calibration(path, [2001], [0.1], [0.1])
    path.write_text(path.read_text().replace("[\n  1,", "[\n  2001,").replace("2\n", "2002\n"))
    with pytest.raises(SettingsError):
        read_calibration(path)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"version": 1}', '{"version":1,"seeds":[1],"raw":[0.9,0.1],"posterior":[0,1]}']
)
def test_what_is_no_calibration_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(SettingsError, match="trial calibrate"):
        read_calibration(tmp_path / "c.json")


def test_scores_of_a_world_hold_each_account_day_once(worked: tuple[dict[str, Any], Path]) -> None:
    _, honest, wrong = added([worked[0]["scores"]])
    assert honest.sum() > wrong.sum() > 0
    assert honest.sum() + wrong.sum() == pytest.approx(round(honest.sum() + wrong.sum()))
    raw, posterior = fit([worked[0]["scores"]], 0.001)
    Calibration(seeds=(1,), raw=tuple(raw), posterior=tuple(posterior))


def test_a_calibration_of_judged_seeds_is_not_judged_with() -> None:
    plain = uncalibrated(Settings())
    check_calibration(plain)
    leaky = Calibration(seeds=(2001,), raw=(0.0, 1.0), posterior=(0.0, 1.0))
    risk = plain.risk.model_copy(update={"calibration": leaky})
    with pytest.raises(SettingsError, match="must be tuned"):
        check_calibration(plain.model_copy(update={"risk": risk}))

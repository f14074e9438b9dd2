from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from watchbill.core.errors import SettingsError
from watchbill.core.settings import Calibration, RiskSettings, Settings, parse_settings, shipped_calibration
from watchbill.runners.config import load_config
from watchbill.scoring.calibration import BELIEF, SHIFT_MAX, calibrate, prior_shift

P = st.floats(0, 1, width=32)
KNOTS = st.lists(P, min_size=2, max_size=9).map(sorted)


def mapped(values: list[float], raw: list[float], knots: list[float], shift: float = 0.0) -> np.ndarray:
    given = np.array(values, np.float32)
    out = np.zeros_like(given)
    calibrate(given, np.array(raw), np.array(knots), shift, out)
    return out


@given(st.lists(P, min_size=1, max_size=20))
def test_the_identity_changes_nothing(values: list[float]) -> None:
    np.testing.assert_array_equal(mapped(values, [0.0, 1.0], [0.0, 1.0]), np.array(values, np.float32))


@given(st.lists(P, min_size=1, max_size=20), st.lists(P, min_size=2, max_size=9, unique=True).map(sorted), st.data())
def test_it_is_the_piecewise_line_through_the_knots(values: list[float], raw: list[float], data: st.DataObject) -> None:
    knots = data.draw(st.lists(P, min_size=len(raw), max_size=len(raw)).map(sorted))
    np.testing.assert_allclose(mapped(values, raw, knots), np.interp(values, raw, knots), atol=1e-5)


@given(st.lists(P, min_size=2, max_size=20).map(sorted), KNOTS, st.floats(-3, 3), st.data())
def test_order_is_kept_and_the_result_is_a_probability(
    values: list[float], raw: list[float], shift: float, data: st.DataObject
) -> None:
    knots = data.draw(st.lists(P, min_size=len(raw), max_size=len(raw)).map(sorted))
    out = mapped(values, raw, knots, shift)
    assert (np.diff(out) >= -1e-6).all()
    assert ((out >= 0) & (out <= 1)).all()


def test_a_shift_adds_to_the_log_odds() -> None:
    out = float(mapped([0.25], [0.0, 1.0], [0.0, 1.0], 1.0)[0])
    assert np.log(out / (1 - out)) == pytest.approx(np.log(1 / 3) + 1, abs=1e-5)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60))
def test_verdicts_move_the_prior_toward_what_people_said_and_never_far(judged: list[tuple[float, bool]]) -> None:
    posteriors, said = [p for p, _ in judged], [c for _, c in judged]
    shift = prior_shift(posteriors, said)
    assert abs(shift) <= SHIFT_MAX
    if judged:
        surplus = sum(said) - sum(posteriors)
        assert shift * surplus >= -1e-6
        assert prior_shift([*posteriors, 0.5], [*said, True]) >= prior_shift([*posteriors, 0.5], [*said, False])


def test_verdicts_as_often_as_said_move_nothing_and_few_move_little() -> None:
    assert prior_shift([0.5] * 40, [True, False] * 20) == 0
    one = prior_shift([0.5], [False])
    assert one == pytest.approx(np.log((BELIEF / 2) / (BELIEF / 2 + 1)))
    assert prior_shift([0.9] * 500, [False] * 500) == -SHIFT_MAX


def test_the_shipped_file_is_valid_and_part_of_the_settings() -> None:
    assert Settings().risk.calibration == shipped_calibration()
    assert '"calibration"' in Settings().model_dump_json()
    assert max(shipped_calibration().seeds, default=1) < 100  # judged seeds never teach


@pytest.mark.parametrize(
    ("raw", "posterior"), [([], []), ([0.0, 1.0], [0.0]), ([1.0, 0.0], [0.0, 1.0]), ([0.0, 1.0], [0.5, 0.4]), ([0.0, 2.0], [0.0, 1.0])]
)  # fmt: skip
def test_knots_that_do_not_rise_are_refused(raw: list[float], posterior: list[float]) -> None:
    with pytest.raises(ValidationError):
        Calibration(raw=tuple(raw), posterior=tuple(posterior))


def test_settings_may_name_another_file_and_hold_its_content(tmp_path: Path) -> None:
    knots = {"version": 1, "seeds": [3], "raw": [0.0, 0.5, 1.0], "posterior": [0.0, 0.1, 0.9]}
    (tmp_path / "own.json").write_text(json.dumps(knots))
    (tmp_path / "w.toml").write_text('home = "h"\n[engine.risk]\ncalibration = "own.json"\n')
    engine = load_config(tmp_path / "w.toml").engine
    assert engine.risk.calibration.posterior == (0.0, 0.1, 0.9)
    assert Settings.model_validate_json(engine.model_dump_json()) == engine
    assert engine != Settings()
    for text in ("nothing.json", "w.toml"):
        with pytest.raises(SettingsError, match="calibration"):
            parse_settings({"risk": {"calibration": str(tmp_path / text)}}, "here")
    assert RiskSettings(calibration=str(tmp_path / "own.json")) == engine.risk  # type: ignore[arg-type]

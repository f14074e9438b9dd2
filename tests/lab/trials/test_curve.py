from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from watchbill.core.settings import PolicySettings, Settings
from watchbill.lab.trials.curve import rerun
from watchbill.responses.policy import DECISIONS

STOPPED = [DECISIONS.index(name) for name in ("step_up", "throttle", "deny")]


def test_higher_thresholds_stop_later_and_unreachable_ones_never(worked: tuple[dict[str, Any], Path]) -> None:
    # the number of looks stopped need not grow: a suspension that nobody looks at ends in a mask
    first = []
    for factor in (1e-3, 1.0, 1e4, 1e200):
        seq, decisions = rerun(worked[1] / "trace.parquet", Settings(), factor)
        assert np.all(np.diff(seq) > 0)
        first.append(int(seq[np.isin(decisions, STOPPED)].min(initial=np.iinfo(np.int64).max)))
    assert first == sorted(first)
    assert first[0] < first[-1] == np.iinfo(np.int64).max


def test_records_lost_grow_with_the_thresholds(worked: tuple[dict[str, Any], Path]) -> None:
    curve = worked[0]["curve"]
    lost = [sum(point["attacks"].values()) for point in curve["points"]]
    assert lost == sorted(lost)


def test_without_a_trace_there_is_no_curve(tmp_path: Path) -> None:
    seq, decisions = rerun(tmp_path / "none.parquet", Settings(), 1.0)
    assert seq.shape == decisions.shape == (0,)


def test_a_curve_is_drawn_under_the_budget_and_the_shadow_of_the_settings(worked: tuple[dict[str, Any], Path]) -> None:
    trace = worked[1] / "trace.parquet"
    usual, none, shadow = (
        rerun(trace, Settings(policy=policy), 1e-2)[1]
        for policy in (PolicySettings(), PolicySettings(budget_share=0, budget_min=0), PolicySettings(mode="shadow"))
    )
    assert np.isin(usual, STOPPED).sum() > np.isin(none, STOPPED).sum()
    assert not shadow.any()

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from watchbill.core.settings import Settings
from watchbill.lab.trials.curve import rerun
from watchbill.responses.policy import DECISIONS

STOPPED = [DECISIONS.index(name) for name in ("step_up", "throttle", "deny")]


def test_higher_thresholds_never_stop_more_looks(worked: tuple[dict[str, Any], Path]) -> None:
    trace = worked[1] / "trace.parquet"
    stopped = []
    for factor in (1e-3, 1.0, 1e4):
        seq, decisions = rerun(trace, Settings(), factor)
        assert np.all(np.diff(seq) > 0)
        stopped.append(int(np.isin(decisions, STOPPED).sum()))
    assert stopped[0] >= stopped[1] >= stopped[2]
    assert stopped[0] > stopped[2]


def test_records_lost_grow_with_the_thresholds(worked: tuple[dict[str, Any], Path]) -> None:
    curve = worked[0]["curve"]
    lost = [sum(point["attacks"].values()) for point in curve["points"]]
    assert lost == sorted(lost)


def test_without_a_trace_there_is_no_curve(tmp_path: Path) -> None:
    seq, decisions = rerun(tmp_path / "none.parquet", Settings(), 1.0)
    assert seq.shape == decisions.shape == (0,)

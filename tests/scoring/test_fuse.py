from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchbill.core.settings import Settings
from watchbill.detectors.base import FAMILIES
from watchbill.scoring.fuse import fuse, shared_weights

RISK = Settings().risk
WEIGHTS = np.array([RISK.weights[family] for family in FAMILIES])
SIZE = len(FAMILIES)
NATS = st.lists(st.floats(0, 700, width=32), min_size=SIZE, max_size=SIZE)


def fused(columns: list[list[float]]) -> tuple[np.ndarray, np.ndarray]:
    evidence = np.array(columns, np.float32).reshape(-1, SIZE).T.copy()
    guarantee, posterior = np.zeros(evidence.shape[1], np.float32), np.zeros(evidence.shape[1], np.float32)
    fuse(evidence, WEIGHTS, RISK.prior_log_odds, RISK.family_cap_nats, guarantee, posterior)
    return guarantee, posterior


@settings(deadline=None)
@given(st.lists(NATS, min_size=1, max_size=8))
def test_the_guarantee_is_the_weighted_mean_of_e_values(rows: list[list[float]]) -> None:
    guarantee, posterior = fused(rows)
    for row, nats, odds in zip(np.array(rows, np.float64), guarantee, posterior, strict=True):
        expected = np.log((WEIGHTS * np.exp(row - row.max())).sum()) + row.max() if row.max() > 0 else 0.0
        assert nats == pytest.approx(expected, rel=1e-4, abs=1e-4)
        logit = RISK.prior_log_odds + np.minimum(row, RISK.family_cap_nats).sum()
        assert odds == pytest.approx(1 / (1 + np.exp(-logit)), rel=1e-4)


def test_mean_of_e_values_under_the_null_is_at_most_one_however_families_depend() -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(size=200_000)
    # e-values that are one and the same, exp(z - 1/2): the worst dependence
    guarantee, _ = fused(np.repeat(np.maximum(z - 0.5, -50)[:, None], SIZE, axis=1).clip(0).tolist())
    mean = np.exp(guarantee.astype(np.float64)).mean()
    assert mean <= 1 + 0.5  # clipping at 1 from below costs what it costs: E max(M, 1), never more than 1 + E M
    assert WEIGHTS.sum() <= 1


def test_a_family_of_many_detectors_shares_its_weight_so_that_the_largest_of_them_stays_within_the_bound() -> None:
    assert shared_weights({"a": 0.4, "b": 0.6}, ("a", "b", "c"), ["a", "a", "b"]).tolist() == [0.2, 0.6, 0.0]
    rng = np.random.default_rng(2)
    said = np.exp(rng.normal(size=(4, 400_000)) * 1.2 - 0.72)  # four independent e-values of mean 1
    share = shared_weights({"a": 1.0}, ("a",), ["a"] * 4)[0]
    assert said.max(axis=0).mean() > 1.5
    assert share * said.max(axis=0).mean() <= 1


def test_nothing_said_gives_the_prior_and_no_guarantee() -> None:
    guarantee, posterior = fused([[0] * SIZE])
    assert guarantee[0] == 0
    assert posterior[0] == pytest.approx(1 / (1 + np.exp(-RISK.prior_log_odds)), rel=1e-5)


@settings(deadline=None)
@given(NATS, st.integers(0, SIZE - 1), st.floats(0, 100, width=32))
def test_more_evidence_never_lowers_either_number(row: list[float], family: int, more: float) -> None:
    raised = [value + (more if at == family else 0) for at, value in enumerate(row)]
    guarantee, posterior = fused([row, raised])
    assert guarantee[1] >= guarantee[0] - 1e-3
    assert posterior[1] >= posterior[0] - 1e-6


def test_one_family_alone_cannot_convict_by_posterior() -> None:
    _, posterior = fused([[600] + [0] * (SIZE - 1), [600] * SIZE])
    assert posterior[0] < 0.1
    assert posterior[1] > 0.99

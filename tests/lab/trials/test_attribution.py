from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from watchbill.inquiry.attribute import groups_of, shipped
from watchbill.inquiry.leakhits import Extra
from watchbill.inquiry.sightings import open_sightings
from watchbill.inquiry.sightrows import ACCOUNT, SUBJECT, source_hash
from watchbill.lab.attacks.base import AttackSpec
from watchbill.lab.simulator.world import build_world
from watchbill.lab.trials import attribution as lab
from watchbill.lab.trials.attribution import (
    Judged,
    Truth,
    attribution_of,
    calibration_error,
    complaints_of,
    counted,
    fitted,
    judge,
    ledger_of,
    plant,
    trials,
    truth_of,
)


@pytest.fixture(scope="module")
def carrier(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("leaks")
    specs = [AttackSpec("blatant_lease", day=1, days=1)]
    build_world(folder / "world", seed=6, days=2, outlets=8, scale=0.4, format="parquet", parcels=True, attacks=specs)
    ledger_of(folder / "world", folder / "home")
    return folder / "world", folder / "home"


@pytest.fixture(scope="module")
def truth(carrier: tuple[Path, Path]) -> Truth:
    return truth_of(carrier[0])


def test_truth_is_what_the_records_show(carrier: tuple[Path, Path], truth: Truth) -> None:
    index = open_sightings(carrier[1])
    account = next(iter(truth.attacks.values()))[0]
    shown = {customer for _, customer in truth.shown[account]}
    size = index.exact_sizes(SUBJECT, np.array([source_hash(account, ACCOUNT)], np.uint64), None, 0)
    assert len(shown) <= int(size[0])
    assert len(groups_of(carrier[1], index.height)) > 20


@pytest.mark.parametrize("kind", list(lab.SHARES))
def test_every_kind_is_planted_and_judged(carrier: tuple[Path, Path], truth: Truth, kind: str) -> None:
    index = open_sightings(carrier[1])
    groups, rng = groups_of(carrier[1], index.height), np.random.default_rng(3)
    planted = plant(truth, rng, kind)
    assert planted is not None
    assert planted.kind == kind
    again = plant(truth, np.random.default_rng(3), kind)
    assert again == planted
    told, answer = judge(index, Extra(groups), planted, shipped())
    assert told.wanted == len(planted.leakers)
    assert answer.size > 0
    assert told.named_wrong == 0
    if kind in {"single", "attack"}:
        assert told.right
        assert answer.ranking[0].account == planted.leakers[0]
    if kind == "unlogged":
        assert planted.without not in [one.account for one in answer.ranking]


def test_a_run_counts_by_kind(carrier: tuple[Path, Path]) -> None:
    seen = trials(*carrier, seed=6, count=12, calibration=shipped())
    table = counted(seen)
    assert sum(one["trials"] for one in table.values()) == len(seen) == 12
    assert all(sum(one["outcomes"].values()) == one["trials"] for one in table.values())


def test_a_trials_world_without_a_parcels_table_counts_too(carrier: tuple[Path, Path], tmp_path: Path) -> None:
    world = tmp_path / "world"
    shutil.copytree(carrier[0], world)
    (world / "reference" / "parcels.csv").unlink()
    told = attribution_of(world, carrier[1], 5, 8)
    assert told["asked"] == 8
    assert told["right"] >= 7
    assert told["wrong"] == 0


def test_complaints_of_a_world_are_counted_against_its_truth(carrier: tuple[Path, Path]) -> None:
    told = complaints_of(*carrier)
    assert told["right"] <= told["findings"]
    assert told["found"] <= told["wanted"]
    assert told["complaints"] >= 0


def made(posterior: float, right: bool) -> Judged:
    return Judged("single", posterior, right, int(right), 1, 0, 0, "set", posterior)


def test_the_calibration_error_is_the_mean_gap() -> None:
    assert calibration_error([made(0.95, True), made(0.95, False)]) == pytest.approx(0.45)
    assert calibration_error([made(1.0, True), made(0.0, False)]) == 0.0
    assert calibration_error([]) == 0.0


def test_knots_rise_and_never_promise_more_than_was_seen() -> None:
    seen = (
        [made(0.2, k % 5 == 0) for k in range(50)]
        + [made(0.6, k % 2 == 0) for k in range(50)]
        + [made(0.999, True)] * 100
    )
    raw, posterior = fitted(seen)
    assert raw == sorted(raw)
    assert posterior == sorted(posterior)
    assert np.interp([0.2, 0.6, 0.999], raw, posterior) == pytest.approx([0.2, 0.5, 0.995], abs=0.02)
    assert posterior[-1] < 1

from __future__ import annotations

import numpy as np
import pytest

from watchbill.core.settings import Settings
from watchbill.detectors.base import FAMILIES, Surroundings, detector_ids, load_detectors


def test_ids_are_sorted_and_every_detector_has_its_own() -> None:
    ids = detector_ids()
    assert ids == sorted(set(ids))
    assert [detector.id for detector in load_detectors(Settings())] == ids


def test_every_family_of_the_default_weights_exists() -> None:
    assert set(Settings().risk.weights) == set(FAMILIES)


def test_rows_grow_and_keep_what_they_hold() -> None:
    detector = load_detectors(Settings())[0]
    detector.grow(3)
    assert detector.rows.shape[0] >= 64
    detector.rows["spent"][2] = 7
    detector.grow(1_000)
    assert detector.rows.shape[0] >= 1_000
    assert detector.rows["spent"][2] == 7
    assert not detector.rows["spent"][3:].any()


@pytest.mark.parametrize("present", [frozenset(), frozenset({"networks"})])
def test_what_is_missing_is_named(present: frozenset[str]) -> None:
    silent = {d.id: d.silent(Surroundings(present=present)) for d in load_detectors(Settings())}
    assert silent["canary"] == "no canaries table"
    assert bool(silent["login_place"]) == ("networks" not in present)
    assert silent["unexplained"] == ""
    assert np.all([isinstance(text, str) for text in silent.values()])

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.kernels import example_looks
from watchbill.detectors.rhythm import BINS, SITTING_MS, Detector, pause_bin

AROUND = Surroundings(accounts=6)


def paced(pauses: np.ndarray, account: int = 0) -> np.ndarray:
    events = example_looks(len(pauses))
    events["time"] = events["time"][0] + pauses.cumsum()
    events["account"] = account
    return events


def human(seed: int, count: int, tempo: float = 10.3) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(tempo, 0.5, count).astype(np.int64)


@given(st.integers(0, 2**40))
def test_a_bin_is_one_and_the_binary_logarithm(ms: int) -> None:
    assert pause_bin(ms) == min(BINS, max(1, int(ms).bit_length()))


def test_a_peers_rhythm_at_the_account_is_found_and_the_owners_is_not() -> None:
    detector = Detector(Settings())
    for account in range(5):
        detector.observe(paced(human(account, 700, 9.0 + account), account), AROUND)
    detector.gather()
    assert detector.observe(paced(human(9, 640, 9.0)), AROUND).max() == 0
    assert detector.observe(paced(human(9, 200, 12.0)), AROUND)[-1] > 2


def test_sittings_do_not_share_a_block() -> None:
    detector = Detector(Settings())
    pauses = human(1, 60)
    pauses[40] = SITTING_MS + 1
    detector.observe(paced(pauses), AROUND)
    assert detector.rows[0]["count"] == 39
    assert detector.rows[0]["held"] == 19


def test_breaks_are_no_pauses() -> None:
    detector = Detector(Settings())
    detector.observe(paced(np.full(300, SITTING_MS + 1)), AROUND)
    assert detector.rows[0]["held"] == 0
    assert detector.rows[0]["blocks"] == 0


def test_time_that_runs_back_is_a_break() -> None:
    detector = Detector(Settings())
    events = paced(human(1, 10))
    events["time"] = events["time"][::-1].copy()
    detector.observe(events, AROUND)
    assert detector.rows[0]["held"] == 0

from __future__ import annotations

import numpy as np

from watchbill.context.events import LOGIN, RETRACT
from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.kernels import example_looks
from watchbill.detectors.mix import Detector

AROUND = Surroundings(accounts=6)
WAYS = ([1, 2, 3, 2], [4, 5, 6], [7, 8, 8, 9], [1, 4, 7], [2, 5, 8, 3])


def looks(whats: list[int], count: int, account: int) -> np.ndarray:
    events = example_looks(count)
    events["what"], events["account"] = np.resize(whats, count), account
    return events


def crowd() -> Detector:
    detector = Detector(Settings())
    for account, ways in enumerate(WAYS):
        detector.observe(looks(ways, 1_000, account), AROUND)
    detector.gather()
    return detector


def test_a_peer_at_the_account_is_found_within_two_blocks_and_the_owner_is_not() -> None:
    detector = crowd()
    assert detector.observe(looks(WAYS[0], 500, 0), AROUND).max() == 0
    said = detector.observe(looks(WAYS[1], 200, 0), AROUND)
    assert said[-1] > 2
    assert (said[:99] == 0).all()  # nothing is said before a block is full


def test_it_fades_when_the_owner_is_back() -> None:
    detector = crowd()
    detector.observe(looks(WAYS[1], 200, 0), AROUND)
    assert detector.observe(looks(WAYS[0], 300, 0), AROUND)[-1] == 0


def test_evidence_is_cut() -> None:
    detector = crowd()
    assert detector.observe(looks(WAYS[2], 2_000, 0), AROUND).max() <= detector.nats_max


def test_logins_retractions_and_what_cannot_be_compared_are_passed_over() -> None:
    detector = crowd()
    before = detector.snapshot()
    for kind in (LOGIN, RETRACT):
        events = looks(WAYS[1], 200, 0)
        events["kind"] = kind
        detector.observe(events, AROUND)
    detector.observe(looks([0], 200, 0), AROUND)
    after = detector.snapshot()
    for name, held in before.items():
        np.testing.assert_array_equal(held, after[name])

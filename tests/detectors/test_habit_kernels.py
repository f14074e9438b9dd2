from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.core.settings import Settings
from watchbill.detectors.base import Surroundings
from watchbill.detectors.habit_kernels import (
    CELL,
    CROWD_MIN,
    PROBES,
    SHY,
    UNIFORM,
    WORDS,
    cell_at,
    count_of,
    key_of,
    next_odds,
    surprise,
    teach,
)
from watchbill.detectors.kernels import example_looks
from watchbill.detectors.mix import Detector

AROUND = Surroundings(accounts=8)


def looks(whats: list[int], account: int = 0) -> np.ndarray:
    events = example_looks(len(whats))
    events["what"], events["account"] = whats, account
    return events


@given(st.lists(st.integers(1, 60), max_size=200))
def test_cells_count_exactly_while_there_is_room(keys: list[int]) -> None:
    cells = np.zeros(1_024, CELL)
    for key in keys:
        cells[cell_at(cells, np.uint32(key), True)]["count"] += 1
    for key in range(1, 61):
        assert count_of(cells, np.uint32(key)) == keys.count(key)


def test_what_is_usual_outlives_a_flood_of_made_up_words() -> None:
    cells = np.zeros(64, CELL)
    cells[cell_at(cells, np.uint32(7), True)]["count"] = 50
    for key in range(1_000, 9_000):
        cells[cell_at(cells, np.uint32(key), True)]["count"] += 1
    assert count_of(cells, np.uint32(7)) == 50
    assert np.count_nonzero(cells["key"]) == 64
    assert PROBES < 64


@given(st.integers(0, 2**32 - 1), st.integers(1, 2**32 - 1))
def test_a_pairs_key_is_never_empty_and_knows_its_order(before: int, what: int) -> None:
    key = key_of(np.uint32(before), np.uint32(what))
    assert 0 < key < 2**32
    if before and before != what:
        assert key != key_of(np.uint32(what), np.uint32(before))


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 5_000)), min_size=1, max_size=30))
def test_shares_are_a_probability_of_all_words(counts: list[tuple[int, int]]) -> None:
    total, of = sum(own for own, _ in counts), sum(others for _, others in counts)
    rest = WORDS - len(counts)
    pairs = [surprise(float(own), float(total), float(others), float(of)) for own, others in counts]
    unseen = surprise(0.0, float(total), 0.0, float(of))
    assert sum(p[0] for p in pairs) + rest * unseen[0] == pytest.approx(1.0)
    assert sum(p[1] for p in pairs) + rest * unseen[1] == pytest.approx(1.0)
    assert min(SHY, UNIFORM) > 0


@given(st.floats(-40, 40), st.floats(-40, 40))
def test_odds_go_on_in_order_and_between_coming_and_staying(one: float, two: float) -> None:
    low, high = next_odds(min(one, two), 0.2, 0.8), next_odds(max(one, two), 0.2, 0.8)
    assert low <= high
    assert np.log(0.2 / 0.8) - 1e-9 <= low <= high <= np.log(0.8 / 0.2) + 1e-9


def test_teaching_fades_what_was_and_empties_the_block() -> None:
    own, block = np.zeros(16, CELL), np.zeros(16, CELL)
    own[cell_at(own, np.uint32(3), True)]["count"] = 10
    block[cell_at(block, np.uint32(3), True)]["count"] = 2
    teach(own, block, 0.5)
    assert count_of(own, np.uint32(3)) == 7
    assert not block["key"].any()


class TestCrowd:
    def test_fewer_than_three_peers_are_no_crowd(self) -> None:
        detector = Detector(Settings())
        for account in range(2):
            detector.observe(looks([1, 2] * 50, account), AROUND)
        detector.gather()
        assert detector.head[1] == 2 < CROWD_MIN

    def test_it_is_made_once_a_day_and_counts_users(self) -> None:
        detector = Detector(Settings())
        for account in range(4):
            detector.observe(looks([5, 6 + account] * 50, account), AROUND)
        detector.publish(86_400_000 * 9, AROUND)
        at = cell_at(detector.crowd, np.uint32(5), False)
        assert detector.crowd[at]["users"] == 4
        assert detector.crowd[at]["count"] == 200
        before = detector.crowd.copy()
        detector.observe(looks([5, 99] * 50, 7), AROUND)
        detector.publish(86_400_000 * 9 + 3_600_000, AROUND)
        np.testing.assert_array_equal(before, detector.crowd)
        detector.publish(86_400_000 * 10, AROUND)
        assert detector.crowd[cell_at(detector.crowd, np.uint32(5), False)]["users"] == 5


class TestBlocks:
    def test_one_that_does_not_pass_is_not_learned(self) -> None:
        detector = Detector(Settings())
        detector.observe(looks([1, 2, 3, 2] * 25 * 12), AROUND)
        own = detector.own.copy()
        strange = detector.score(looks(list(range(100, 200))), AROUND)
        assert strange[-1] > detector.pass_odds
        np.testing.assert_array_equal(own, detector.own)
        assert detector.rows[0]["refused"] == 1

    def test_nothing_is_learned_from_who_is_frozen(self) -> None:
        detector = Detector(Settings())
        still = Surroundings(accounts=8, frozen=np.ones(8, np.uint8))
        detector.observe(looks([1, 2] * 100), still)
        assert not detector.own["key"].any()

    def test_who_stays_is_learned_in_the_end(self) -> None:
        kind = type("Soon", (Detector,), {"refused_max": 3})
        detector = kind(Settings())
        detector.observe(looks([1, 2, 3, 2] * 25 * 12), AROUND)
        for _ in range(5):
            detector.observe(looks([11, 12, 13, 14, 15] * 20), AROUND)
        assert count_of(detector.own[0], np.uint32(11)) > 0

    def test_settling_gives_the_sums_of_a_full_block(self) -> None:
        one, two = Detector(Settings()), Detector(Settings())
        for detector in (one, two):
            detector.observe(looks([1, 2, 3, 2] * 25 * 6), AROUND)
        two.length += 1  # so that nothing is judged by itself
        two.waiting = np.zeros((two.own.shape[0], two.length), np.uint32)
        whats = [1, 2, 9, 2] * 25
        one.observe(looks(whats), AROUND)
        two.observe(looks(whats), AROUND)
        np.testing.assert_allclose(one.rows[0]["sums"] / 100, two.settle(0, learn=False), rtol=1e-6)
        assert two.rows[0]["held"] == 0

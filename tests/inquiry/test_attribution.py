from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchbill.inquiry.attribution import Hits, Priors, drawn, evidence_of, explained, posterior_of

UNIVERSE = 100_000
PRIORS = Priors()


def hits_of(items: int, seen: dict[int, list[int]], sizes: dict[int, int], accounts: int = 200) -> Hits:
    """A list of `items` of which each account saw some; noise is even over the universe."""
    pairs = sorted((item, account) for account, some in seen.items() for item in some)
    item = np.array([one for one, _ in pairs], np.int64)
    of = np.array([account for _, account in pairs], np.int64)
    count = np.bincount(of, minlength=len(sizes)).astype(np.int64)
    size = np.array([sizes[account] for account in range(len(sizes))], np.int64)
    prior = np.full(len(sizes), 1.0 / accounts)
    return Hits(np.full(items, 1.0 / UNIVERSE), item, of, drawn(size, count)[of], prior)


def test_one_source_is_the_exact_posterior() -> None:
    """Worked by hand: two accounts, three items, the share of the source integrated on a fine grid of the same prior."""
    hits = hits_of(3, {0: [0, 1], 1: [2]}, {0: 50, 1: 50}, accounts=2000)
    odds = np.linspace(-9, 7, 4001)
    share = 1 / (1 + np.exp(-odds))
    weight = np.sqrt(share * (1 - share))
    weight /= weight.sum()
    q, d = 1 / UNIVERSE, 1 / math.sqrt(50 * 49)
    two = float((weight * ((1 - share) * q + share * d) ** 2 * (1 - share) * q).sum()) / q**3
    one = float((weight * ((1 - share) * q + share / 50) * ((1 - share) * q) ** 2).sum()) / q**3
    assert np.exp(evidence_of(hits, hits.noise)) == pytest.approx([two, one], rel=0.02)
    said = posterior_of(hits, PRIORS)
    weights = np.array([0.65 / 2000 * two, 0.65 / 2000 * one, 0.35])
    assert said.sources == (0,)
    assert said.source[0] == pytest.approx(weights[0] / weights.sum(), rel=0.02)
    assert said.nobody == pytest.approx(weights[2] / weights.sum(), rel=0.02)


def test_nothing_known_is_nobody() -> None:
    none = Hits(np.ones(20), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    said = posterior_of(none, PRIORS)
    assert (said.sources, said.nobody, len(said.source), len(said.evidence)) == ((), 1.0, 0, 0)


def test_a_heavy_viewer_is_not_blamed_for_what_he_saw_with_everything_else() -> None:
    hits = hits_of(20, {0: list(range(10)), 1: list(range(20))}, {0: 800, 1: 90_000})
    said = posterior_of(hits, PRIORS)
    assert said.sources == (0,)
    assert said.source[0] > 0.99
    assert said.source[1] < 0.05


def test_two_hits_beat_strangers_but_one_does_not() -> None:
    one = posterior_of(hits_of(5, {0: [0]}, {0: 800}), PRIORS)
    three = posterior_of(hits_of(5, {0: [0, 1, 2]}, {0: 800}), PRIORS)
    assert one.source[0] < 0.5
    assert three.source[0] > 0.95


def test_twins_share_the_blame() -> None:
    said = posterior_of(hits_of(20, {0: list(range(10)), 1: list(range(10))}, {0: 800, 1: 800}), PRIORS)
    assert said.source == pytest.approx([0.5, 0.5], abs=0.03)


@pytest.mark.parametrize("count", [2, 3])
def test_several_sources_are_each_found(count: int) -> None:
    seen = {a: list(range(20 * a, 20 * a + 20)) for a in range(count)} | {count: [1, 21, 41 % (20 * count)]}
    said = posterior_of(hits_of(20 * count + 20, seen, dict.fromkeys(range(count + 1), 900)), PRIORS)
    assert sorted(said.sources) == list(range(count))
    assert min(said.source[:count]) > 0.99
    assert said.source[count] < 0.1


def test_shares_follow_the_items() -> None:
    hits = hits_of(40, {0: list(range(30)), 1: list(range(30, 40))}, {0: 500, 1: 500})
    mixed = explained(hits, [0, 1])
    assert mixed[0] / mixed[39] == pytest.approx(3.0, rel=0.2)
    assert explained(hits, []) is hits.noise


def test_drawing_without_putting_back() -> None:
    assert drawn(np.array([10]), np.array([1])) == pytest.approx([0.1])
    assert drawn(np.array([3]), np.array([3]))[0] ** 3 == pytest.approx(1 / 6)
    assert drawn(np.array([2]), np.array([3]))[0] ** 3 == pytest.approx(
        1 / 6
    )  # a size that is a little stale never breaks it


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, dict[int, list[int]], dict[int, int]]:
    items, accounts = draw(st.integers(2, 30)), draw(st.integers(1, 6))
    seen = {a: sorted(draw(st.sets(st.integers(0, items - 1), max_size=items))) for a in range(accounts)}
    return items, seen, {a: draw(st.integers(len(seen[a]) or 1, 50_000)) for a in range(accounts)}


@settings(max_examples=60)
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_the_list_changes_nothing(
    case: tuple[int, dict[int, list[int]], dict[int, int]], random: object
) -> None:
    items, seen, sizes = case
    to = list(range(items))
    random.shuffle(to)  # type: ignore[attr-defined]
    one = posterior_of(hits_of(items, seen, sizes), PRIORS)
    other = posterior_of(hits_of(items, {a: [to[i] for i in some] for a, some in seen.items()}, sizes), PRIORS)
    assert other.source == pytest.approx(one.source, abs=1e-6)
    assert other.nobody == pytest.approx(one.nobody, abs=1e-6)


@settings(max_examples=60)
@given(cases(), st.integers(1, 60))
def test_noise_that_nothing_knows_never_makes_a_name(
    case: tuple[int, dict[int, list[int]], dict[int, int]], more: int
) -> None:
    items, seen, sizes = case
    before = posterior_of(hits_of(items, seen, sizes), PRIORS)
    after = posterior_of(hits_of(items + more, seen, sizes), PRIORS)
    fresh = (after.source >= 0.99) & (before.source < 0.9)
    assert not fresh.any()


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(20, 200), st.integers(5, 60))
def test_lists_of_strangers_name_nobody(seed: int, accounts: int, items: int) -> None:
    """Pure noise: everybody saw each item with the chance that his size gives. Three hits of one at .99 never come."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(50, 3_000, accounts)
    seen = {a: np.flatnonzero(rng.random(items) < sizes[a] / UNIVERSE).tolist() for a in range(accounts)}
    hits = hits_of(items, seen, dict(enumerate(sizes.tolist())), accounts)
    said = posterior_of(hits, PRIORS)
    assert not ((said.source >= 0.99) & (hits.counts >= 3)).any()


def test_posteriors_are_probabilities_in_every_small_case() -> None:
    for seen in itertools.product([[], [0], [0, 1], [1, 2]], repeat=3):
        said = posterior_of(hits_of(3, dict(enumerate(seen)), {0: 5, 1: 50, 2: 5_000}), PRIORS)
        assert ((said.source >= 0) & (said.source <= 1)).all()
        assert 0 <= said.nobody <= 1

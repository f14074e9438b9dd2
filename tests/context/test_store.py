from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from watchbill.context.context import Context
from watchbill.context.store import DAY_MS, WorkStore, explains, remember, seen_lately
from watchbill.core.kernel import kernel
from watchbill.core.settings import Settings, default_roles

START = 20_000
WINDOW = 15 * DAY_MS


@kernel
def _remember_all(cells: NDArray[np.void], keys: NDArray[np.uint64], times: NDArray[np.int64]) -> int:
    added = 0
    for i in range(keys.shape[0]):
        added += remember(cells, keys[i], times[i], 1)
    return added


@kernel
def _explained(
    cells: NDArray[np.void],
    words: NDArray[np.uint32],
    filters: NDArray[np.int64],
    keys: NDArray[np.uint64],
    time: int,
    window: int,
) -> int:
    hits = 0
    for i in range(keys.shape[0]):
        hits += explains(cells, words, filters, keys[i], time, window, time)
    return hits


def keys_of(rng: np.random.Generator, count: int) -> NDArray[np.uint64]:
    return rng.integers(1, 2**64 - 1, count, dtype=np.uint64)


def filled(days: int, keys_a_day: int, seed: int = 1) -> tuple[WorkStore, list[NDArray[np.uint64]]]:
    rng = np.random.default_rng(seed)
    store, kept = WorkStore(exact_days=3, window_days=15), []
    for day in range(START, START + days):
        store.roll(day)
        keys = keys_of(rng, keys_a_day)
        store.reserve(keys_a_day)
        store.settle(_remember_all(store.cells, keys, np.full(keys_a_day, day * DAY_MS + 1)))
        kept.append(keys)
    return store, kept


def test_false_explanations_over_all_filters_and_templates_stay_under_half_a_percent() -> None:
    store, _ = filled(15, 20_000)  # three exact days and twelve filters
    assert store.filters.shape[0] == 12
    templates = sum(1 if reason.template != "cover" else 4 for reason in default_roles()["courier"].reasons)
    rng = np.random.default_rng(2)
    strangers = keys_of(rng, 400_000)
    hits = _explained(store.cells, store.words, store.filters, strangers, (START + 14) * DAY_MS + 2, WINDOW)
    a_look = templates * hits / strangers.shape[0]  # union bound: each template of a look probes with its own key
    print(f"seeds 1, 2: {hits / strangers.shape[0]:.5%} a probe, {a_look:.3%} a look of {templates} probes")  # noqa: T201
    assert 0 < a_look <= 0.005


def test_work_is_never_forgotten_within_its_window_and_gone_after_it() -> None:
    store, kept = filled(18, 500)
    now = (START + 17) * DAY_MS + 2
    for back, keys in enumerate(reversed(kept)):
        hits = _explained(store.cells, store.words, store.filters, keys, now, WINDOW)
        assert hits == 500 if back <= 15 else hits <= 5, back


def test_a_shorter_window_does_not_reach_old_filters() -> None:
    store, kept = filled(10, 500)
    now = (START + 9) * DAY_MS + 2
    assert _explained(store.cells, store.words, store.filters, kept[0], now, 2 * DAY_MS) <= 2


def test_memory_stays_flat_over_a_month() -> None:
    sizes = []
    rng = np.random.default_rng(3)
    store = WorkStore(exact_days=3, window_days=15)
    for day in range(START, START + 40):
        store.roll(day)
        keys = keys_of(rng, 1_000)
        store.reserve(1_000)
        store.settle(_remember_all(store.cells, keys, np.full(1_000, day * DAY_MS)))
        sizes.append(store.cells.nbytes + store.words.nbytes)
    assert len(set(sizes[-10:])) == 1
    assert store.count <= 3_000


def test_a_snapshot_holds_everything() -> None:
    store, kept = filled(8, 300)
    other = WorkStore(exact_days=3, window_days=15)
    other.restore(store.snapshot())
    now = (START + 7) * DAY_MS + 2
    for keys in kept:
        assert _explained(other.cells, other.words, other.filters, keys, now, WINDOW) == 300
    assert other.count == store.count
    again, saved = other.snapshot(), store.snapshot()
    assert all((again[name] == saved[name]).all() for name in saved)
    store.roll(START + 9)
    other.roll(START + 9)
    assert (store.words == other.words).all()


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 50), st.booleans()), max_size=30))
def test_a_key_keeps_its_latest_explaining_time(notes: list[tuple[int, int, bool]]) -> None:
    store = WorkStore(3, 15)
    store.reserve(len(notes))
    latest: dict[int, int] = {}
    seen = set()
    for key, time, explaining in notes:
        new = remember(store.cells, np.uint64(key), time, int(explaining))
        assert new == (key not in seen)
        seen.add(key)
        if explaining:
            latest[key] = max(latest.get(key, 0), time)
    for key in range(1, 6):
        assert seen_lately(store.cells, np.uint64(key)) == (key in seen)
        for time in (0, 10, 25, 50):
            said = explains(store.cells, store.words, store.filters, np.uint64(key), time, 10, time)
            assert said == (key in latest and time - 10 <= latest[key] <= time)


def test_the_context_keeps_filters_as_long_as_its_longest_window() -> None:
    assert Context(Settings()).work.window_days == 31

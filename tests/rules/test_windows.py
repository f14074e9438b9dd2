from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.rules.correlation import Correlation
from watchbill.rules.windows import Fired, Windows, measured

BASE = Correlation("event_count", (0,), (("account",),), ("account",), 100, "gte", 3)
Hit = tuple[str, int, int, Any]  # key, time, place, value


def windows(correlation: Correlation, **more: int) -> Windows:
    return Windows(
        correlation,
        **({"late_ms": 0, "suppress_ms": 0, "keys_max": 1000, "hits_max": 1000, "values_max": 10**6} | more),
    )


def play(w: Windows, hits: Sequence[Hit], first: int = 0) -> list[tuple[str, int, float]]:
    """(key, time, measure) of what fires; arrival is the hit's place in the row."""
    out = []
    for seq, (key, time, place, value) in enumerate(hits, first):
        fired = w.hear((key,), time, time, seq, place, value)
        if fired is not None:
            out.append((key, time, fired.measure))
    return out


def test_counts_hits_of_one_key_within_the_span() -> None:
    hits: list[Hit] = [
        ("a", 0, 0, None),
        ("b", 1, 0, None),
        ("a", 50, 0, None),
        ("a", 100, 0, None),
        ("a", 201, 0, None),
    ]
    assert play(windows(BASE), hits) == [("a", 100, 3.0)]


def test_a_key_is_quiet_after_it_told() -> None:
    hits: list[Hit] = [("a", t, 0, None) for t in range(0, 400, 10)]
    assert [time for _, time, _ in play(windows(BASE, suppress_ms=100), hits)] == [20, 120, 220, 320]


@pytest.mark.parametrize(("op", "fires"), [("gt", [30]), ("gte", [20, 30]), ("lt", [0, 10]), ("lte", [0, 10, 20]), ("eq", [20]), ("neq", [0, 10, 30])])  # fmt: skip
def test_each_operator(op: str, fires: list[int]) -> None:
    hits: list[Hit] = [("a", t, 0, None) for t in range(0, 40, 10)]
    assert [time for _, time, _ in play(windows(replace(BASE, op=op)), hits)] == fires


def test_value_count_counts_distinct_elements() -> None:
    correlation = replace(BASE, kind="value_count", values=("subjects",))
    hits: list[Hit] = [("a", 0, 0, ("x", "y")), ("a", 10, 0, ("x",)), ("a", 20, 0, ("y", "z"))]
    assert play(windows(correlation), hits) == [("a", 20, 3.0)]


def test_measures() -> None:
    assert measured("value_sum", [], 50) == 0
    assert measured("value_avg", [], 50) is None
    assert measured("value_avg", [1, 2, 6], 50) == 3
    assert measured("value_median", [5, 1, 2, 4], 99) == 3
    assert measured("value_percentile", [0, 10], 95) == pytest.approx(9.5)
    assert measured("value_percentile", [7], 95) == 7


def test_temporal_in_any_order_and_in_order() -> None:
    both = replace(BASE, kind="temporal", rules=(0, 1), keys=(("account",), ("account",)), count=2)
    there: list[Hit] = [("a", 0, 0, None), ("a", 10, 1, None)]
    back: list[Hit] = [("a", 0, 1, None), ("a", 10, 0, None)]
    ordered = replace(both, kind="temporal_ordered")
    assert play(windows(both), there) == play(windows(ordered), there) == [("a", 10, 2.0)]
    assert play(windows(both), back) == [("a", 10, 2.0)]
    assert play(windows(ordered), back) == []
    assert play(windows(ordered), [("a", 5, 1, None), ("a", 5, 0, None)]) == [("a", 5, 2.0)], "one moment is in order"


def test_an_expression_can_forbid_a_rule() -> None:
    correlation = replace(BASE, kind="temporal", rules=(0, 1), expression=("and", (0, ("not", (1,)))))
    assert play(windows(correlation), [("a", 0, 0, None), ("a", 10, 1, None), ("a", 200, 0, None)]) == [
        ("a", 0, 1.0),
        ("a", 200, 1.0),
    ]


def test_a_late_hit_completes_a_window_that_has_passed_and_a_later_one_is_left_out() -> None:
    w = windows(BASE, late_ms=500)
    assert play(w, [("a", 0, 0, None), ("a", 50, 0, None), ("a", 400, 0, None)]) == []
    fired = w.hear(("a",), 20, 410, 3, 0)
    assert fired == Fired(("a",), 3.0, 3)
    assert w.hear(("a",), -200, 420, 4, 0) is None
    assert w.late == 1


def test_keys_and_hits_are_bounded_and_old_keys_go() -> None:
    w = windows(BASE, keys_max=3, hits_max=2)
    play(w, [(f"k{i}", i, 0, None) for i in range(10)])
    assert list(w.keys) == [("k7",), ("k8",), ("k9",)]
    assert w.dropped == 7
    play(w, [("k9", 10 + i, 0, None) for i in range(5)])
    assert len(w.keys["k9",].times) == 2
    for i in range(20):
        w.hear(("late",), 10_000 + i, 10_000 + i, i, 0)
    assert list(w.keys) == [("late",)]


def test_values_of_all_keys_together_are_bounded() -> None:
    w = windows(replace(BASE, kind="value_count"), values_max=10)
    play(w, [(f"k{i}", i, 0, ("x", "y", "z")) for i in range(8)])
    assert w.held == sum(window.weight for window in w.keys.values()) <= 13
    assert w.dropped == 4
    play(w, [("k7", 8 + i, 0, ("x", "y", "z")) for i in range(8)])
    assert list(w.keys) == [("k7",)], "the key that is written is never let go"


hits_of = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 300), st.integers(0, 1), st.lists(st.sampled_from("xyz"), min_size=1, max_size=2).map(tuple)),
    max_size=25,
)  # fmt: skip
kinds = st.sampled_from(["event_count", "value_count", "temporal", "temporal_ordered"])


@given(hits_of, kinds, st.integers(0, 25), st.sampled_from([0, 60]))
def test_a_snapshot_in_between_changes_nothing(hits: list[Hit], kind: str, cut: int, suppress: int) -> None:
    correlation = replace(BASE, kind=kind, rules=(0, 1), count=2)
    more = {"late_ms": 80, "suppress_ms": suppress, "hits_max": 7, "keys_max": 2, "values_max": 9}
    whole = play(windows(correlation, **more), hits)
    first = windows(correlation, **more)
    said = play(first, hits[:cut])
    second = windows(correlation, **more)
    second.restore(json.loads(json.dumps(first.snapshot())))
    assert said + play(second, hits[cut:], cut) == whole


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40)), max_size=25))
def test_hits_in_order_are_counted_as_a_plain_recount_does(hits: list[tuple[str, int]]) -> None:
    time, ordered = 0, []
    for key, step in hits:
        time += step
        ordered.append((key, time, 0, None))
    plain = [
        (key, t, float(n))
        for i, (key, t, _, _) in enumerate(ordered)
        if (n := sum(k == key and t - 100 <= at for k, at, _, _ in ordered[: i + 1])) >= 3
    ]
    assert play(windows(BASE), ordered) == plain

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from watchbill.cases.tiers import THRESHOLDS
from watchbill.inquiry.exposure import Gap, Saw, SeenSubject
from watchbill.notices.meter import kind_of, meter_of
from watchbill.notices.settings import default_meter_fields

NAMES = ["recipient.name", "recipient.phone", "sender.bank_card", "sender.goods", "recipient.odd"]


def seen(people: list[list[str]], more: int | None = 0) -> Saw:
    subjects = [SeenSubject(f"s{n}", sorted(fields), 1, 2, 1) for n, fields in enumerate(people)]
    items = sum(map(len, people))
    upper = None if more is None else len(people) + more
    gaps = [Gap("no_subjects", 1, more, "")] if more != 0 else []
    return Saw("", 9, len(people), items, 1, 0, not gaps, len(people), upper, gaps, subjects)


def test_persons_below_pairs_above() -> None:
    meter = meter_of(
        seen([["recipient.name", "recipient.phone"]] * 3 + [["sender.bank_card"]], more=2), default_meter_fields()
    )
    assert meter.low == {"tracks": 1, "communications": 0, "other": 3}
    assert meter.high == {"tracks": 1 + 2, "communications": 0, "other": 6 + 2 * 2}


def test_the_tier_that_counts_reach() -> None:
    half = meter_of(seen([["recipient.name"]] * 2_500), default_meter_fields(), (2_000.0, 25_000.0))
    assert half.tiers(duty=True) == ("serious", "serious")
    assert half.tiers(duty=False) == ("none", "none")
    said = half.to_json()
    assert said["tier"] == {"duty": ["serious", "serious"], "whole": ["none", "none"]}
    assert said["share"]["whole"] == [0.5, 0.5]
    assert said["kinds"]["tracks"] == {"low": 0, "high": 0, "threshold": 50, "threshold_duty": 25}
    assert said["gain_yuan"]["high"] == 25_000.0
    assert said["counsel_decides"]


def test_no_bound_is_said() -> None:
    meter = meter_of(seen([["recipient.name"]], more=None), default_meter_fields())
    assert meter.high is None
    assert meter.tiers(duty=True) == ("none", None)
    assert meter.to_json()["share"]["duty"][1] is None


@given(st.lists(st.lists(st.sampled_from(NAMES), unique=True), max_size=20), st.integers(0, 9))
def test_bounds_hold_and_every_pair_counts_once(people: list[list[str]], more: int) -> None:
    meter = meter_of(seen(people, more), default_meter_fields())
    assert meter.high is not None
    assert all(meter.low[kind] <= meter.high[kind] for kind in THRESHOLDS)
    assert meter_of(seen(people), default_meter_fields()).high == {
        kind: sum(kind_of(name, default_meter_fields()) == kind for fields in people for name in fields)
        for kind in THRESHOLDS
    }
    low, high = meter.share(duty=True)
    assert high is not None
    assert low <= high
    assert meter.share(duty=False)[0] * 2 == low

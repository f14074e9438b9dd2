from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inquiry.people import DAY, T0, activity, foreign, owner_days, tables
from watchbill.core.settings import InquirySettings
from watchbill.inquiry.operators import CaseSpan, Judged, Operators, judge, shipped_odds
from watchbill.inquiry.tenancies import OneCase, Tenancy, earnings, runs_of, sides_of, split_cases, split_of

SETTINGS = InquirySettings()
HOUR = 3_600_000


def said(rows: list[dict[str, Any]], *, persons: int = 1, owner: list[float | None] | None = None) -> Operators:
    """The judged sessions of E1; with `owner` these probabilities instead of the estimate's."""
    found = activity(rows)
    told = judge(found, tables(persons=persons), shipped_odds(), CaseSpan.around(T0 + 3 * DAY, T0 + 5 * DAY))
    if owner is not None:
        told = [Judged(*session, 1, 0, p) for session, p in zip(found.sessions, owner, strict=True)]
    return Operators("E1", 1000, told, found)


def case(kind: str = "leased") -> OneCase:
    """A case whose unexplained looks span days 3 to 5."""
    return OneCase("c1", "E1", kind, T0 + 3 * DAY + 20 * HOUR, T0 + 5 * DAY, T0 + 3 * DAY, T0 + 6 * DAY)


TWO_DAYS = [*owner_days(6), *foreign(3), *foreign(3, session="again", hour=22), *foreign(5, session="later")]


def test_a_tenancy_is_a_run_without_a_long_break() -> None:
    split = split_of(said(TWO_DAYS), case(), SETTINGS)
    start = [T0 + day * DAY + 20 * HOUR for day in (3, 5)]
    assert split.tenancies == [
        Tenancy("E1", start[0], start[0] + 2 * HOUR + 79 * 5_000 + 1, 160), Tenancy("E1", start[1], start[1] + 79 * 5_000 + 1, 80)
    ]  # fmt: skip
    assert split.sessions == {"listed": 3, "between": 0, "out": 3}, "sessions in the span of the case"
    assert split.sides.listed.shape == (240,)
    assert split.sides.between.shape == (0,)
    assert split.since <= split.tenancies[0].since
    assert split.until >= split.tenancies[-1].until


def test_where_nobody_can_be_told_the_span_of_the_case_is_one_tenancy() -> None:
    split = split_of(said(TWO_DAYS, persons=2), case(), SETTINGS)
    assert split.tenancies == [Tenancy("E1", T0 + 3 * DAY, T0 + 6 * DAY + 1, 240)]
    assert split.sides.listed.shape == (240,), "looks that no work explains"
    assert split.sides.between.shape == (36,), "explained looks of the span count in the upper bound"
    assert split.sides.out.shape == (0,)
    assert split.sessions["between"] == 6


def test_a_case_against_the_owner_lists_what_no_work_explains_everywhere() -> None:
    rows = owner_days(6, device="X9")
    split = split_of(said(rows, owner=[0.2] + [0.99] * 5), case("owner"), SETTINGS)
    assert split.sides.listed.shape == (72,)
    kept = split_of(said(rows, owner=[0.2] + [0.99] * 5), case("leased"), SETTINGS)
    assert kept.sides.listed.shape == (12,)
    assert kept.sides.between.shape == (60,), (
        "unexplained looks of the owner are what is at stake when the estimate is wrong"
    )


probabilities = st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=9, max_size=9)


@given(probabilities, st.booleans())
def test_every_look_lies_on_one_side(owner: list[float | None], bare_too: bool) -> None:
    told = said(TWO_DAYS, owner=owner)
    sides = sides_of(told, SETTINGS, bare_too=bare_too)
    assert sorted(np.concatenate(sides).tolist()) == sorted(told.activity.seq.tolist())
    sure = [k for k, p in enumerate(owner) if p is not None and p < SETTINGS.other_under]
    assert set(told.activity.seq[np.isin(told.activity.at, sure)].tolist()) <= set(sides.listed.tolist())
    runs = runs_of(told, SETTINGS)
    assert sum(run.records for run in runs) == np.isin(told.activity.at, sure).sum()
    assert all(a.until < b.since for a, b in pairwise(runs))


def test_what_it_fetches_against_the_rent() -> None:
    run = Tenancy("E1", T0 + 15 * HOUR, T0 + 17 * HOUR, 100)  # 23:00 to 01:00 in Shanghai: two days' rent
    assert run.to_json(SETTINGS) == {
        "account": "E1", "from": run.since, "until": run.until, "records": 100, "estimated_yield": 100.0
    }  # fmt: skip
    assert earnings(run.to_json(SETTINGS), SETTINGS, "Asia/Shanghai") == (80.0, 1000.0, 1000.0)
    assert earnings(run.to_json(SETTINGS), SETTINGS, "UTC").rent == 500.0


def test_prices_and_thresholds_are_in_order() -> None:
    with pytest.raises(ValueError, match="other_under"):
        InquirySettings(other_under=0.9, owner_over=0.5)
    with pytest.raises(ValueError, match="yuan_a_record"):
        InquirySettings(yuan_a_record=20)


def test_no_cases_nothing_is_read(tmp_path: Any) -> None:
    assert split_cases(tmp_path, [], 0) == {}

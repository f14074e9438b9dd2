from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from inquiry.people import DAY, NOTHING, T0, activity, foreign, look, owner_days, table_of, tables
from inquiry.test_exposure import journal_rows
from watchbill.core.errors import LedgerError
from watchbill.inquiry.inforce import InForce
from watchbill.inquiry.operators import (
    LITTLE,
    SHARED,
    TEXTS,
    WHY_NOT,
    CaseSpan,
    Judged,
    case_spans,
    judge,
    local_offset_ms,
    odds_of,
    operators_of,
    sessions_of,
    shipped_odds,
    to_json,
)
from watchbill.inquiry.sessions import activity_of
from watchbill.inquiry.traits import LEVELS, TRAITS

MIXED = [*owner_days(6), *foreign(3)]
SPAN = CaseSpan.around(T0 + 3 * DAY + 21 * 3_600_000, T0 + 4 * DAY)


def judged(
    rows: list[dict[str, Any]], around: InForce | None = None, span: CaseSpan | None = None
) -> dict[str, Judged]:
    return {one.session: one for one in judge(activity(rows), around or tables(), shipped_odds(), span)}


@pytest.mark.parametrize("span", [None, SPAN])
def test_the_stranger_is_told_from_the_owner(span: CaseSpan | None) -> None:
    found = judged(MIXED, span=span)
    owner = {name: one.owner for name, one in found.items()}
    assert owner.pop("other") < 0.1  # type: ignore[operator]
    assert min(p for p in owner.values() if p is not None) > 0.9
    assert found["other"].unexplained == found["other"].looks == 80


def test_the_reasons_are_signed_and_add_up() -> None:
    odds = shipped_odds()
    for one in judged(MIXED, span=SPAN).values():
        assert one.owner is not None
        total = np.clip(sum(reason.nats for reason in one.reasons), -6, 6)
        assert np.log(one.owner / (1 - one.owner)) == pytest.approx(total, abs=0.06)
        assert [abs(r.nats) for r in one.reasons] == sorted((abs(r.nats) for r in one.reasons), reverse=True)
        for reason in one.reasons:
            against, _, home, _ = TEXTS[reason.trait]
            assert reason.text_en == (home if reason.nats > 0 else against)
    assert set(TEXTS) == {*TRAITS, "neighbours", "prior"}
    assert odds.scale > 0


def test_on_the_owners_own_device_rhythm_and_reasons_decide() -> None:
    rows = [*owner_days(6), *foreign(3, device="H1", hour=3)]
    rows = [{**row, "ip": "10.0.0.1"} for row in rows]
    table = table_of(rows)
    explained = np.array([row["session"] != "other" for row in table.to_pylist()])
    found = judge(activity_of("E1", table, (np.arange(table.num_rows), explained)), tables(), shipped_odds(), SPAN)
    other = next(one for one in found if one.session == "other")
    assert other.owner is not None
    assert other.owner < 0.5
    assert min(one.owner or 0 for one in found if one.session != "other") > 0.9


def test_a_shared_number_cannot_be_told() -> None:
    found = judged(MIXED, tables(persons=2), SPAN)
    assert {one.cannot_tell for one in found.values()} == {SHARED}
    assert {one.owner for one in found.values()} == {None}
    assert set(WHY_NOT) == {SHARED, LITTLE}


def test_too_little_cannot_be_told_unless_its_neighbours_tell() -> None:
    # two looks in the middle of nowhere, and two on the stranger's device
    few = foreign(4, session="few", device="", looks=2, hour=10)
    few = [{**row, "ip": None, "kind": "view", "app": "handset"} for row in few]
    more = foreign(3, session="more", looks=2, hour=21)
    table = table_of([*MIXED, *few, *more])
    found = {
        one.session: one
        for one in judge(
            activity_of("E1", table, NOTHING),
            InForce(posts=tables().posts, devices=tables().devices),
            shipped_odds(),
            SPAN,
        )
    }
    assert found["few"].cannot_tell == LITTLE
    assert found["more"].owner is not None
    assert found["more"].owner < 0.5


@examples(max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.sampled_from("HXY"), st.integers(1, 30), st.booleans()), min_size=1, max_size=12
    ),
    st.randoms(),
)
def test_probabilities_and_the_order_of_rows(found: list[tuple[int, str, int, bool]], chance: Any) -> None:
    rows = owner_days(3)
    for n, (day, device, looks, whole) in enumerate(found):
        rows += foreign(day, session=f"s{n}" if whole else "", device=device, looks=looks, hour=n)
    table = table_of(rows)
    known = (np.arange(table.num_rows), np.array([row["device"] != "X" for row in table.to_pylist()]))
    one = judge(activity_of("E1", table, known), tables(), shipped_odds(), SPAN)
    order = list(range(table.num_rows))
    chance.shuffle(order)
    other = judge(activity_of("E1", table.take(pa.array(order)), known), tables(), shipped_odds(), SPAN)
    assert one == other
    assert all(p.owner is None or 0 <= p.owner <= 1 for p in one)
    assert all((p.owner is None) == bool(p.cannot_tell) for p in one)
    assert sum(p.looks for p in one) == table.num_rows - 36


def test_the_table_is_whole_and_monotone() -> None:
    odds = shipped_odds()
    for name in TRAITS:
        assert len(odds.nats[name]) == LEVELS[name]
        assert list(odds.nats[name]) == sorted(odds.nats[name], reverse=True), "more foreign is never more the owner's"
        assert max(abs(nats) for nats in odds.nats[name]) <= 3
    assert all(hours.sum() == pytest.approx(1, abs=1e-3) for hours in odds.habits.hours.values())
    path = Path(__file__).resolve().parents[2] / "src" / "watchbill" / "inquiry" / "operators.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    first, last = map(int, data["seeds"].split("-"))
    assert 1 <= first <= last <= 40, "judged seeds are never learned from"
    data["nats"]["walk"] = [0.0]
    with pytest.raises(ValueError, match="walk"):
        odds_of(data)


def test_no_looks_nobody_to_judge() -> None:
    assert judge(activity([]), tables(), shipped_odds()) == []
    assert local_offset_ms() == 8 * 3_600_000


# --- from a home -------------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Path:
    rows = sorted(MIXED, key=lambda row: row["time"])
    return journal_rows(
        tmp_path, [{**row, "id": f"{n}", "arrival": row["time"]} for n, row in enumerate(rows)], sealed=60
    )


def test_sessions_of_a_span_are_judged_with_their_past(home: Path) -> None:
    whole = operators_of(home, "E1")
    part = operators_of(home, "E1", T0 + 3 * DAY, T0 + 4 * DAY)
    assert [one.session for one in part.judged] == ["own3", "other"]
    assert [s.session for s in part.activity.sessions] == ["own3", "other"]
    assert len(whole.judged) == 7
    said = to_json(whole)
    assert list(said) == ["account", "height", "sessions"]
    assert json.loads(json.dumps(said))["sessions"][0]["session"] == "own0"
    assert dict(sessions_of(home, "E1")).keys() <= {one.session for one in whole.judged}
    assert operators_of(home, "E1", upto=0).judged == []


def test_a_session_id_on_two_devices_is_as_bad_as_the_worse_one(tmp_path: Path) -> None:
    rows = [*owner_days(6), *foreign(3, session="own3")]
    rows = [
        {**row, "id": f"{n}", "arrival": row["time"]} for n, row in enumerate(sorted(rows, key=lambda row: row["time"]))
    ]
    told = operators_of(journal_rows(tmp_path, rows), "E1").judged
    both = [one.owner for one in told if one.session == "own3"]
    assert len(both) == 2
    assert dict(sessions_of(tmp_path, "E1"))["own3"] == min(p for p in both if p is not None)


def test_spans_of_cases_at_a_height(tmp_path: Path) -> None:
    lines = [
        {"seq": seq, "accounts": ["E1"], "opened": day * DAY, "updated": (day + 1) * DAY}
        for seq, day in ((5, 10), (9, 20))
    ]
    (tmp_path / "cases.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert case_spans(tmp_path, 5) == {}
    assert case_spans(tmp_path, 6) == {"E1": CaseSpan(9 * DAY, 12 * DAY)}
    assert case_spans(tmp_path, 10) == {"E1": CaseSpan(9 * DAY, 22 * DAY)}
    (tmp_path / "cases.ndjson").write_text("{")
    with pytest.raises(LedgerError, match="cannot be read"):
        case_spans(tmp_path, 1)


def test_a_look_alone_has_no_reasons_that_say_nothing() -> None:
    one = judge(activity([look(T0)]), InForce(), shipped_odds())[0]
    assert all(reason.nats for reason in one.reasons)

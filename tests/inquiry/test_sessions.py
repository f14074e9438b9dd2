from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inquiry.people import NOTHING, T0, look, owner_days, table_of
from inquiry.test_exposure import journal_rows
from watchbill.inquiry.sessions import GAP_MS, Window, activity_of, cut, read_activity

MINUTE = 60_000


def test_sessions_go_by_id_and_device() -> None:
    time = np.array([0, 1, 2, 3 * GAP_MS], np.int64)
    sessions, at = cut(time, ["a", "b", "a", "a"], ["d", "d", "e", "d"], [None, None, None, "9.9.9.9"])
    assert at.tolist() == [0, 1, 2, 0], "an id on two devices is two sessions; a long silence does not end an id"
    assert [(one.session, one.device, one.first, one.last) for one in sessions] == [
        ("a", "d", 0, 3 * GAP_MS), ("b", "d", 1, 1), ("a", "e", 2, 2)
    ]  # fmt: skip


def test_without_an_id_device_address_and_half_an_hour_decide() -> None:
    time = np.array([0, 1, 2, GAP_MS, 2 * GAP_MS + 1], np.int64)
    _, at = cut(time, [None] * 5, ["d", "d", "e", "d", "d"], ["x", "y", "x", "x", "x"])
    assert at.tolist() == [0, 1, 2, 0, 3]


rows = st.lists(
    st.tuples(
        st.integers(0, 5 * GAP_MS), st.sampled_from([None, "a", "b"]), st.sampled_from([None, "d", "e"]), st.sampled_from([None, "x"])
    ),
    max_size=30,
)  # fmt: skip


@given(rows, st.randoms())
def test_every_look_is_in_one_session_whatever_the_order_of_the_rows(found: list[tuple[Any, ...]], chance: Any) -> None:
    records = [look(T0 + time, session=s, device=d, ip=i, id=str(n)) for n, (time, s, d, i) in enumerate(found)]
    table = table_of(records)
    order = list(range(table.num_rows))
    chance.shuffle(order)
    one, other = activity_of("E1", table, NOTHING), activity_of("E1", table.take(pa.array(order, pa.int64())), NOTHING)
    assert one.sessions == other.sessions
    assert one.at.tolist() == other.at.tolist()
    assert one.seq.tolist() == other.seq.tolist()
    assert np.bincount(one.at, minlength=len(one.sessions)).min(initial=1) >= 1
    for k, session in enumerate(one.sessions):
        times = one.time[one.at == k]
        assert (session.first, session.last) == (times.min(), times.max())
        if not session.session:
            assert np.diff(times).max(initial=0) <= GAP_MS


def test_a_login_tells_the_device_of_its_session() -> None:
    login = look(T0, kind="login", session="s", device="D7", ip="1.2.3.4", id="l")
    one = activity_of("E1", table_of([login, look(T0 + 1, session="s"), look(T0 + 2, session="t")]), NOTHING)
    assert [(s.session, s.device, s.ip) for s in one.sessions] == [("s", "D7", "1.2.3.4"), ("t", "", "")]


def test_what_showed_nothing_is_marked() -> None:
    table = table_of([look(T0), look(T0 + 1, masked=True), look(T0 + 2, outcome="denied"), look(T0 + 3, outcome="failure"),
                      look(T0 + 4, outcome=None)])  # fmt: skip
    one = activity_of("E1", table, NOTHING)
    assert one.shown.tolist() == [True, False, False, False, True]
    assert one.failed.tolist() == [False, False, False, True, False]
    assert one.explained.tolist() == [-1] * 5


@pytest.mark.parametrize("sealed", [0, 20])
def test_an_account_does_not_depend_on_the_others_asked(tmp_path: Path, sealed: int) -> None:
    rows = owner_days(3)
    mixed = [{**row, "account": who, "id": row["id"] + who} for row in rows for who in ("E1", "E2")]
    journal_rows(tmp_path, [{**row, "arrival": T0 + 9 * 86_400_000} for row in mixed], sealed=sealed)
    narrow = Window(T0 + 86_400_000, None)
    alone = read_activity(tmp_path, {"E1": narrow})[0]
    beside = read_activity(tmp_path, {"E2": Window(), "E1": narrow})[1]
    assert alone.account == beside.account == "E1"
    assert alone.sessions == beside.sessions
    assert len(alone.sessions) == 2
    assert alone.work_time.tolist() == beside.work_time.tolist()
    assert len(read_activity(tmp_path, {"E1": Window()}, upto=24)[0].sessions) == 1


def test_only_keeps_looks_of_the_sessions_asked_for() -> None:
    one = activity_of("E1", table_of(owner_days(3)), NOTHING)
    two = one.only([0, 2])
    assert [s.session for s in two.sessions] == ["own0", "own2"]
    assert set(two.at.tolist()) == {0, 1}
    assert two.seq.shape == two.time.shape == two.at.shape == (24,)
    assert one.only([]).seq.shape == (0,)

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from watchbill.context.events import EVENT, LOGIN, LOOK, RETRACT, WORK
from watchbill.scoring.record import EXPLAINED, FOLLOWED, LATE, LOOKS, OWN_PLACE, RECORD, forget_devices, keep_records

REGISTERED, OUTLETS = np.array([5, 9], np.uint64), np.array([1, 2], np.int32)


def event(kind: int, day: int = 10, account: int = 0, **more: int) -> NDArray[np.void]:
    one = np.zeros(1, EVENT)
    given = {
        "kind": kind,
        "day": day,
        "account": account,
        "outlet_id": 1,
        "first": kind == LOOK,
        "reveal": kind == LOOK,
    }
    for name, value in (given | more).items():
        one[name] = value
    return one


def counted(*events: NDArray[np.void]) -> NDArray[np.void]:
    rows = np.zeros(3, RECORD)
    keep_records(np.concatenate(events), rows, REGISTERED, OUTLETS, np.zeros(0, np.int64), np.zeros(0, RECORD))
    return rows


def test_each_event_counts_where_it_belongs() -> None:
    row = counted(
        event(LOOK, reason=3, device=5), event(LOOK, device=9), event(LOOK, device=7), event(LOOK, device=5, outlet_id=-1),
        event(LOOK, first=0, reason=3), event(LOOK, reveal=0), event(WORK, follows=1), event(WORK), event(RETRACT),
        event(LOGIN, device=5), event(LOOK, account=-1),
    )[0]  # fmt: skip
    assert row["now"][[LOOKS, EXPLAINED, OWN_PLACE, FOLLOWED, LATE]].tolist() == [4, 1, 1, 1, 1]


def test_a_new_active_day_makes_today_the_day_before_and_the_usual_share() -> None:
    first = [event(LOOK) for _ in range(4)] + [event(WORK, follows=1)]
    row = counted(*first, event(LOGIN, day=14), event(LOOK, day=14))[0]
    assert (row["before"][LOOKS], row["now"][LOOKS], row["looks"], row["followed"]) == (4, 1, 4, 1)
    row = counted(*first, event(RETRACT, day=14), event(LOOK, day=9))[0]
    assert (row["now"][LOOKS], row["now"][LATE], row["looks"]) == (5, 1, 0)  # neither begins a day


@given(
    st.lists(
        st.tuples(st.integers(-1, 2), st.sampled_from([LOOK, WORK, RETRACT, LOGIN]), st.integers(-3, 6)), max_size=30
    ),
    st.data(),
)
def test_what_is_captured_is_the_record_just_after(items: list[tuple[int, int, int]], data: st.DataObject) -> None:
    events = np.concatenate([np.zeros(0, EVENT), *(event(kind, day, account) for account, kind, day in items)])
    wanted = np.array(sorted(data.draw(st.sets(st.integers(0, len(items) - 1)))) if items else [], np.int64)
    rows, out = np.zeros(3, RECORD), np.zeros(wanted.shape[0], RECORD)
    keep_records(events, rows, REGISTERED, OUTLETS, wanted, out)
    for at, record in zip(wanted.tolist(), out, strict=True):
        account = items[at][0]
        upto = counted(*[events[k : k + 1] for k in range(at + 1)])
        assert record == (upto[account] if account >= 0 else np.zeros(1, RECORD)[0])


@pytest.mark.parametrize("cut", [1, 5, 9])
def test_cuts_change_nothing(cut: int) -> None:
    rng = np.random.default_rng(3)
    events = np.concatenate(
        [
            event(int(k), int(d))
            for k, d in zip(rng.choice([LOOK, WORK], 12), np.sort(rng.integers(0, 5, 12)), strict=True)
        ]
    )
    rows, none = np.zeros(3, RECORD), np.zeros(0, np.int64)
    for part in (events[:cut], events[cut:]):
        keep_records(part, rows, REGISTERED, OUTLETS, none, np.zeros(0, RECORD))
    assert rows.tobytes() == counted(events).tobytes()


def test_a_device_that_moves_to_another_outlet_is_looked_up_again_when_the_table_changes() -> None:
    rows, none, nothing = np.zeros(1, RECORD), np.zeros(0, np.int64), np.zeros(0, RECORD)
    keep_records(event(LOOK, device=5), rows, REGISTERED, OUTLETS, none, nothing)
    forget_devices(rows)
    keep_records(event(LOOK, device=5), rows, REGISTERED, OUTLETS[::-1].copy(), none, nothing)
    assert rows["now"][0, OWN_PLACE] == 1
    keep_records(event(LOOK, device=5, outlet_id=2), rows, REGISTERED, OUTLETS[::-1].copy(), none, nothing)
    assert rows["now"][0, OWN_PLACE] == 2


def test_counts_stop_at_their_size() -> None:
    rows = np.zeros(1, RECORD)
    rows["day"], rows["now"] = 11, 65_535
    keep_records(event(LOOK), rows, REGISTERED, OUTLETS, np.zeros(0, np.int64), np.zeros(0, RECORD))
    assert rows["now"][0, LOOKS] == 65_535

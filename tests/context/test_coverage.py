from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from watchbill.context.coverage import BOTH, COVERAGE_GATED, FEED_GATED, HABIT, OPEN, Coverage, alone_of
from watchbill.context.events import EVENT, LOGIN, LOOK, RETRACT
from watchbill.core.settings import GateSettings, ReasonSettings

ROLES, OUTLETS = 3, 4


def gate(accounts: int = 20) -> Coverage:
    made = Coverage(ROLES, GateSettings())
    made.habits = np.zeros(accounts, HABIT)
    return made


def looks(account: int, role: int, outlet: int, explained: int, wild: int = 0, day: int = 1) -> NDArray[np.void]:
    events = np.zeros(explained + wild, EVENT)
    events["kind"], events["first"], events["reveal"], events["day"] = LOOK, 1, 1, day
    events["account"], events["role"], events["outlet_id"] = account, role, outlet
    events["reason"][:explained] = 1
    return events


def is_open(made: Coverage, role: int, outlet: int) -> bool:
    probe = looks(19, role, outlet, 1)
    probe["first"] = 0  # learns nothing
    made.mark(probe)
    return not probe["gated"][0] & COVERAGE_GATED


def test_what_has_not_been_seen_is_closed() -> None:
    made = gate()
    made.publish(OUTLETS)
    assert not any(is_open(made, role, outlet) for role in range(ROLES) for outlet in range(-1, OUTLETS))


def test_a_group_opens_at_the_next_tick_and_only_it() -> None:
    made = gate()
    for account in range(4):
        made.mark(looks(account, 0, 1, 30, 2))
    assert not is_open(made, 0, 1)  # read from the next tick on
    made.publish(OUTLETS)
    assert is_open(made, 0, 1)
    assert is_open(made, 0, 3)  # too few there: judged by the role
    assert not is_open(made, 1, 1)


def test_a_role_whose_tickets_do_not_come_is_closed() -> None:
    made = gate()
    for account in range(4):
        made.mark(looks(account, 1, -1, 0, 50))
        made.mark(looks(account + 4, 0, 0, 50))
    made.publish(OUTLETS)
    assert not is_open(made, 1, -1)
    assert is_open(made, 0, -1)


@pytest.mark.parametrize(("explained", "wild", "opens"), [(50, 1, True), (5, 45, False)])
def test_one_harvester_neither_closes_nor_opens_his_group(explained: int, wild: int, opens: bool) -> None:
    made = gate()
    for account in range(4):
        made.mark(looks(account, 0, 1, explained, wild))
    other = (0, 200) if opens else (200, 0)
    for day in range(1, 4):
        made.mark(looks(4, 0, 1, *other, day=day))
    made.publish(OUTLETS)
    assert is_open(made, 0, 1) == opens


def test_malware_on_all_handsets_of_an_outlet_does_not_shut_the_gate_that_it_is_judged_by() -> None:
    made = gate()
    for day, (explained, wild) in enumerate([(20, 1), (20, 1), (0, 60)], start=1):
        for account in range(4):
            events = looks(account, 2, 1, explained, wild, day=day)
            events["lone"] = 1
            made.mark(events)
        made.publish(OUTLETS)
    probe = looks(0, 2, 1, 1, day=3)
    probe["first"], probe["lone"] = 0, 1
    made.mark(probe)
    assert not probe["gated"][0] & COVERAGE_GATED


def test_a_stranger_is_judged_by_reasons_only_where_his_own_past_had_them_too() -> None:
    roles = ["courier", "unknown"]
    alone = alone_of(roles, ReasonSettings())
    assert alone.tolist() == [1, BOTH]
    made = Coverage(2, GateSettings(), alone)
    made.habits = np.zeros(20, HABIT)
    for day in range(1, 4):
        for account in range(4):
            made.mark(looks(account, 1, -1, 40, 2, day=day))
        made.mark(looks(9, 1, -1, 10, 60, day=day))  # his work leaves no trace that a stranger's reasons know
        made.publish(OUTLETS)
    assert made.role_said[1] == OPEN
    gated = []
    for account in (0, 9, 12):
        probe = looks(account, 1, -1, 1, day=4)
        probe["first"] = 0
        made.mark(probe)
        gated.append(bool(probe["gated"][0] & COVERAGE_GATED))
    assert gated == [False, True, True]


def test_a_group_of_few_is_no_standard_for_itself() -> None:
    made = gate()
    for account in range(2):
        made.mark(looks(account, 0, 1, 100))
    made.publish(OUTLETS)
    assert not is_open(made, 0, 1)


def test_a_closed_group_opens_when_its_feed_comes() -> None:
    made = gate()
    for day in range(1, 12):
        for account in range(4):
            made.mark(looks(account, 0, 1, 0 if day < 4 else 40, 40 if day < 4 else 1, day=day))
        made.publish(OUTLETS)
        if day == 3:
            assert not is_open(made, 0, 1)
    assert is_open(made, 0, 1)


def test_what_was_shown_in_another_group_says_nothing_about_this_one() -> None:
    made = gate()
    for account in range(4):
        made.mark(looks(account, 0, 1, 100))
    made.publish(OUTLETS)
    for account in range(4):  # a reload makes them all unknown, without an outlet
        made.mark(looks(account, 2, -1, 3, 3))
    made.publish(OUTLETS)
    assert not is_open(made, 2, -1)


def test_an_outage_teaches_nothing() -> None:
    made = gate()
    for account in range(4):
        made.mark(looks(account, 0, 1, 50))
        dark = looks(account, 0, 1, 0, 100)
        dark["gated"] = FEED_GATED
        made.mark(dark)
    made.publish(OUTLETS)
    assert is_open(made, 0, 1)


def test_logins_are_marked_too_and_retractions_are_not() -> None:
    made = gate()
    events = looks(0, 0, 1, 3)
    events["kind"] = [LOOK, LOGIN, RETRACT]
    made.mark(events)
    assert events["gated"].tolist() == [COVERAGE_GATED, COVERAGE_GATED, 0]


def test_a_snapshot_holds_everything() -> None:
    made = gate()
    for account in range(4):
        made.mark(looks(account, 0, 1, 30))
    made.publish(OUTLETS)
    other = gate()
    other.restore(made.snapshot())
    assert all((other.habits[name] == made.habits[name]).all() for name in HABIT.names or ())
    assert is_open(other, 0, 1)


def test_rows_of_another_kind_are_refused() -> None:
    with pytest.raises(TypeError, match="EVENT"):
        gate().mark(np.zeros(1, HABIT))


def test_who_is_under_suspicion_moves_no_gate() -> None:
    made, frozen = gate(), np.zeros(20, np.uint8)
    for account in range(3):
        made.mark(looks(account, 0, 1, 30, 2))
    frozen[3:8] = 1
    for account in range(3, 8):
        made.mark(looks(account, 0, 1, 0, 30), frozen)
    assert (made.habits["looks"][3:8] == 0).all()
    made.publish(OUTLETS)
    assert is_open(made, 0, 1)
    for account in range(3, 8):  # what they had taught before does not count either while they are frozen
        made.mark(looks(account, 0, 1, 0, 30, day=2))
    made.publish(OUTLETS, frozen)
    assert is_open(made, 0, 1)

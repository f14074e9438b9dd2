from __future__ import annotations

import numpy as np
import pytest

from watchbill.core.settings import PolicySettings
from watchbill.responses.budget import (
    HOUR_MS,
    HOURS,
    OTHER,
    WORK,
    affords,
    budget_of,
    kinds_of,
    note_active,
    room,
    under,
)


class Purse:
    """A budget over ten thousand accounts, and what was refused."""

    def __init__(self, share: float, least: int) -> None:
        self.row = budget_of(PolicySettings(budget_share=share, budget_min=least))
        self.hours = np.zeros(10_000, HOURS)
        self.alerts = np.zeros(100, np.int32)

    def active(self, hour: int, accounts: int) -> None:
        for account in range(accounts):
            note_active(self.row, self.hours[account], hour * HOUR_MS + account)

    def ask(self, account: int, *, certain: bool = False, kind: int = WORK) -> bool:
        return bool(affords(self.row, kind, self.hours[account], account, self.alerts, certain))

    def room(self) -> int:
        return int(room(self.row[0]))


@pytest.mark.parametrize(
    ("share", "least", "before", "now", "wanted"),
    [(0.01, 10, 500, 500, 10), (0.01, 10, 3000, 10, 30), (0.01, 10, 10, 3000, 30), (0.0, 4, 9000, 9000, 4), (1, 0, 7, 3, 7)],
)  # fmt: skip
def test_room_is_a_share_of_the_active_and_at_least_so_many(
    share: float, least: int, before: int, now: int, wanted: int
) -> None:
    purse = Purse(share, least)
    purse.active(100, before)
    purse.active(101, now)
    assert purse.room() == wanted


def test_an_hour_of_silence_forgets_who_was_active() -> None:
    purse = Purse(0.01, 1)
    purse.active(100, 5000)
    purse.active(102, 100)
    assert purse.room() == 1


def test_it_is_spent_told_once_and_new_in_the_next_hour() -> None:
    purse = Purse(0, 3)
    purse.active(100, 1)
    asked = [purse.ask(account) for account in (1, 2, 3, 4, 5, 4)]
    assert asked == [True, True, True, False, False, False]
    row = purse.row[0]
    assert (row["spent"], row["refused"], row["refused_ever"], row["hours_spent"]) == (3, 2, 2, 1)
    assert purse.alerts[: row["alerts"]].tolist() == [4]
    purse.active(101, 1)
    assert purse.ask(4)
    row = purse.row[0]
    assert (row["spent"], row["refused"], row["refused_ever"]) == (1, 0, 2)


def test_what_is_certain_needs_no_room_and_takes_none() -> None:
    purse = Purse(0, 1)
    purse.active(100, 1)
    assert [purse.ask(1), purse.ask(2, certain=True), purse.ask(3, certain=True), purse.ask(4)] == [
        True,
        True,
        True,
        False,
    ]
    assert purse.row["spent"][0] == 1


def test_other_settings_keep_the_state() -> None:
    purse = Purse(0, 1)
    purse.active(100, 1)
    purse.ask(1)
    wider = under(purse.row, PolicySettings(budget_share=0, budget_min=2))
    assert (wider["spent"][0], wider["least"][0]) == (1, 2)


def test_an_hour_that_spent_it_halves_the_next_and_a_calm_one_gives_it_back() -> None:
    purse = Purse(0, 10)
    rooms = []
    for hour in range(100, 106):
        purse.active(hour, 1)
        rooms.append(purse.room())
        for account in range(20):
            purse.ask(account)
    assert rooms == [10, 5, 2, 1, 1, 1], "one at least"
    calm = []
    for hour in range(106, 112):
        purse.active(hour, 1)
        calm.append(purse.room())
    assert calm == [1, 2, 5, 10, 10, 10]
    assert purse.row["spent"][0] == 0


def test_hours_in_which_nothing_comes_are_calm() -> None:
    purse = Purse(0, 8)
    for hour in (100, 101, 102):
        purse.active(hour, 1)
        for account in range(20):
            purse.ask(account)
    purse.active(110, 1)
    assert purse.room() == 8


def test_a_budget_of_nothing_lets_nothing_pass() -> None:
    purse = Purse(0, 0)
    purse.active(100, 50)
    assert not purse.ask(1)


def test_what_spends_one_kind_leaves_the_other() -> None:
    purse = Purse(0, 1)
    purse.active(100, 1)
    assert [purse.ask(1), purse.ask(2), purse.ask(2, kind=OTHER), purse.ask(3, kind=OTHER)] == [
        True,
        False,
        True,
        False,
    ]
    assert purse.alerts[: purse.row["alerts"][0]].tolist() == [2, 3]
    assert purse.row["refused_ever"].tolist() == [1, 1]


def test_the_kind_is_other_where_other_evidence_reaches_the_limit_alone() -> None:
    evidence = np.array([[9.0, 9.0, 0.0, 900.0, 1.0], [4.0, 7.0, 7.0, 900.0, 0.0]], np.float32)
    weights, is_work = np.array([0.3, 0.1]), np.array([True, False])
    guarantee = np.array([7.8, 7.9, 4.6, 899.0, 0.5], np.float32)
    # with a limit of 4 nats: 4 + ln .1 = 1.7 is too little, 7 + ln .1 = 4.7 is enough, and the last needs no budget
    assert kinds_of(evidence, weights, is_work, guarantee, 4.0).tolist() == [WORK, OTHER, OTHER, OTHER, WORK]
    assert kinds_of(evidence, weights, is_work, guarantee, 5.0).tolist() == [WORK, WORK, WORK, OTHER, WORK]
    assert kinds_of(evidence, weights, np.array([True, True]), guarantee, 4.0).tolist() == [WORK] * 5

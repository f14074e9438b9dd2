from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runners.test_engine import START, batch, look
from watchbill.core.settings import PolicySettings, Settings
from watchbill.records.columns import columns_of
from watchbill.responses.policy import DECISIONS
from watchbill.runners.pipeline import Output, Verdicts
from watchbill.runners.trytally import Side, changed_settings, differing, sentence

FOREVER = 1 << 62


def heard(rows: list[tuple[dict[str, Any], str, int]], changes: list[dict[str, Any]] | None = None) -> Side:
    """A side that heard looks: (record, decision, reason code)."""
    columns = columns_of(batch(*(row for row, _, _ in rows)).table, 0)
    n = len(rows)
    verdicts = Verdicts(
        np.arange(n, dtype=np.int32), np.array([DECISIONS.index(word) for _, word, _ in rows], np.uint8),
        np.array([reason for _, _, reason in rows], np.int16), np.zeros(n, np.float32), np.zeros(n, np.float32),
    )  # fmt: skip
    side = Side()
    side.hear(columns, Output(verdicts, changes or []), 0, FOREVER)
    return side


def up(step: str, account: str = "a1", time: int = START) -> dict[str, Any]:
    return {"account": account, "step": step, "time": time}


def test_records_are_shown_until_the_first_stop_and_saved_from_then_on() -> None:
    many = look(4, subjects=["x", "y", "z"])
    side = heard([
        (look(1), "allow", 0), (look(2), "ask_reason", 0), (look(3), "step_up", 0), (many, "allow", 0), (look(5), "allow", 7),
        (look(6, masked=True), "allow", 0), (look(7, outcome="denied"), "deny", 0), (look(8, account="a2"), "mask", 0),
        (look(9, account="a2"), "allow", 0),
    ])  # fmt: skip
    assert (side.shown, side.saved, side.refused) == ({"a1": 2, "a2": 1}, {"a1": 4, "a2": 1}, {"a1": 1, "a2": 1})
    assert side.interrupted() == {"a1"}
    assert Side.from_json(side.to_json()) == side


def test_steps_count_when_they_rise_and_cost_what_settings_say() -> None:
    steps = [up("ask_reason"), up("step_up"), up("none"), up("step_up"), up("suspend"), up("mask"), up("mask", "a2")]
    side = heard([(look(1), "allow", 0)], steps)
    said = side.report(
        {"a1": "dismissed"}, Settings(policy=PolicySettings(cost_yuan={"step_up": 7.0, "suspend": 100.0}))
    )
    assert said["steps"]["step_up"] == {"all": 1, "dismissed": 1, "confirmed": 0, "unjudged": 0}
    assert said["steps"]["mask"] == {"all": 1, "dismissed": 0, "confirmed": 0, "unjudged": 1}
    assert said["cost_yuan"] == {"dismissed": 114.0, "confirmed": 0.0, "unjudged": 0.0}
    assert side.worst("a1") == 6


def test_what_is_outside_the_span_does_not_count_but_is_known() -> None:
    side = Side()
    side.change(up("step_up"), counts=False)
    side.change(up("step_up"), counts=True)
    assert side.taken == {}
    side.change(up("suspend"), counts=True)
    assert side.worst("a1") == 6


def test_accounts_that_differ_come_with_those_that_people_judged_first() -> None:
    now = heard([(look(1, account=who), "allow", 0) for who in ("a1", "a2", "a3")])
    new = heard([(look(1, account=who), "step_up", 0) for who in ("a1", "a2", "a3")])
    rows = differing(now, new, {"a3": "dismissed", "a2": "confirmed"})
    assert [(row["account"], row["verdict"]) for row in rows] == [
        ("a3", "dismissed"),
        ("a2", "confirmed"),
        ("a1", "unjudged"),
    ]
    assert rows[0]["now"] == {"step": "none", "stopped": 0, "asked_or_masked": 0}
    assert rows[0]["new"] == {"step": "none", "stopped": 1, "asked_or_masked": 0}


@pytest.mark.parametrize(
    ("cleared", "saved", "words"),
    [(1, 1, "interrupted 1 account of dismissed cases (now 5) and saved 1 record (now 1,377)"),
     (3, 412, "interrupted 3 accounts of dismissed cases (now 5) and saved 412 records (now 1,377)")],
)  # fmt: skip
def test_the_sentence(cleared: int, saved: int, words: str) -> None:
    def side(accounts: int, records: int) -> dict[str, Any]:
        # ten records of dismissed accounts are no saving
        return {"interrupted": {"dismissed": accounts}, "records": {"saved": {"all": records + 10, "dismissed": 10}}}

    assert sentence(side(5, 1377), side(cleared, saved)) == f"would have {words}"


def test_changed_settings_are_named_by_path() -> None:
    new = Settings(policy=PolicySettings(step_up_at=2e5), detectors_off=("rhythm",))
    assert changed_settings(Settings(), new) == [
        {"setting": "detectors_off", "now": "[]", "new": "['rhythm']"},
        {"setting": "policy.step_up_at", "now": "100000.0", "new": "200000.0"},
    ]

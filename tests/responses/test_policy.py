"""The ladder as a table of scripts: what comes in, which steps are taken, what each look is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchbill.context.events import EVENT, LOGIN, LOOK, RETRACT
from watchbill.core.settings import PolicySettings
from watchbill.responses.policy import (
    ASK_REASON,
    CHANGE,
    CHANGES_MAX,
    DECISIONS,
    FOREVER,
    MASK,
    NONE,
    STANDING,
    STEP_UP,
    STEPS,
    SUSPEND,
    apply_policy,
    hold,
    release,
    spans_ms,
    thresholds,
    wanted_step,
)
from watchbill.responses.presence import PROOF, WHENCE, Presence, span_of

HOUR, MINUTE = 3_600_000, 60_000
DEFAULT = PolicySettings()
ASK, UP, SLOW, END, STOP = 3.5, 5.5, 7.5, 8.5, 12.5  # decimal logs just over each threshold
RELAX = float(np.log(DEFAULT.relax_factor))

Event = dict[str, Any]


def look(at: float, log10: float = 0.0, **given: Any) -> Event:
    return {
        "kind": LOOK,
        "arrival": int(at * MINUTE),
        "log10": log10,
        "first": 1,
        "reveal": 1,
        "left": 8.0,
        "reason": 0,
        **given,
    }


def fine(at: float, log10: float = 0.0, **given: Any) -> Event:
    return look(at, log10, reason=1, **given)


def retract(at: float, log10: float, **given: Any) -> Event:
    return look(at, log10, kind=RETRACT, first=0, reveal=0, reason=1, **given)


class Ladder:
    """Standings, and the ladder run over scripts."""

    def __init__(self) -> None:
        self.standing = np.zeros(3, STANDING)
        self.proofs = np.zeros(3, PROOF)
        self.records: list[int] = []

    def presence(self, n: int) -> Presence:
        """Nothing that proves presence."""
        return Presence(self.proofs, np.zeros(n, WHENCE), span_of(DEFAULT))

    def run(self, script: list[Event], steps: int = 1) -> tuple[list[str], list[str]]:
        """(decision of each look, changes as "old>new until" in minutes)."""
        n = len(script)
        events = np.zeros(n, EVENT)
        for at, item in enumerate(script):
            for name, value in item.items():
                if name not in {"log10", "left"}:
                    events[name][at] = value
            events["time"][at] = item["arrival"]
        guarantee = np.array([item["log10"] * np.log(10) for item in script], np.float32)
        left = np.array([item["left"] for item in script], np.float32)
        decisions, records, changes = np.zeros(n, np.uint8), np.zeros(n, np.int32), np.zeros(CHANGES_MAX * n, CHANGE)
        count = apply_policy(
            events, guarantee, left, self.standing, thresholds(DEFAULT), RELAX, spans_ms(DEFAULT),
            np.array([steps], np.uint8), decisions, records, changes, self.presence(n),
        )  # fmt: skip
        self.records = records.tolist()
        said = [DECISIONS[d] for d, item in zip(decisions, script, strict=True) if item["kind"] == LOOK]
        made = [f"{STEPS[c['old']]}>{STEPS[c['new']]} {c['until'] // MINUTE}" for c in changes[:count]]
        return said, made


DAY = 24 * 60
CASES: list[tuple[str, list[Event], list[str], list[str]]] = [
    ("nothing happens", [look(0), fine(1)], ["allow", "allow"], []),
    ("asked: only for looks without a reason", [look(0, ASK), fine(1, ASK)], ["ask_reason", "allow"], [f"none>ask_reason {DAY}"]),
    ("presence: for every reveal", [look(0, UP), fine(1, UP)], ["step_up"] * 2, [f"none>step_up {DAY}"]),
    ("masked looks go on", [look(0, UP), look(1, UP, reveal=0)], ["step_up", "allow"], [f"none>step_up {DAY}"]),
    ("throttled", [look(0, SLOW)], ["throttle"], [f"none>throttle {DAY}"]),
    ("the session ends", [look(0, END), look(1, END, reveal=0)], ["deny", "deny"], ["none>end_session 15"]),
    ("after an ended session comes proof of presence, for a day", [look(0, END), look(15, END), look(16, STOP), look(DAY + 15, END)],
     ["deny", "step_up", "step_up", "deny"],
     ["none>end_session 15", f"end_session>step_up {DAY + 15}", "step_up>none 0", f"none>end_session {DAY + 30}"]),
    ("an ended session may still become a suspension", [look(0, END), look(5, STOP)], ["deny", "deny"],
     ["none>end_session 15", "end_session>suspend 20"]),
    ("a rung at a time or all at once", [look(0, ASK), look(1, UP), look(2, END)], ["ask_reason", "step_up", "deny"],
     [f"none>ask_reason {DAY}", f"ask_reason>step_up {DAY + 1}", "step_up>end_session 17"]),
    ("a step expires by itself", [look(0, UP), look(DAY - 1), look(DAY)], ["step_up", "step_up", "allow"],
     [f"none>step_up {DAY}", "step_up>none 0"]),
    ("and is taken anew while the evidence stands", [look(0, UP), look(DAY, UP)], ["step_up", "step_up"],
     [f"none>step_up {DAY}", "step_up>none 0", f"none>step_up {2 * DAY}"]),
    ("suspension falls to masked work after fifteen minutes", [look(0, STOP), look(14, STOP), look(15, STOP), fine(16, STOP), look(17, STOP, reveal=0)],
     ["deny", "deny", "mask", "mask", "allow"], ["none>suspend 15", f"suspend>mask {DAY + 15}"]),
    ("and is not renewed for a day", [look(0, STOP), look(20, STOP), look(DAY, STOP), look(DAY + 21, STOP)],
     ["deny", "mask", "mask", "deny"],
     ["none>suspend 15", f"suspend>mask {DAY + 20}", "mask>none 0", f"none>suspend {DAY + 36}"]),
    ("asking relaxes by looks", [look(0, ASK), fine(61, 2.5), fine(62, 1.5), look(63, 1.5)], ["ask_reason", "allow", "allow", "allow"],
     [f"none>ask_reason {DAY}", "ask_reason>none 0"]),
    ("but not within the hour, so that it does not flicker", [look(0, ASK), fine(59, 1.5), look(59, 1.5), fine(60, 1.5)],
     ["ask_reason", "allow", "ask_reason", "allow"], [f"none>ask_reason {DAY}", "ask_reason>none 0"]),
    ("presence does not relax by looks", [look(0, UP), fine(1, 1.0)], ["step_up", "step_up"], [f"none>step_up {DAY}"]),
    ("but by evidence taken back", [look(0, UP), retract(1, 1.0), look(2, 1.0)], ["step_up", "allow"], [f"none>step_up {DAY}", "step_up>none 0"]),
    ("as far as it goes", [look(0, UP), retract(1, 3.5), look(2, 3.5)], ["step_up", "ask_reason"],
     [f"none>step_up {DAY}", f"step_up>ask_reason {DAY + 1}"]),
    ("a little back is not enough", [look(0, UP), retract(1, 4.5)], ["step_up"], [f"none>step_up {DAY}"]),
    ("a suspension ends when its evidence goes", [look(0, STOP), retract(1, 0.0), look(2)], ["deny", "allow"], ["none>suspend 15", "suspend>none 0"]),
    ("nor does what speaks for a person shut them out for longer", [look(0, STOP), retract(1, 9.0), look(16, 9.0)], ["deny", "step_up"],
     ["none>suspend 15", "suspend>end_session 15", f"end_session>step_up {DAY + 16}"]),
    ("a retraction never takes a step up", [retract(0, STOP)], [], []),
    ("the bucket masks what has no reason", [look(0, left=-1.0), fine(1, left=0.0), look(2, left=-1.5), look(61, left=3.0)],
     ["mask", "allow", "mask", "allow"], ["none>mask 60", "mask>none 0"]),
    ("no typed text lifts the bound", [look(0, ASK, left=-1.0), look(1, ASK)], ["mask", "ask_reason"], [f"none>ask_reason {DAY}"]),
    ("a bucket mask gives way to a step", [look(0, left=-1.0), look(1, UP)], ["mask", "step_up"], ["none>mask 60", f"mask>step_up {DAY + 1}"]),
    ("a login can take a step", [look(0, UP, kind=LOGIN, first=0, reveal=0), look(1, UP)], ["step_up"], [f"none>step_up {DAY}"]),
    ("no account, no standing", [look(0, STOP, account=-1)], ["allow"], []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("script", "decisions", "changes"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_script(script: list[Event], decisions: list[str], changes: list[str]) -> None:
    assert Ladder().run(script) == (decisions, changes)


@pytest.mark.parametrize(
    ("script", "decisions", "changes"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_script_row_by_row(script: list[Event], decisions: list[str], changes: list[str]) -> None:
    ladder = Ladder()
    parts = [ladder.run([item]) for item in script]
    assert ([d for part in parts for d in part[0]], [c for part in parts for c in part[1]]) == (decisions, changes)


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4])
def test_each_threshold_is_reached_and_not_before(number: int) -> None:
    limits = thresholds(DEFAULT)
    at = [DEFAULT.ask_reason_at, DEFAULT.step_up_at, DEFAULT.throttle_at, DEFAULT.end_session_at, DEFAULT.suspend_at][
        number
    ]
    assert wanted_step(float(np.log(at)) + 1e-9, limits) == number + 2
    assert wanted_step(float(np.log(at)) - 1e-9, limits) == (number + 1 if number else 0)


def test_a_role_without_steps_takes_none() -> None:
    assert Ladder().run([look(0, STOP, left=-1.0)], steps=0) == (["allow"], [])


def test_unexplained_records_are_counted_from_the_start_of_the_evidence() -> None:
    ladder = Ladder()
    ladder.run([look(0), look(1), look(2, 1.0), look(3, 1.0), fine(4, 1.0), look(5, 1.0, first=0), look(6, 1.0)])
    assert ladder.records == [1, 1, 2, 3, 3, 3, 4]
    assert ladder.standing[0]["since"] == MINUTE


def test_accounts_do_not_touch_each_other() -> None:
    ladder = Ladder()
    ladder.run([look(0, STOP, account=1), look(1)])
    assert [STEPS[row["step"]] for row in ladder.standing] == ["none", "suspend", "none"]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 600),
            st.floats(0, 14),
            st.sampled_from([LOOK, LOGIN, RETRACT]),
            st.booleans(),
            st.floats(-3, 8),
        ),
        max_size=40,
    )
)
def test_whatever_comes_nobody_is_held_without_end(items: list[tuple[int, float, int, bool, float]]) -> None:
    clock, script = 0, []
    for wait, log10, kind, explained, left in items:
        clock += wait
        script.append(look(clock, log10, kind=kind, reason=int(explained), left=left, reveal=int(kind == LOOK)))
    ladder = Ladder()
    ladder.run(script)
    row = ladder.standing[0]
    longest = 15 * MINUTE if STEPS[row["step"]] == "suspend" else 24 * HOUR
    assert row["until"] - clock * MINUTE <= longest
    # and calm looks after that are allowed
    assert Ladder.run(ladder, [fine(clock + 2 * DAY + 30), fine(clock + 4 * DAY)])[0][-1] == "allow"


def test_what_a_person_confirmed_stays_until_it_is_lifted() -> None:
    ladder = Ladder()
    ladder.run([look(0, STOP), look(20)])  # suspended, nobody looked: masked work
    assert hold(ladder.standing, 0, SUSPEND) == (MASK, SUSPEND)
    calm = [fine(30), retract(40, 0.0), look(3 * DAY), look(300 * DAY, STOP)]
    assert ladder.run(calm) == (["deny"] * 3, [])
    assert release(ladder.standing, 0) == (SUSPEND, NONE)
    assert ladder.run([look(301 * DAY, ASK)]) == (["ask_reason"], [f"none>ask_reason {302 * DAY}"])


def test_a_held_step_rises_on_new_evidence_and_falls_back_to_what_was_confirmed() -> None:
    ladder = Ladder()
    ladder.run([look(0, UP)])
    assert hold(ladder.standing, 0, ASK_REASON) == (STEP_UP, STEP_UP)
    said, made = ladder.run([look(1, SLOW), look(2, END), look(17, ASK), look(900 * DAY)])
    assert said == ["throttle", "deny", "step_up", "step_up"]
    assert [change.split()[0] for change in made] == ["step_up>throttle", "throttle>end_session", "end_session>step_up"]
    assert ladder.standing[0]["until"] == FOREVER


def test_spans_are_those_of_the_settings() -> None:
    assert spans_ms(PolicySettings(step_hours=2, suspend_minutes=5)).tolist() == [2 * HOUR, 5 * MINUTE, HOUR]

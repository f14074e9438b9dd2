"""The ladder as a table of scripts: what comes in, which steps are taken, what each look is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from watchbill.context.context import grown
from watchbill.context.events import EVENT, LOGIN, LOOK, RETRACT, WORK
from watchbill.core.settings import PolicySettings
from watchbill.responses.budget import HOURS, budget_of
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
    enforced_steps,
    hold,
    release,
    spans_ms,
    standing_at,
    thresholds,
    wanted_step,
)
from watchbill.responses.presence import FREES_DEVICE, PROOF, SCAN, WHENCE, Presence, span_of

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

    def __init__(self, settings: PolicySettings = DEFAULT) -> None:
        self.standing, self.hours, self.proofs = np.zeros(3, STANDING), np.zeros(3, HOURS), np.zeros(3, PROOF)
        self.settings, self.budget = settings, budget_of(settings)
        self.records: list[int] = []
        self.alerts: list[int] = []

    def presence(self, script: list[Event]) -> Presence:
        """Where the events come from (`device`), and what they prove (`how`, `frees`): nothing, unless they say so."""
        self.proofs = grown(self.proofs, self.standing.shape[0])
        whence = np.zeros(len(script), WHENCE)
        for at, item in enumerate(script):
            for name in ("device", "how", "frees"):
                whence[name][at] = item.get(name, 0)
        return Presence(self.proofs, whence, span_of(self.settings))

    def run(self, script: list[Event], steps: int = 1) -> tuple[list[str], list[str]]:
        """(decision of each look, changes as "old>new until" in minutes)."""
        n = len(script)
        events = np.zeros(n, EVENT)
        for at, item in enumerate(script):
            for name, value in item.items():
                if name not in {"log10", "left", "sure10", "of", "how", "frees"}:
                    events[name][at] = value
            events["time"][at] = item["arrival"]
        guarantee = np.array([item["log10"] * np.log(10) for item in script], np.float32)
        left = np.array([item["left"] for item in script], np.float32)
        sure = np.array([item.get("sure10", 0.0) * np.log(10) for item in script], np.float32)
        kinds = np.array([item.get("of", 0) for item in script], np.uint8)
        alerts = np.zeros(n, np.int32)
        decisions, records, changes = np.zeros(n, np.uint8), np.zeros(n, np.int32), np.zeros(CHANGES_MAX * n, CHANGE)
        count = apply_policy(
            events, guarantee, left, self.standing, thresholds(self.settings), RELAX, spans_ms(self.settings),
            np.array([steps], np.uint8), decisions, records, changes, enforced_steps(self.settings), sure, kinds, self.budget,
            self.hours, alerts, self.presence(script),
        )  # fmt: skip
        self.alerts = alerts[: int(self.budget["alerts"][0])].tolist()
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
     ["none>suspend 15", f"suspend>mask {DAY + 15}", "mask>none 0", f"none>suspend {DAY + 36}"]),
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
     ["none>suspend 15", "suspend>end_session 15", f"end_session>step_up {DAY + 15}"]),
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


@hypothesis_settings(deadline=None)
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


# --- expiry: over by itself -------------------------------------------------------------------------------------------


def later(ladder: Ladder, minute: float) -> tuple[str, int]:
    """What a reader sees at a minute: (step, until in minutes)."""
    row = standing_at(
        ladder.standing[:1], int(minute * MINUTE), spans_ms(ladder.settings), enforced_steps(ladder.settings)
    )[0]
    return STEPS[row["step"]], int(row["until"]) // MINUTE


@pytest.mark.parametrize(
    ("script", "seen"),
    [
        ([look(0, left=-1.0)], [(0, "mask", 60), (59.9, "mask", 60), (60, "none", 0)]),
        ([look(0, ASK)], [(DAY - 1, "ask_reason", DAY), (DAY, "none", 0)]),
        ([look(0, UP)], [(DAY - 1, "step_up", DAY), (DAY, "none", 0)]),
        ([look(0, SLOW)], [(DAY - 1, "throttle", DAY), (DAY, "none", 0)]),
        ([look(0, END)], [(14, "end_session", 15), (15, "step_up", DAY + 15), (DAY + 15, "none", 0)]),
        ([look(0, STOP)], [(14, "suspend", 15), (15, "mask", DAY + 15), (DAY + 14, "mask", DAY + 15), (DAY + 15, "none", 0)]),
    ],
    ids=["mask", "ask_reason", "step_up", "throttle", "end_session", "suspend"],
)  # fmt: skip
def test_every_step_ends_without_a_further_record(script: list[Event], seen: list[tuple[float, str, int]]) -> None:
    ladder = Ladder()
    ladder.run(script)
    before = ladder.standing.tobytes()
    assert [(minute, *later(ladder, minute)) for minute, _, _ in seen] == seen
    assert later(ladder, 400 * DAY) == ("none", 0)
    assert ladder.standing.tobytes() == before, "reading changes nothing"


@pytest.mark.parametrize("log10", [ASK, UP, SLOW, END, STOP])
@pytest.mark.parametrize("minute", [1, 14, 15, 16, DAY - 1, DAY, DAY + 14, DAY + 15, DAY + 16, 9 * DAY])
def test_a_reader_sees_what_the_next_calm_record_will_meet(log10: float, minute: float) -> None:
    ladder = Ladder()
    ladder.run([look(0, log10)])
    seen = later(ladder, minute)
    ladder.run([fine(minute, log10, reveal=0, kind=RETRACT)])  # a record that neither raises nor relaxes
    assert (STEPS[ladder.standing[0]["step"]], int(ladder.standing[0]["until"]) // MINUTE) == seen


def test_what_a_person_confirmed_is_seen_without_end() -> None:
    ladder = Ladder()
    ladder.run([look(0, UP)])
    hold(ladder.standing, 0, 0)
    ladder.run([look(1, END)])
    assert later(ladder, 2)[0] == "end_session"
    assert later(ladder, 400 * DAY) == ("step_up", FOREVER // MINUTE)


# --- shadow: the next lower enforced step -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "script", "decisions", "steps"),
    [
        ({"shadow_steps": ("throttle",)}, [look(0, SLOW)], ["step_up"], ["step_up"]),
        ({"shadow_steps": ("throttle", "step_up")}, [look(0, SLOW)], ["ask_reason"], ["ask_reason"]),
        ({"shadow_steps": ("suspend",)}, [look(0, STOP), look(15, 0)], ["deny", "step_up"], ["end_session", "step_up"]),
        ({"shadow_steps": ("step_up",)}, [look(0, END), look(15, 0)], ["deny", "ask_reason"], ["end_session", "ask_reason"]),
        ({"shadow_steps": ("mask",)}, [look(0, STOP), look(15, 0)], ["deny", "allow"], ["suspend", "none"]),
        ({"shadow_steps": ("mask",)}, [look(0, left=-1.0)], ["allow"], []),
        ({"shadow_steps": ("ask_reason",)}, [look(0, ASK), look(1, UP)], ["allow", "step_up"], ["step_up"]),
        ({"mode": "shadow"}, [look(0, STOP, left=-1.0), look(1, STOP)], ["allow", "allow"], []),
    ],
)  # fmt: skip
def test_a_step_in_shadow_gives_way_to_the_next_lower_one(
    settings: dict[str, Any], script: list[Event], decisions: list[str], steps: list[str]
) -> None:
    said, made = Ladder(PolicySettings(**settings)).run(script)
    assert said == decisions
    assert [change.split()[0].split(">")[1] for change in made] == steps


def test_a_step_that_goes_into_shadow_ends_and_says_so_at_the_next_record() -> None:
    ladder = Ladder()
    ladder.run([look(0, SLOW)])
    ladder.settings = PolicySettings(shadow_steps=("throttle",))
    assert later(ladder, 1) == ("step_up", DAY)
    assert ladder.run([look(1, SLOW)]) == (["step_up"], [f"throttle>step_up {DAY}"])


def test_nobody_is_held_in_a_step_in_shadow_and_is_again_when_it_comes_out() -> None:
    ladder = Ladder(PolicySettings(mode="shadow"))
    ladder.run([look(0, UP)])
    assert hold(ladder.standing, 0, STEP_UP, enforced_steps(ladder.settings)) == (NONE, NONE)
    assert ladder.run([look(1, UP)]) == (["allow"], [])
    ladder.settings = DEFAULT
    assert ladder.run([fine(2), fine(99 * DAY)]) == (["step_up", "step_up"], [f"none>step_up {FOREVER // MINUTE}"])


# --- the budget -------------------------------------------------------------------------------------------------------

TWO = PolicySettings(budget_share=0, budget_min=2)


def test_over_the_budget_a_step_up_is_a_question_and_the_next_hour_has_room() -> None:
    ladder = Ladder(TWO)
    ladder.standing, ladder.hours = np.zeros(6, STANDING), np.zeros(6, HOURS)
    said, _ = ladder.run([look(k, END, account=k) for k in range(4)])
    assert said == ["deny", "deny", "ask_reason", "ask_reason"]
    assert ladder.alerts == [2]
    # the bucket bounds the loss of those two all the same, and asking lets explained work go on
    said, _ = ladder.run([look(5, END, account=2, left=-1.0), fine(6, END, account=3)])
    assert (said, ladder.alerts) == (["mask", "allow"], [])
    said, _ = ladder.run([look(61, END, account=3)])
    assert said == ["deny"]


def test_evidence_from_elsewhere_has_a_budget_of_its_own() -> None:
    ladder = Ladder(TWO)
    ladder.standing, ladder.hours = np.zeros(8, STANDING), np.zeros(8, HOURS)
    script = [look(k, UP, account=k, of=int(k > 3)) for k in range(7)]
    assert ladder.run(script)[0] == [
        "step_up",
        "step_up",
        "ask_reason",
        "ask_reason",
        "step_up",
        "step_up",
        "ask_reason",
    ]
    assert ladder.alerts == [2, 6]


def test_who_is_stepped_up_already_goes_further_without_room() -> None:
    ladder = Ladder(TWO)
    said, _ = ladder.run([look(0, UP), look(1, UP, account=1), look(2, END), look(3, UP, account=2)])
    assert said == ["step_up", "step_up", "deny", "ask_reason"]


def test_canaries_and_what_a_person_confirmed_are_exempt() -> None:
    ladder = Ladder(PolicySettings(budget_share=0, budget_min=0))
    said, _ = ladder.run([look(0, STOP), look(1, STOP, account=1, sure10=UP)])
    assert said == ["ask_reason", "deny"]
    hold(ladder.standing, 2, STEP_UP)
    assert ladder.run([look(2, END, account=2)])[0] == ["deny"]


@pytest.mark.parametrize("cut", range(1, 12))
def test_no_cut_of_the_batches_changes_who_is_refused(cut: int) -> None:
    script = [look(10 * k, (UP, END, ASK)[k % 3], account=(k * 5) % 7) for k in range(12)]
    whole, parts = Ladder(TWO), Ladder(TWO)
    for ladder in (whole, parts):
        ladder.standing, ladder.hours = np.zeros(7, STANDING), np.zeros(7, HOURS)
    first, second = parts.run(script[:cut]), parts.run(script[cut:])
    assert whole.run(script) == (first[0] + second[0], first[1] + second[1])
    assert whole.standing.tobytes() == parts.standing.tobytes()
    assert whole.budget["refused_ever"][0] == parts.budget["refused_ever"][0] > 0


# --- proofs of presence beside shadow, budget and time ----------------------------------------------------------------


def scanned(at: float, log10: float = UP, device: int = 7, **given: Any) -> Event:
    """A scan that proves presence for a device."""
    more = {"kind": WORK, "first": 0, "reveal": 0, "how": SCAN, "frees": FREES_DEVICE, "device": device}
    return look(at, log10, **(more | given))


def test_a_step_that_a_proof_lets_rest_comes_back_and_grows_without_room() -> None:
    ladder = Ladder(PolicySettings(budget_share=0, budget_min=1))
    said, made = ladder.run([look(0, UP), scanned(1), look(2, UP, device=7), look(3, UP), scanned(4)])
    assert (said, [change.split()[0] for change in made]) == (
        ["step_up", "allow", "step_up"], ["none>step_up", "step_up>none", "none>step_up"]
    )  # fmt: skip
    assert (int(ladder.budget["spent"][0]), ladder.alerts) == (1, [])
    assert ladder.run([look(5, UP, account=1)])[0] == ["ask_reason"], "the hour's room was taken once"
    ladder = Ladder(PolicySettings(budget_share=0, budget_min=1))
    ladder.run([look(0, UP), scanned(1)])
    assert ladder.run([look(2, UP + 1.5)])[0] == ["step_up"], "what grows while a step rests is no new account"
    assert ladder.run([look(3, END)])[0] == ["deny"]
    assert int(ladder.budget["spent"][0]) == 1


def test_a_step_that_is_over_needs_room_again_whatever_was_proven_before() -> None:
    ladder = Ladder(PolicySettings(budget_share=0, budget_min=1))
    ladder.run([look(0, UP), scanned(1)])
    after = DAY + 1
    said, _ = ladder.run([look(after, UP, account=1), look(after + 1, UP)])
    assert said == ["step_up", "ask_reason"]


def test_a_step_in_shadow_is_not_brought_back_by_a_look_from_elsewhere() -> None:
    ladder = Ladder()
    ladder.run([look(0, UP), scanned(1)])
    ladder.settings = PolicySettings(shadow_steps=("step_up",))
    said, made = ladder.run([look(2, 0.0), look(3, UP)])
    assert said == ["allow", "ask_reason"]
    assert [change.split()[0] for change in made] == ["none>ask_reason"]
    assert not ladder.proofs["rest_until"].any()


def test_with_what_is_above_it_in_shadow_a_proof_answers_the_step_that_is_in_force() -> None:
    ladder = Ladder(PolicySettings(shadow_steps=("throttle", "end_session")))
    said, made = ladder.run(
        [look(0, END), scanned(1, END), look(2, END, device=7), look(3, END), look(4, STOP, device=7)]
    )
    assert said == ["step_up", "allow", "step_up", "deny"]
    assert [change.split()[0] for change in made][:3] == ["none>step_up", "step_up>none", "none>step_up"]


def test_what_a_proof_let_rest_is_no_standing_and_an_ended_session_is_answered_by_the_clock() -> None:
    ladder = Ladder()
    ladder.run([look(0, UP), scanned(1)])
    assert standing_at(ladder.standing, 2 * MINUTE, spans_ms(DEFAULT), enforced_steps(DEFAULT))["step"][0] == NONE
    ladder = Ladder()
    ladder.run([look(0, END)])
    at = [
        standing_at(ladder.standing, m * MINUTE, spans_ms(DEFAULT), enforced_steps(DEFAULT))["step"][0]
        for m in (14, 16)
    ]
    assert at == [STEPS.index("end_session"), STEP_UP]
    said, made = ladder.run([scanned(14, UP), scanned(16, UP), look(17, UP, device=7), look(18, UP)])
    assert said == ["allow", "step_up"]
    assert [change.split()[0] for change in made] == ["end_session>step_up", "step_up>none", "none>step_up"]


@given(
    st.lists(
        st.tuples(st.integers(0, 1500), st.sampled_from([0.0, ASK, UP, SLOW, END, STOP]), st.integers(0, 8)),
        max_size=30,
    )
)
@hypothesis_settings(max_examples=150, deadline=None)
def test_no_event_makes_more_changes_than_there_is_room_for(script: list[tuple[int, float, int]]) -> None:
    ladder, at = Ladder(), 0
    for gap, log10, what in script:
        at += gap
        kinds = [look, scanned, retract, fine]
        event = kinds[what % 4](at, log10, **({"left": -1.0, "device": 7} if what > 4 and what % 4 != 2 else {}))
        ladder.settings = PolicySettings(shadow_steps=(("step_up",), ("suspend",), ())[what % 3])
        assert len(ladder.run([event])[1]) < CHANGES_MAX

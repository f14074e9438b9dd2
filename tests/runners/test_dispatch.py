"""What a change of standing means for each action, who is paged when nobody looks, and what is over by the clock."""

from __future__ import annotations

import json
import random
import sqlite3
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from responses.closing import closed  # noqa: F401 - a fixture that runs by itself
from watchbill.core.errors import ActionError
from watchbill.responses.base import ActionSettings, Order
from watchbill.responses.policy import STEPS
from watchbill.runners.clock import ManualClock
from watchbill.runners.dispatch import Dispatcher, Now
from watchbill.runners.outbox import Outbox, OutboxSettings

START = 1_750_000_000_000
QUARTER = 900_000


@dataclass
class Told:
    """An action that remembers, and fails while it is told to."""

    name: str
    settings: ActionSettings
    heard: list[tuple[str, str, str]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    error: Exception | None = None
    tended: int = 0

    def suits(self, order: Order) -> str:
        return "no devices" if order.device else ""

    def apply(self, order: Order) -> None:
        self.ids.append(order.id)
        if self.error is not None:
            raise self.error
        self.heard.append((order.why if order.why != "step" else order.verb, order.step, order.account))

    def undo(self, order: Order) -> None:
        self.apply(order)

    def describe(self, order: Order) -> dict[str, Any]:
        return {"id": order.id}

    def close(self) -> None:
        self.error = None

    def tend(self) -> None:
        self.tended += 1
        if self.error is not None:
            raise self.error


class House:
    """A dispatcher over actions that remember; the engine's standing is a dict."""

    def __init__(self, home: Path, on_call: tuple[str, ...] = (), **on: tuple[str, ...]) -> None:
        self.home = home
        self.clock = ManualClock(START)
        self.said: list[str] = []
        self.seq = 0
        self.holds: dict[str, Now] = {}
        self.actions = {name: Told(name, ActionSettings(kind="x", on=steps)) for name, steps in on.items()}  # type: ignore[arg-type]
        self.on_call = on_call
        self.open()

    def open(self) -> None:
        self.outbox = Outbox(self.home, OutboxSettings())
        self.dispatcher = Dispatcher(
            self.actions, self.outbox, self.clock, random.Random(1), on_call=self.on_call, tell=self.said.append
        )

    def row(self, step: str, account: str = "E1", **more: Any) -> dict[str, Any]:
        self.seq += 1
        now = self.clock.now_ms()
        until = {"none": None, "suspend": now + QUARTER, "end_session": now + QUARTER}.get(step, now + 86_400_000)
        return {"seq": self.seq, "id": "r", "time": now, "account": account, "step": step, "until": until, "case": "c1",
                "evidence": {}, **more}  # fmt: skip

    def hear(self, *steps: str, **more: Any) -> None:
        for step in steps:
            row = self.row(step, **more)
            self.holds[row["account"]] = Now(step, row["until"])
            self.dispatcher.hear([row])

    def work(self) -> None:
        for name in self.actions:
            while self.dispatcher.work(name):
                pass

    def sweep(self) -> None:
        self.dispatcher.sweep(self.standing_of)
        self.work()

    def standing_of(self, account: str, _device: str, now: int) -> Now | None:
        """As the pipeline's: a step whose time is over has given way."""
        held = self.holds.get(account)
        if held is None or held.until is None or now < held.until:
            return held
        return Now({"suspend": "mask", "end_session": "step_up"}.get(held.step, "none"), now + 86_400_000)

    def wait(self, ms: int) -> None:
        self.clock.sleep(ms / 1000)
        self.sweep()


def test_up_applies_down_undoes_and_each_action_hears_its_steps(tmp_path: Path) -> None:
    house = House(tmp_path, a=("end_session", "suspend"), b=("suspend",), c=("mask",))
    house.hear("mask", "ask_reason", "end_session", "suspend", "mask", "none")
    house.work()
    assert house.actions["a"].heard == []  # nothing was sent in between, so nothing has to be
    house.hear("mask")
    house.work()
    house.hear("end_session")
    house.work()
    house.hear("suspend")
    house.work()
    house.hear("mask")
    house.work()
    house.hear("none")
    house.work()
    assert house.actions["a"].heard == [
        ("apply", "end_session", "E1"), ("apply", "suspend", "E1"), ("undo", "suspend", "E1"), ("undo", "end_session", "E1"),
    ]  # fmt: skip
    assert house.actions["b"].heard == [("apply", "suspend", "E1"), ("undo", "suspend", "E1")]
    assert house.actions["c"].heard == [("apply", "mask", "E1"), ("undo", "mask", "E1")]


def test_down_within_its_steps_it_is_told_of_both(tmp_path: Path) -> None:
    house = House(tmp_path, a=("end_session", "suspend"))
    house.hear("suspend")
    house.work()
    house.hear("end_session")
    house.work()
    assert house.actions["a"].heard[1:] == [("undo", "suspend", "E1"), ("apply", "end_session", "E1")]


def test_rows_that_come_again_after_a_restart_change_nothing_whatever_happened_since(tmp_path: Path) -> None:
    house = House(tmp_path, a=("mask", "suspend"))
    rows = [house.row(step) for step in ("mask", "none", "mask", "suspend")]
    rows[1]["seq"] = rows[0]["seq"]  # two changes at one record
    house.dispatcher.hear(rows)
    house.work()
    told = list(house.actions["a"].heard)
    assert told[-1] == ("apply", "suspend", "E1")
    house.outbox.close()
    house.open()
    for start in range(4):
        house.dispatcher.hear(rows[start:])
    house.work()
    assert house.actions["a"].heard == told


def test_history_is_never_acted_on(tmp_path: Path) -> None:
    house = House(tmp_path, ("p",), a=("suspend",), p=())
    old = house.row("suspend", "E9", time=START - QUARTER - 1)
    house.dispatcher.hear([old, house.row("suspend", "E1", time=START - QUARTER)])
    house.work()
    assert house.actions["a"].heard == [("apply", "suspend", "E1")]
    assert house.actions["p"].heard == [("page", "suspend", "E1")]
    skipped = house.outbox.listed(("skipped",))
    assert len(skipped) == 2
    assert all("history" in entry.note for entry in skipped)
    house.hear("none", account="E9")
    house.work()
    assert len(house.actions["a"].heard) == 1


def test_what_is_applied_is_undone_however_old_the_record_is(tmp_path: Path) -> None:
    house = House(tmp_path, a=("suspend",))
    house.hear("suspend")
    house.work()
    house.hear("none", time=START - 10 * QUARTER)
    house.work()
    assert house.actions["a"].heard[-1] == ("undo", "suspend", "E1")


def test_a_suspension_pages_the_first_and_when_nobody_looked_the_next_though_no_record_comes(tmp_path: Path) -> None:
    house = House(tmp_path, ("first", "second"), idp=("suspend",), first=(), second=())
    house.hear("suspend")
    house.work()
    assert house.actions["first"].heard == [("page", "suspend", "E1")]
    house.wait(QUARTER - 1_000)
    assert house.actions["second"].heard == []
    assert house.actions["idp"].heard == [("apply", "suspend", "E1")]
    house.wait(1_000)
    assert house.actions["second"].heard == [("unattended", "suspend", "E1")]
    assert house.actions["idp"].heard[-1] == ("undo", "suspend", "E1")  # nobody is shut out longer than was said
    (failure,) = house.outbox.failures()
    assert failure == {
        "case": "c1", "began": START, "until": START + QUARTER, "noticed": START + QUARTER, "paged": "second",
    }  # fmt: skip
    assert "the firm's failure, not the person's" in house.said[-1]
    house.hear("mask")  # the engine says it with the next record
    house.wait(60_000)
    assert len(house.outbox.failures()) == len(house.actions["second"].heard) == 1
    assert len(house.actions["first"].heard) == 1


def test_when_the_engine_says_first_that_it_ran_out_it_is_the_same(tmp_path: Path) -> None:
    house = House(tmp_path, ("first", "second"), first=(), second=())
    house.hear("suspend")
    house.clock.sleep(QUARTER / 1000)
    house.hear("mask")
    house.sweep()
    assert house.actions["second"].heard == [("unattended", "suspend", "E1")]
    assert len(house.outbox.failures()) == 1


@pytest.mark.parametrize("verdict", ["dismissed", "confirmed", "evidence"])
def test_where_a_person_looked_or_evidence_went_nobody_else_is_paged(tmp_path: Path, verdict: str) -> None:
    house = House(tmp_path, ("first", "second"), idp=("suspend",), first=(), second=())
    house.hear("suspend")
    house.work()
    house.clock.sleep(300)
    if verdict == "dismissed":
        house.hear("none", verdict="dismissed")
    elif verdict == "confirmed":
        house.holds["E1"] = Now("suspend", None)  # the same step, held: the engine says no row
    else:
        house.hear("end_session")
    house.wait(QUARTER * 4)
    assert house.actions["second"].heard == []
    assert house.outbox.failures() == []
    undone = ("undo", "suspend", "E1") in house.actions["idp"].heard
    assert undone == (verdict != "confirmed")
    if verdict == "confirmed":
        house.hear("none", verdict="lifted")
        house.work()
        assert house.actions["idp"].heard[-1] == ("undo", "suspend", "E1")


def test_what_a_person_confirmed_stands_after_a_suspension_on_top_of_it(tmp_path: Path) -> None:
    house = House(tmp_path, idp=("throttle", "suspend"))
    house.hear("throttle")
    house.hear("suspend")
    house.work()
    house.holds["E1"] = Now("throttle", None)  # as of then
    house.wait(QUARTER)
    assert house.actions["idp"].heard[2:] == [("undo", "suspend", "E1")]
    house.wait(86_400_000 * 2)
    assert len(house.actions["idp"].heard) == 3


def test_a_step_that_nobody_held_ends_by_the_clock(tmp_path: Path) -> None:
    house = House(tmp_path, idp=("step_up",))
    house.hear("step_up")
    house.work()
    house.holds["E1"] = Now("step_up", house.clock.now_ms() + 86_400_000)
    house.wait(86_399_000)
    assert len(house.actions["idp"].heard) == 1
    house.wait(1_000)
    assert house.actions["idp"].heard[-1] == ("undo", "step_up", "E1")


def test_a_page_that_does_not_arrive_goes_to_the_next(tmp_path: Path) -> None:
    house = House(tmp_path, ("first", "second"), first=(), second=())
    house.actions["first"].error = ActionError("gone", final=True)
    house.hear("suspend")
    house.work()
    assert house.actions["second"].heard == [("page", "suspend", "E1")]
    assert [entry.state for entry in house.outbox.listed()] == ["sent", "dead"]


def test_without_anybody_on_call_it_is_written_down_all_the_same(tmp_path: Path) -> None:
    house = House(tmp_path, a=())
    house.hear("suspend")
    house.wait(QUARTER)
    assert house.outbox.failures()[0]["paged"] == ""


def test_failures_wait_longer_each_time_and_as_the_other_side_asks(tmp_path: Path) -> None:
    house = House(tmp_path, a=("suspend",))
    action = house.actions["a"]
    action.error = ActionError("busy")
    house.hear("suspend")
    pauses = []
    for _ in range(11):
        house.work()
        (entry,) = house.outbox.listed()
        pauses.append((entry.next_at - house.clock.now_ms()) / 1000)
        house.clock.sleep(pauses[-1])
    for number, pause in enumerate(pauses):
        most = min(5.0 * 2**number, 600.0)
        assert most / 2 <= pause <= most
    action.error = ActionError("busy", retry_seconds=3_000)
    house.work()
    assert house.outbox.listed()[0].state == "dead"
    house.outbox.retry(entry.id, house.clock.now_ms())
    house.work()
    assert house.outbox.listed()[0].next_at == house.clock.now_ms() + 3_000_000
    assert len(set(action.ids)) == 1


def test_an_actions_bug_is_a_failure_and_its_text_is_not_kept(tmp_path: Path) -> None:
    house = House(tmp_path, a=("suspend",))
    house.actions["a"].error = ValueError("E1 of 王小明")
    house.hear("suspend")
    house.work()
    (entry,) = house.outbox.listed()
    assert (entry.state, entry.note) == ("waiting", "[actions.a]: failed (ValueError)")


def test_ids_say_nothing_without_the_homes_secret(tmp_path: Path) -> None:
    ids = []
    for name in ("one", "two"):
        house = House(tmp_path / name, a=("suspend",))
        house.hear("suspend")
        house.work()
        ids += house.actions["a"].ids
    assert len(set(ids)) == 2


def test_what_an_action_cannot_tell_is_skipped_with_the_reason(tmp_path: Path) -> None:
    house = House(tmp_path, a=("suspend",))
    row = house.row("suspend", device="D1")
    del row["account"]
    house.dispatcher.hear([row])
    house.work()
    (entry,) = house.outbox.listed()
    assert (entry.state, entry.note, entry.open) == ("skipped", "no devices", 0)
    assert entry.said()["device"] == "D1"


def test_a_full_outbox_says_so_and_still_undoes(tmp_path: Path) -> None:
    house = House(tmp_path, a=("suspend",))
    house.outbox.settings = OutboxSettings(waiting_max=1)
    house.hear("suspend")
    house.work()
    house.hear("suspend", account="E2")
    house.hear("suspend", account="E3")
    house.hear("none")
    assert "full" in house.said[0]
    house.work()
    assert house.actions["a"].heard == [
        ("apply", "suspend", "E1"), ("apply", "suspend", "E2"), ("undo", "suspend", "E1"),
    ]  # fmt: skip


def test_what_nobody_is_told_of_leaves_nothing_on_disk(tmp_path: Path) -> None:
    house = House(tmp_path, a=("end_session",))
    house.hear("mask", "none", "ask_reason", "none")
    assert house.outbox.standing("account:E1") is None
    assert house.outbox.listed() == []
    rows = [house.row("mask"), house.row("end_session")]
    house.dispatcher.hear(rows)
    house.work()
    house.dispatcher.hear(rows)  # said again: the first is older than what stands
    house.work()
    assert house.actions["a"].heard == [("apply", "end_session", "E1")]
    house.hear("mask")
    house.work()
    assert house.actions["a"].heard[-1] == ("undo", "end_session", "E1")


def test_a_storm_of_steps_waits_for_a_person(tmp_path: Path) -> None:
    house = House(tmp_path, a=("suspend",))
    house.actions["a"].settings = ActionSettings(kind="x", on=("suspend",), applies_an_hour_max=3)
    for number in range(5):
        house.hear("suspend", account=f"E{number}")
    house.work()
    assert len(house.actions["a"].heard) == 3
    waiting = house.outbox.listed(("awaiting_approval",))
    assert [entry.order.account for entry in waiting] == ["E4", "E3"]
    assert "more than 3 in an hour" in waiting[0].note
    house.hear("none", account="E0")  # what ends a step never waits
    house.work()
    assert house.actions["a"].heard[-1] == ("undo", "suspend", "E0")
    house.clock.sleep(3_601)
    house.hear("suspend", account="E9")
    house.work()
    assert house.actions["a"].heard[-1] == ("apply", "suspend", "E9")


def test_the_same_words_are_said_once_a_minute(tmp_path: Path) -> None:
    house = House(tmp_path, a=("suspend",))
    house.actions["a"].error = ActionError("no key")
    for _ in range(5):
        house.dispatcher._tend("a")
    assert house.said == ["no key"]
    house.clock.sleep(61)
    house.dispatcher._tend("a")
    assert house.said == ["no key", "no key"]


def test_a_suspension_that_fell_to_the_mask_was_not_looked_at_whatever_the_clock_says(tmp_path: Path) -> None:
    house = House(tmp_path, ("first", "second"), first=(), second=())
    house.hear("suspend")
    house.clock.sleep(-3_600)  # somebody set it back
    house.hear("mask")
    house.work()
    assert len(house.outbox.failures()) == 1


def test_a_disk_that_does_not_take_it_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(tmp_path, a=("suspend",))
    real = house.outbox.writing

    def full() -> Any:
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setattr(house.outbox, "writing", full)
    house.hear("suspend")
    assert "kept and wait" in house.said[0]
    monkeypatch.setattr(house.outbox, "writing", real)
    house.sweep()
    assert house.actions["a"].heard == [("apply", "suspend", "E1")]


def test_a_start_catches_up_with_what_the_last_run_could_not_write_down(tmp_path: Path) -> None:
    house = House(tmp_path / "home", a=("suspend",))
    house.hear("suspend", account="E5")
    house.work()
    path = tmp_path / "interventions.ndjson"
    rows = [
        house.row("suspend", "E7", time=START - QUARTER - 1), house.row("suspend", "E1"),
        house.row("none", "E5", time=START - 4 * QUARTER),
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"seq": 9, "torn')
    house.dispatcher.catch_up(path)
    house.dispatcher.catch_up(path)
    house.dispatcher.catch_up(tmp_path / "absent")
    house.work()
    assert house.actions["a"].heard[1:] == [("apply", "suspend", "E1"), ("undo", "suspend", "E5")]
    assert house.outbox.listed(("skipped",)) == []


def test_what_ended_while_nothing_could_be_written_down_is_undone_at_the_next_start(tmp_path: Path) -> None:
    house = House(tmp_path, a=("step_up",))
    house.hear("step_up", until=None)  # held without end
    house.hear("step_up", account="E2", until=None)
    house.sweep()
    house.holds["E1"] = Now("none", None)  # lifted, and the row was lost
    house.sweep()
    assert len(house.actions["a"].heard) == 2
    house.outbox.close()
    house.open()
    house.sweep()
    assert house.actions["a"].heard[2:] == [("undo", "step_up", "E1")]


def test_an_engine_that_finds_the_home_busy_has_said_nothing(tmp_path: Path) -> None:
    house = House(tmp_path / "home", a=("suspend",))
    path = tmp_path / "interventions.ndjson"
    rows = [house.row("suspend"), house.row("suspend", "E2")]
    path.write_text(json.dumps(rows[0]) + "\n")
    said = house.dispatcher.hearer(path)
    assert house.outbox.listed() == []
    said([rows[1]])
    said([])
    house.work()
    assert [who for _, _, who in house.actions["a"].heard] == ["E1", "E2"]


def test_threads_send_and_one_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    house = House(tmp_path, slow=("suspend",), fast=("suspend",))
    gate = time.monotonic() + 1.0
    slow = house.actions["slow"]
    real = slow.apply

    def wait(order: Order) -> None:
        time.sleep(max(0.0, gate - time.monotonic()))
        real(order)

    slow.apply = wait  # type: ignore[method-assign]
    house.hear("suspend")
    house.dispatcher.start()
    end = time.monotonic() + 10
    while not house.actions["fast"].heard and time.monotonic() < end:
        time.sleep(0.01)
    assert house.actions["fast"].heard
    assert not slow.heard
    house.actions["fast"].error = ValueError("private")
    while not any("failed (ValueError)" in text for text in house.said) and time.monotonic() < end:
        time.sleep(0.01)
    house.dispatcher.stop()
    assert slow.heard
    assert slow.tended
    assert not any("private" in text for text in house.said)


class Believing:
    """Another system that counts each id once and believes what it is told, also when its answer is lost."""

    name = "a"

    def __init__(self) -> None:
        self.settings = ActionSettings(
            kind="x", on=("mask", "step_up", "suspend"), attempts_max=100, applies_an_hour_max=10_000
        )
        self.seen: dict[str, Order] = {}
        self.mood = "well"

    def suits(self, _order: Order) -> str:
        return ""

    def apply(self, order: Order) -> None:
        if self.mood != "down":
            self.seen.setdefault(order.id, order)
        if self.mood != "well":
            raise ActionError("no answer")

    undo = apply

    def describe(self, order: Order) -> dict[str, Any]:
        return {"id": order.id}

    def tend(self) -> None:
        pass

    def close(self) -> None:
        pass

    def holds(self) -> set[tuple[str, str]]:
        undone = {order.undoes for order in self.seen.values() if order.verb == "undo"}
        return {(o.account, o.step) for o in self.seen.values() if o.verb == "apply" and o.id not in undone}


@hypothesis.given(
    st.lists(
        st.one_of(
            st.tuples(st.just("row"), st.sampled_from("EF"), st.sampled_from(STEPS)),
            st.tuples(st.just("mood"), st.sampled_from(["well", "down", "lost"]), st.just("")),
            st.tuples(st.just("work"), st.just(""), st.just("")), st.tuples(st.just("kill"), st.just(""), st.just("")),
            st.tuples(st.just("wait"), st.just(""), st.just("")),
        ),
        max_size=40,
    )
)  # fmt: skip
@hypothesis.settings(max_examples=60)
def test_whatever_happens_the_other_side_comes_to_believe_what_stands(script: list[tuple[str, str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock, action, rows, stands = ManualClock(START), Believing(), list[dict[str, Any]](), set[tuple[str, str]]()

        def opened() -> Dispatcher:
            return Dispatcher({"a": action}, Outbox(Path(folder)), clock, random.Random(1))

        house = opened()
        for what, which, step in script:
            if what == "row":
                rows.append({"seq": len(rows) // 2, "time": clock.now_ms(), "account": f"{which}{len(rows) % 2}", "step": step,
                             "until": None, "case": None, "evidence": {}})  # fmt: skip
                who = rows[-1]["account"]
                stands = {(w, s) for w, s in stands if w != who or STEPS.index(s) <= STEPS.index(step)}
                stands |= {(who, step)} & {(who, s) for s in action.settings.on}
                house.hear(rows[-1:])
            elif what == "mood":
                action.mood = which
            elif what == "work":
                house.work("a")
            elif what == "wait":
                clock.sleep(60)
            else:
                house.outbox.close()
                house = opened()
                house.hear(rows)  # no checkpoint: everything is said again
        action.mood = "well"
        for _ in range(200):
            clock.sleep(700)
            while house.work("a"):
                pass
        assert action.holds() == stands
        assert house.outbox.counts()["waiting"] == house.outbox.counts()["dead"] == 0
        house.outbox.close()

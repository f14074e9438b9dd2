"""The laws of actions, over every kind that the folder holds: what the other side believes, over loopback."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from responses.closing import closed  # noqa: F401 - a fixture that runs by itself
from responses.worlds import SECRET, WORLDS, World, world_of
from watchbill.responses.base import Action, Around, Order, kinds, open_action
from watchbill.runners.clock import ManualClock, SystemClock
from watchbill.runners.dispatch import Dispatcher
from watchbill.runners.outbox import Outbox, OutboxSettings

ROOT = Path(__file__).parents[2] / "src"
NAMES = ("王小明", "13912345678", "W-4711")
CHILD = """
import json, random, sys
from pathlib import Path
from watchbill.responses.base import Around, open_action
from watchbill.runners.clock import SystemClock
from watchbill.runners.dispatch import Dispatcher
from watchbill.runners.outbox import Outbox
table, home = json.loads(sys.argv[1]), Path(sys.argv[2])
clock = SystemClock()
action = open_action("it", table, Around(home, clock.now_ms, clock.monotonic))
Dispatcher({"it": action}, Outbox(home), clock, random.Random(1)).work("it")
"""


class Rig:
    """A dispatcher with one action, at a clock that the test moves."""

    def __init__(self, world: World, home: Path, **settings: Any) -> None:
        self.world, self.home = world, home
        self.table = {"kind": world.kind, "attempts_max": 3, **world.table(), **settings}
        self.clock = ManualClock(SystemClock().now_ms())
        self.open()

    def open(self) -> None:
        self.outbox = Outbox(self.home, OutboxSettings())
        around = Around(self.home, self.clock.now_ms, self.clock.monotonic)
        self.action: Action = open_action("it", self.table, around)
        self.dispatcher = Dispatcher({"it": self.action}, self.outbox, self.clock, random.Random(1))

    def row(self, seq: int, step: str, account: str = "E1", **more: Any) -> dict[str, Any]:
        now = self.clock.now_ms()
        until = None if step == "none" else now + 900_000
        return {"seq": seq, "id": NAMES[2], "time": now, "account": account, "step": step, "until": until, "case": "c7",
                "evidence": {"reason": 1e13}, **more}  # fmt: skip

    def work(self) -> int:
        done = 0
        while self.dispatcher.work("it"):
            done += 1
        return done

    def states(self) -> list[str]:
        return [entry.state for entry in reversed(self.outbox.listed())]


@pytest.fixture(params=kinds())
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Each kind's other side."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    with world_of(request.param, tmp_path / "other", tmp_path / "home") as one:
        yield one


@pytest.fixture
def rig(world: World) -> Rig:
    """Nothing was told yet."""
    return Rig(world, world.home)


def test_every_kind_has_its_other_side() -> None:
    assert set(WORLDS) == set(kinds()) == {"caep", "command", "notify", "webhook"}


def test_apply_twice_is_once(rig: Rig, world: World) -> None:
    row = rig.row(1, "suspend")
    rig.dispatcher.hear([row])
    rig.dispatcher.hear([row])
    assert rig.work() == 1
    rig.outbox.close()
    rig.open()  # a restart says it again
    rig.dispatcher.hear([row])
    assert rig.work() == 0
    assert (len(world.ids()), world.contained()) == (1, {"E1"})
    order = rig.outbox.listed()[0].order
    rig.action.apply(order)  # and where it is sent twice all the same, the other side can tell
    assert (len(set(world.ids())), world.contained()) == (1, {"E1"})


def test_undo_restores(rig: Rig, world: World) -> None:
    rig.dispatcher.hear([rig.row(1, "suspend"), rig.row(2, "suspend", "E2")])
    rig.work()
    assert world.contained() == {"E1", "E2"}
    rig.dispatcher.hear([rig.row(3, "none")])
    rig.work()
    assert world.contained() == {"E2"}
    assert rig.states() == ["undone", "sent", "sent"]
    rig.dispatcher.hear([rig.row(3, "none"), rig.row(4, "mask", "E2")])
    rig.work()
    assert world.contained() == set()
    count = len(world.ids())
    rig.dispatcher.hear([rig.row(5, "none", "E2")])
    assert (rig.work(), len(world.ids())) == (0, count)


def test_a_second_suspension_is_a_new_one(rig: Rig, world: World) -> None:
    for seq, step in enumerate(("suspend", "none", "suspend")):
        rig.dispatcher.hear([rig.row(seq, step)])
        rig.work()
    assert world.contained() == {"E1"}
    assert len(set(world.ids())) == 3


def test_a_dry_run_touches_nothing(world: World) -> None:
    for wanted in ({"secret": SECRET} if world.kind == "webhook" else {}, {}):
        around = Around(world.home, lambda: 1_750_000_000_000, lambda: 0.0)
        action = open_action("it", {"kind": world.kind, **world.table(), **wanted}, around)
        order = Order("msg_1", "apply", "step", "suspend", 1_750_000_000_000, None, "c7", "E1", txn="t1")
        said = json.dumps([action.describe(order), action.describe(order)])
        assert "E1" in said
        assert SECRET not in said
        assert world.ids() == []
        assert not world.home.exists()


def test_a_failing_receiver_is_retried_then_a_dead_letter_and_can_be_retried(rig: Rig, world: World) -> None:
    world.fail(yes=True)
    rig.dispatcher.hear([rig.row(1, "suspend")])
    pauses = []
    for _ in range(3):
        assert rig.work() == 1
        entry = rig.outbox.listed()[0]
        if entry.state == "waiting":
            assert rig.work() == 0  # not before its time
            pauses.append(entry.next_at - rig.clock.now_ms())
            rig.clock.sleep(pauses[-1] / 1000 + 0.001)
    assert (entry.state, entry.attempts) == ("dead", 3)
    assert pauses[0] >= 2_500
    assert pauses[1] >= 5_000
    assert "E1" not in entry.note
    rig.clock.sleep(86_400)
    assert rig.work() == 0
    world.fail(yes=False)
    rig.outbox.retry(entry.id, rig.clock.now_ms())
    rig.clock.sleep(-86_400)
    assert rig.work() == 0
    rig.clock.sleep(86_400)
    assert rig.work() == 1
    assert rig.states() == ["sent"]
    assert len(set(world.ids())) == 1


def test_killed_between_send_and_mark_it_is_sent_again_with_the_same_id(rig: Rig, world: World) -> None:
    rig.dispatcher.hear([rig.row(1, "suspend")])
    rig.outbox.close()
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, json.dumps(rig.table), str(rig.home)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    world.on_next(process.kill)
    _, said = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, said
    assert len(world.ids()) == 1
    rig.open()
    assert rig.states() == ["waiting"]
    assert rig.work() == 1
    assert rig.states() == ["sent"]
    assert len(world.ids()) == 2
    assert len(set(world.ids())) == 1
    assert world.contained() == {"E1"}


def test_over_before_it_was_sent_it_is_never_sent(rig: Rig, world: World) -> None:
    rig.dispatcher.hear([rig.row(1, "suspend"), rig.row(2, "none")])
    assert rig.work() == 0
    assert world.ids() == []
    assert rig.states() == ["undone"]


def test_it_may_have_arrived_so_it_is_undone(rig: Rig, world: World) -> None:
    world.fail(yes=True)
    rig.dispatcher.hear([rig.row(1, "suspend")])
    rig.work()
    world.fail(yes=False)
    rig.dispatcher.hear([rig.row(2, "none")])
    assert rig.work() == 1
    assert world.contained() == set()
    assert rig.states() == ["undone", "sent"]


def test_no_person_waits_for_an_approval_to_be_released(world: World) -> None:
    rig = Rig(world, world.home, approve=True)
    rig.dispatcher.hear([rig.row(1, "suspend"), rig.row(2, "suspend", "E2")])
    assert rig.work() == 0
    first, second = reversed(rig.outbox.listed())
    rig.outbox.approve(first.id, "lead-1", rig.clock.now_ms())
    assert rig.work() == 1
    assert world.contained() == {"E1"}
    rig.outbox.refuse(second.id, "lead-1", rig.clock.now_ms())
    rig.dispatcher.hear([rig.row(3, "none"), rig.row(4, "none", "E2")])
    assert rig.work() == 1
    assert world.contained() == set()
    assert rig.states() == ["undone", "skipped", "sent"]


def test_nobody_is_named(world: World) -> None:
    rig = Rig(world, world.home, **({"account": False} if world.personal else {}))
    rig.dispatcher.hear([rig.row(1, "suspend", "acc-of-a-person", rules=[NAMES[0]], note=NAMES[1])])
    assert rig.work() == 1
    (sent,) = world.raw()
    for name in (*NAMES, *(["acc-of-a-person"] if world.personal else [])):
        assert name.encode() not in sent
        assert json.dumps(name)[1:-1].encode() not in sent
    assert b"c7" in sent or world.kind == "caep"

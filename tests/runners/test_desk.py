"""The desk over a live runner: durable before it is answered, counted once, withdrawn when it is late, closed when it is down."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from watchbill.inquiry.exposure import saw, who_saw
from watchbill.ledger.reader import Ledger
from watchbill.records.schema import DECIDE_SOURCE
from watchbill.responses.asks import Ask
from watchbill.runners.config import load_config
from watchbill.runners.desk import Calls, Desk, DeskFull, DeskSettings
from watchbill.runners.live import LiveRunner

SETTINGS = """
home = "home"
reference = "reference"
[engine.reasons.roles.courier]
reasons = []
looks_a_day = 5
[decisions]
answer_ms_max = 20000
[decisions.callers.desk]
token = "a-token-of-this-test"
[sources.log]
kind = "files"
paths = ["in"]
follow = true
poll_seconds = 0.05
"""


class Live:
    """A live runner in a thread of this process, without HTTP."""

    def __init__(self, place: Path) -> None:
        self.config = load_config(place / "watchbill.toml")
        self.runner = LiveRunner(self.config, door=_no_door)
        self.summary: dict[str, Any] = {}
        self.thread = threading.Thread(target=lambda: self.summary.update(self.runner.run()))
        self.thread.start()
        assert self.runner.ready.wait(60)
        assert self.runner.desk is not None
        self.calls = Calls(self.runner.desk)

    def end(self) -> None:
        self.runner.stop()
        self.thread.join(60)


class _Nothing:
    """A door that nobody comes through."""

    started, should_exit = True, False

    def run(self) -> None:
        while not self.should_exit:
            time.sleep(0.01)

    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", 1)


def _no_door(*_: object) -> _Nothing:
    return _Nothing()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "accounts.csv").write_text("account,role,outlet\na1,courier,O1\na2,hub,O1\n")
    (tmp_path / "reference" / "outlets.csv").write_text("outlet,name\nO1,one\n")
    (tmp_path / "watchbill.toml").write_text(SETTINGS)
    return tmp_path


def ask(number: int, account: str = "a1", **more: Any) -> Ask:
    return Ask(f"q{number}", account, waybill=f"W{number}", subjects=(f"p{number}",),
               **{"fields": ("recipient.phone", "recipient.id_number"), **more})  # fmt: skip


def rows(home: Path, kind: str) -> list[dict[str, Any]]:
    table = pa.concat_tables(
        list(Ledger(home).records(["kind", "source", "id", "decision", "fields", "outcome", "extra", "account"]))
    )
    return [row for row in table.sort_by("seq").to_pylist() if row["kind"] == kind]


def test_an_answer_has_its_look_and_its_decision_in_the_ledger(place: Path) -> None:
    live = Live(place)
    try:
        decided = live.calls.decide([ask(1)])[0]
        assert (decided.decision, decided.levels) == (
            "allow",
            {"recipient.phone": "plain", "recipient.id_number": "hidden"},
        )
        look = rows(place / "home", "view")
        assert [(row["source"], row["decision"], row["account"]) for row in look] == [(DECIDE_SOURCE, decided.id, "a1")]
    finally:
        live.end()
    told = rows(place / "home", "wb.decision")
    assert [(row["decision"], row["fields"], row["outcome"], row["account"]) for row in told] == [
        (decided.id, ["recipient.phone"], "success", "a1")
    ]
    extra = json.loads(told[0]["extra"])
    assert extra["decision"] == "allow"
    assert extra["enforced"]
    assert extra["settings"]
    assert extra["request"] == "q1"
    assert live.summary["looks"] == 1


def test_the_same_request_is_one_look_also_after_a_restart(place: Path) -> None:
    live = Live(place)
    try:
        first = live.calls.decide([ask(1), ask(1)])
        again = live.calls.decide([ask(1)])
    finally:
        live.end()
    assert first[0] == first[1] == again[0]
    live = Live(place)
    try:
        assert live.calls.decide([ask(1)])[0] == first[0]
        assert live.calls.decide([ask(1, reason="another")])[0].id != first[0].id
    finally:
        live.end()
    assert len(rows(place / "home", "view")) == len(rows(place / "home", "wb.decision")) == 2


def test_a_harvest_is_bounded_and_the_honest_are_not_touched(place: Path) -> None:
    live = Live(place)
    try:
        got = [live.calls.decide([ask(n, fields=("recipient.phone",))])[0] for n in range(100)]
        plain = [one for one in got if one.reveals]
        assert len(plain) == 20  # four usual days
        assert all(one.levels == {"recipient.phone": "masked"} for one in got if not one.reveals)
        assert got[-1].why in {"bound", "standing", "no_reason"}
        assert live.calls.decide([ask(1000, "a2", fields=("recipient.name",))])[0].reveals
    finally:
        live.end()
    seen = saw(place / "home", "a1")
    assert (seen.persons, seen.items, seen.times) == (20, 20, 20)
    assert [gap.kind for gap in seen.gaps] == ["source_silent"]  # nothing else is open
    assert [who.account for who in who_saw(place / "home", "p3").accounts] == ["a1"]
    assert who_saw(place / "home", "p99").accounts == []


def test_the_desks_own_log_counts_once(place: Path) -> None:
    live = Live(place)
    try:
        phone = {"fields": ("recipient.phone",)}
        decided = live.calls.decide([ask(n, **phone) for n in range(5)])
        now = time.time_ns() // 1_000_000
        log = [
            {"id": f"l{n}", "time": now, "kind": "view", "account": "a1", "waybill": f"W{n}", "subjects": [f"p{n}"],
             "fields": ["recipient.phone"], "decision": one.id} for n, one in enumerate(decided)
        ]  # fmt: skip
        (place / "in" / "a.ndjson").write_text("".join(json.dumps(row) + "\n" for row in log))
        end = time.monotonic() + 30
        while Ledger(place / "home").find("id", "l4").num_rows == 0:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert live.calls.decide([ask(100, **phone)])[0].reveals
    finally:
        live.end()
    seen = saw(place / "home", "a1")
    assert (seen.persons, seen.times) == (6, 6)
    verdicts = _verdicts(place / "home")
    assert [row["left"] for row in verdicts if row["source"] == DECIDE_SOURCE][-1] == pytest.approx(
        14, abs=0.01
    )  # 20 less six asks; the five logs take none
    assert {row["decision"] for row in verdicts if row["source"] == "log"} == {"allow"}


def _verdicts(home: Path) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = pq.read_table(home / "out" / "verdicts.parquet").to_pylist()
    return out


def test_who_gives_up_is_told_to_mask_and_it_is_recorded_as_late(place: Path) -> None:
    live = Live(place)
    desk = live.runner.desk
    assert desk is not None
    try:
        desk.wake = lambda: None  # the engine sleeps for a moment yet
        waiting = desk.put(ask(1), "desk", lambda _: None)
        closed = desk.give_up(waiting)
        assert closed is not None
        assert (closed.decision, closed.why) == ("mask", "late")
        answers: list[Any] = []
        other = desk.put(ask(2), "desk", answers.extend)
        end = time.monotonic() + 20
        while not answers:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert desk.give_up(other) is None
    finally:
        live.end()
    assert [row["id"] for row in rows(place / "home", "view")] == [
        answers[0][1].id
    ]  # who gave up before it was taken asked nothing


def test_too_many_are_sent_away_and_a_shut_desk_masks() -> None:
    desk = Desk(DeskSettings(waiting_max=2))
    for number in range(2):
        desk.put(ask(number), "x", lambda _: None)
    with pytest.raises(DeskFull):
        desk.put(ask(3), "x", lambda _: None)
    assert desk.shed == 1
    desk.shut = True
    assert [one.decision for one in Calls(desk).decide([ask(1)])] == ["mask"]

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from runners.judged import opened, verdict
from runners.test_engine import START
from watchbill.cases.verdicts import Verdict
from watchbill.core.errors import NotFoundError
from watchbill.core.settings import GateSettings, Settings
from watchbill.runners.clock import ManualClock, SystemClock
from watchbill.runners.delivery import deliver, said_now
from watchbill.runners.engine import Engine
from watchbill.runners.inbox import inbox_of, take_inbox

if TYPE_CHECKING:
    from pathlib import Path


def case_of(home: Path) -> str:
    made = opened(home)
    (case,) = made.pipeline.book.cases
    made.checkpoint()
    made.close()
    return case


def test_where_nobody_writes_the_home_it_is_in_force_at_once(tmp_path: Path) -> None:
    case = case_of(tmp_path)
    said = deliver(tmp_path, verdict("confirmed", "owner", case=case), ManualClock(START))
    assert said["in_force"]
    (row,) = [json.loads(line) for line in (tmp_path / "cases.ndjson").read_text().splitlines()]
    assert row["status"] == "confirmed"
    assert (tmp_path / "status.json").exists()
    again = Engine(tmp_path, None, ManualClock(START))
    assert again.journal.durable == said["height"]
    again.close()


def test_settings_in_force_stay(tmp_path: Path) -> None:
    case = case_of(tmp_path)
    other = Settings(gates=GateSettings(coverage_min=0.5))
    made = Engine(tmp_path, other, ManualClock(START))
    made.tell()
    made.close()
    deliver(tmp_path, verdict("dismissed", "task", case=case), ManualClock(START))
    again = Engine(tmp_path, None, ManualClock(START))
    assert again.pipeline.settings == other
    again.close()


def test_no_such_case_leaves_nothing_behind(tmp_path: Path) -> None:
    case_of(tmp_path)
    with pytest.raises(NotFoundError, match="no such case"):
        deliver(tmp_path, verdict("dismissed", "task", case="c404"), ManualClock(START))
    assert list(inbox_of(tmp_path).iterdir()) == []


def test_the_process_that_writes_takes_it_or_it_waits(tmp_path: Path) -> None:
    made = opened(tmp_path)
    (case,) = made.pipeline.book.cases
    waiting = deliver(tmp_path, verdict("dismissed", "task", case=case), ManualClock(START))
    assert waiting == {"id": "v1", "in_force": False, "height": None}
    answers = []
    told = verdict("confirmed", "owner", 2, case=case)
    asking = threading.Thread(target=lambda: answers.append(deliver(tmp_path, told, SystemClock(), 60)))
    asking.start()
    while asking.is_alive():
        take_inbox(made)
        asking.join(0.01)
    assert answers == [{"id": "v2", "in_force": True, "height": None}]
    assert [one["id"] for one in made.pipeline.book.cases[case].verdicts] == ["v1", "v2"]
    made.close()


def test_two_that_say_the_same_are_two() -> None:
    given = {"case": "c1", "verdict": "dismissed", "reason": "task", "by": "r"}
    assert said_now(given, ManualClock(1), Verdict).id != said_now(given, ManualClock(2), Verdict).id

"""A crash between a look and its decision: whoever starts again writes the decision that the look must have got."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa

from watchbill.core.settings import Settings
from watchbill.ledger.reader import Ledger
from watchbill.responses.asks import Ask, identity_of
from watchbill.runners.askrecords import look_of, looks_of
from watchbill.runners.clock import ManualClock
from watchbill.runners.engine import Engine

START = 1_760_000_000_000


def asked(engine: Engine, number: int) -> str:
    ask = Ask(f"q{number}", "a1", waybill=f"W{number}", subjects=(f"p{number}",), fields=("recipient.phone",))
    identity = identity_of("desk", ask)
    engine.take_all([looks_of([look_of(ask, identity, "desk", START)])], live_now=START)
    return identity


def decisions(home: Path) -> list[dict[str, object]]:
    parts = list(Ledger(home).records(["kind", "decision", "extra", "account", "subjects"]))
    rows = pa.concat_tables(parts).sort_by("seq").to_pylist()
    return [row | json.loads(row["extra"]) for row in rows if row["kind"] == "wb.decision"]


def opened(home: Path) -> Engine:
    return Engine(home, Settings(), ManualClock(START))


def test_what_a_crash_left_open_is_told_by_the_next_process(tmp_path: Path) -> None:
    first = opened(tmp_path)
    one = asked(first, 1)
    first.checkpoint()  # the open look stands in the checkpoint, the next one behind it
    two = asked(first, 2)
    first.close()
    second = opened(tmp_path)
    second.tell(START)
    assert [(row["id"], row["decision"], row["recovered"], row["account"]) for row in decisions(tmp_path)] == [
        (one, "allow", True, "a1"), (two, "allow", True, "a1"),
    ]  # fmt: skip
    second.checkpoint()
    second.close()
    third = opened(tmp_path)
    assert not third.waiting
    third.close()


def test_a_late_answer_stays_closed_after_a_restart(tmp_path: Path) -> None:
    first = opened(tmp_path)
    identity = asked(first, 1)
    first.control(
        "wb.decision", {"decision": identity, "time": START, "extra": json.dumps({"id": identity, "why": "late"})}
    )
    first.tell(START)
    first.close()
    second = opened(tmp_path)
    answer = second.decisions.remembered.answer(identity, ("recipient.phone",), ["courier"], {})
    assert answer is not None
    assert not answer.reveals
    second.close()

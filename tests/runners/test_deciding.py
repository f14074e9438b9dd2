"""A crash between a look and its decision: whoever starts again writes the decision that the look must have got."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa

from watchbill.core.errors import LedgerFull
from watchbill.core.settings import Settings
from watchbill.ledger.reader import Ledger
from watchbill.responses.asks import Ask, identity_of
from watchbill.runners.askrecords import look_of
from watchbill.runners.clock import ManualClock
from watchbill.runners.engine import Engine

START = 1_760_000_000_000


def asked(engine: Engine, number: int, *, enforced: bool = True, field: str = "recipient.phone") -> str:
    ask = Ask(f"q{number}", "a1", waybill=f"W{number}", subjects=(f"p{number}",), fields=(field,))
    identity = identity_of("desk", ask)
    engine.take_asks([look_of(ask, identity, "desk", START, enforced=enforced)], START)
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


def test_an_ask_that_was_here_before_our_memory_is_left_out(tmp_path: Path) -> None:
    one = opened(tmp_path)
    identity = asked(one, 1)
    one.decisions.remembered.__init__(4)  # type: ignore[misc] # it is forgotten, the ids are not
    assert asked(one, 1) == identity
    assert identity not in one.decisions.remembered
    assert one.counts.looks == 1
    one.close()


def test_a_caller_in_shadow_showed_all_also_when_a_crash_left_it_open(tmp_path: Path) -> None:
    first = opened(tmp_path)
    asked(first, 1, enforced=False, field="recipient.id_number")  # hidden from everybody, had it been enforced
    first.close()
    second = opened(tmp_path)
    second.tell(START)
    told = decisions(tmp_path)[0]
    assert (told["enforced"], told["levels"]) == (False, {"recipient.id_number": "plain"})
    second.close()


def test_a_rebuild_leaves_telling_to_the_process_that_decided(tmp_path: Path) -> None:
    one = opened(tmp_path)
    asked(one, 1)
    one._rebuild(LedgerFull("no room"))
    assert not [kind for kind, _ in one._control if kind == "wb.decision"]
    one.close()

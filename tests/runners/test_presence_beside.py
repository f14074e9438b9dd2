"""Proofs of presence beside what else reads or moves a standing: shadow, time, actions, dry runs, curves, older homes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runners.counter import (
    AT_COUNTER,
    AWAY,
    HOUR,
    MINUTE,
    Firm,
    announced,
    firm_settings,
    look,
    said_of,
    scan,
    trap,
    write_tables,
)
from runners.judged import verdict
from runners.test_dispatch import House
from runners.test_engine import START, batch
from watchbill.lab.trials.curve import rerun
from watchbill.responses.policy import STEPS
from watchbill.runners.acting import standing_in
from watchbill.runners.clock import ManualClock, SystemClock
from watchbill.runners.engine import Engine
from watchbill.runners.inbox import put, take_inbox
from watchbill.runners.judging import judge
from watchbill.runners.learning import suspected
from watchbill.runners.proving import Proof, prove
from watchbill.runners.trace import Trace
from watchbill.runners.tryout import Tryout, Wanted

SESSION = {"session": "s-clerk"}


def opened(folder: Path, **policy: Any) -> Firm:
    """A firm with a parcel that lies at its outlet."""
    made = Firm(folder / "reference", firm_settings(**policy))
    made.tell(announced())
    return made


def told(at: float, number: int = 1) -> dict[str, Any]:
    """A proof by a key of the clerk's session."""
    return Proof(id=f"k{number}", account="a1", session="s-clerk", time=START + int(at * MINUTE)).model_dump()


def same(one: Any, other: Any) -> bool:
    """Whether two states say the same; what lies between their fields is nobody's."""
    return all(np.array_equal(one[name], other[name]) for name in one.dtype.names)


def whole_step(firm: Firm) -> str:
    """Where a1 would stand if nothing were in shadow."""
    shade = firm.pipeline.shade
    return STEPS[int(shade.standing["step"][firm.pipeline.context.accounts.find("a1")])]


# --- shadow -----------------------------------------------------------------------------------------------------------


def test_in_shadow_a_proof_answers_the_step_that_would_have_been(tmp_path: Path) -> None:
    firm, real = opened(tmp_path, mode="shadow"), opened(tmp_path)
    records = [look(0, AWAY), trap(1, AWAY), scan(2), look(3, AT_COUNTER), look(4, AWAY), look(5, AT_COUNTER), scan(6)]
    assert firm.tell(*records) == (["allow"] * 5, [])
    real.tell(*records)
    assert [said_of(row) for row in firm.shadow] == ["step_up", "none scan", "step_up again"]
    assert [{name: value for name, value in row.items() if name != "by"} for row in firm.shadow] == real.interventions
    assert not firm.pipeline.proofs["until"].any(), "where nothing is asked nothing is proven"
    assert same(firm.pipeline.shade.proofs, real.pipeline.proofs)
    assert firm.pipeline.book.snapshot() == real.pipeline.book.snapshot()


def test_one_step_in_shadow_a_proof_does_not_lift_what_is_asked_instead(tmp_path: Path) -> None:
    firm = opened(tmp_path, shadow_steps=("step_up",))
    assert firm.tell(trap(1, AWAY), scan(2), look(3, {"device": "H1"})) == (
        ["ask_reason", "ask_reason"],
        ["ask_reason"],
    )
    assert [said_of(row) for row in firm.shadow] == ["step_up", "none scan"]
    assert firm.tell(look(4, AWAY)) == (["ask_reason"], [])
    assert said_of(firm.shadow[-1]) == "step_up again"


def test_with_a_higher_step_in_shadow_the_one_in_force_is_answered(tmp_path: Path) -> None:
    firm = opened(tmp_path, throttle_at=4e3, shadow_steps=("throttle",))
    assert firm.tell(trap(1, AWAY), scan(2), look(3, {"device": "H1"})) == (
        ["step_up", "allow"],
        ["step_up", "none scan"],
    )
    assert whole_step(firm) == "throttle", "that no proof answers"
    assert "proof" not in firm.shadow[-1]


def test_a_key_answers_both_ladders_and_a_verdict_ends_both_proofs(tmp_path: Path) -> None:
    firm = opened(tmp_path, mode="shadow")
    firm.tell(trap(1, AWAY))
    assert prove(firm.pipeline, told(2), 999) == [], "nobody meets anything"
    assert whole_step(firm) == "none"
    (case,) = firm.pipeline.book.cases.values()
    assert case.status == "contained"
    out = suspected(firm.pipeline.whole_standing, np.zeros(0, np.uint8), firm.pipeline.shade.proofs)
    assert out[firm.pipeline.context.accounts.find("a1")], "nothing is learned while only a place would be free"
    given = verdict("dismissed", "test", account="a1").model_dump()
    judge(firm.pipeline, given, 1000)
    assert not firm.pipeline.shade.proofs["rest_until"].any()


def test_a_shadow_that_begins_goes_on_from_what_is_proven(tmp_path: Path) -> None:
    firm = opened(tmp_path)
    firm.tell(trap(1, AWAY), scan(2))
    proofs = firm.pipeline.proofs.copy()
    firm.pipeline = firm.pipeline.switched(firm_settings(mode="shadow"))
    assert same(firm.pipeline.shade.proofs, proofs)
    assert proofs["rest_until"].any()
    assert firm.tell(look(3, AWAY)) == (["allow"], [])
    assert said_of(firm.shadow[-1]) == "step_up again"
    firm.pipeline = firm.pipeline.switched(firm_settings())
    assert firm.tell(look(4, {"device": "H1"}), look(5, AWAY))[0] == ["allow", "step_up"]


# --- time -------------------------------------------------------------------------------------------------------------


def test_a_key_proves_presence_once_an_ended_session_is_over_by_the_clock(tmp_path: Path) -> None:
    firm = opened(tmp_path, end_session_at=4e3)
    assert firm.tell(trap(1, AWAY)) == (["deny"], ["end_session"])
    assert prove(firm.pipeline, told(10, 1), 900) == []
    (row,) = prove(firm.pipeline, told(17, 2), 901)  # no record came since
    assert said_of(row) == "none key"
    assert firm.tell(look(18, AT_COUNTER), look(19, AWAY)) == (["allow", "step_up"], ["step_up again"])


def test_the_standing_that_readers_get_follows_proofs_and_time(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "home", firm_settings(), ManualClock(START + HOUR))
    engine.reload(write_tables(tmp_path / "reference"))
    now = standing_in(engine)

    def step(at: float) -> str | None:
        held = now("a1", "", START + int(at * MINUTE))
        return held.step if held is not None else None

    engine.take(_batch(trap(1, AWAY)))
    assert (step(1), step(24 * 60), step(24 * 60 + 1)) == ("step_up", "step_up", "none")
    put(engine.home, Proof.model_validate(told(2)))
    take_inbox(engine, START + 2 * MINUTE)
    assert step(3) == "none"
    engine.take(_batch(look(4, AWAY)))
    assert (step(5), step(24 * 60 + 1)) == ("step_up", "none"), "back again with its old end"
    engine.close()


# --- actions ----------------------------------------------------------------------------------------------------------


def test_what_was_applied_is_undone_by_a_proof_and_applied_again_by_a_look_from_elsewhere(tmp_path: Path) -> None:
    firm = opened(tmp_path)
    firm.tell(trap(1, AWAY), scan(2), look(3, AWAY), look(3.5, AWAY))
    firm.interventions += prove(firm.pipeline, told(4), 900)
    assert [said_of(row) for row in firm.interventions] == ["step_up", "none scan", "step_up again", "step_up key"]
    (tmp_path / "outbox").mkdir()
    house = House(tmp_path / "outbox", a=("step_up",))
    house.clock.sleep(5 * 60)
    for row in firm.interventions:
        house.dispatcher.hear([row])
        house.work()
    heard = [what[:2] for what in house.actions["a"].heard]
    assert heard == [("apply", "step_up"), ("undo", "step_up"), ("apply", "step_up")], (
        "a place that is free changes nothing"
    )
    house.outbox.close()


# --- dry runs and curves ----------------------------------------------------------------------------------------------


def test_a_dry_run_obeys_the_keys_of_the_journal_and_counts_a_step_once(tmp_path: Path) -> None:
    settings = firm_settings()
    engine = Engine(tmp_path / "home", settings, ManualClock(START + HOUR))
    engine.reload(write_tables(tmp_path / "reference"))
    engine.take(_batch(trap(1, AWAY)))
    put(engine.home, Proof.model_validate(told(2)))
    take_inbox(engine, START + 2 * MINUTE)
    engine.take(_batch(look(3, SESSION), look(4, AWAY), look(5, SESSION)))
    engine.checkpoint()
    engine.close()
    report = Tryout(tmp_path / "home", Wanted(settings, firm_settings(mode="shadow")), SystemClock()).run().report
    assert report["now"]["looks"]["step_up"]["all"] == 2, "the trap, and the look from elsewhere"
    assert report["now"]["steps"]["step_up"]["all"] == 1
    assert sum(report["now"]["cost_yuan"].values()) == settings.policy.cost_yuan["step_up"], (
        "the same step again costs no more"
    )
    assert report["new"]["looks"]["step_up"]["all"] == 0
    assert report["new"]["shadow_rows"] == 2, "step_up, and step_up again"


def test_the_curve_knows_what_was_proven(tmp_path: Path) -> None:
    firm = opened(tmp_path, budget_min=1)
    trace = Trace(tmp_path / "t.parquet")
    seen: list[int] = []
    firm.pipeline.on_scores = trace.write
    records = [trap(1, AWAY), scan(2), look(3, AT_COUNTER), look(4, AWAY), look(5, {"device": "H1"}), look(6, AWAY)]
    for record in records:
        columns = firm.columns(record)
        seen += firm.pipeline.step(columns).verdicts.decision.tolist()
    trace.close()
    _, decisions = rerun(tmp_path / "t.parquet", firm.settings, 1.0)
    assert decisions.tolist() == seen
    assert len(set(seen)) > 1


# --- homes of before --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["enforce", "shadow"])
def test_a_state_from_before_there_were_proofs_is_taken_over_and_can_be_proven(tmp_path: Path, mode: str) -> None:
    firm = opened(tmp_path, mode=mode)
    firm.tell(trap(1, AWAY))
    saved = {
        name: value for name, value in firm.pipeline.snapshot().items() if name not in {"presence", "shade/presence"}
    }
    firm.pipeline = firm.fresh()
    firm.pipeline.restore(saved)
    for name, table in Firm(tmp_path / "reference", firm.settings).pipeline.context.tables.items():
        firm.pipeline.apply(name, table)
    rows = prove(firm.pipeline, told(2), 900)
    if mode == "enforce":
        assert [said_of(row) for row in rows] == ["none key"]
        assert firm.tell(look(3, AT_COUNTER), look(4, AWAY)) == (["allow", "step_up"], ["step_up again"])
    else:
        assert whole_step(firm) == "none"
        assert firm.tell(look(4, AWAY)) == (["allow"], [])
        assert said_of(firm.shadow[-1]) == "step_up again"


def _batch(*records: dict[str, Any]) -> Any:
    rows = [{"id": f"r{record['time']}", "fields": ["recipient.phone"], **record} for record in records]
    return batch(*({**row, "time": START + int(row["time"])} for row in rows))

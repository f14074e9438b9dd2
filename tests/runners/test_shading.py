"""What would have been done is written, and nothing of it reaches a person."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from runners.judged import opened, reference, tell, trapped, verdict
from runners.test_engine import START, batch, look
from runners.test_pipeline import DAY, Heard, World, fresh, same
from runners.test_pipeline import world as world  # noqa: PLC0414 - a fixture is taken over by its name
from watchbill.core.settings import PolicySettings, Settings
from watchbill.records.schema import SCHEMA
from watchbill.runners.checkpoint import load_checkpoint, save_checkpoint
from watchbill.runners.clock import ManualClock
from watchbill.runners.engine import Engine
from watchbill.runners.pipeline import Pipeline
from watchbill.runners.ruling import BUDGET_RULE

SHADOW = Settings(policy=PolicySettings(mode="shadow"))
NO_UP = Settings(policy=PolicySettings(shadow_steps=("step_up", "mask")))
QUIET = ("login_place", "unexplained")
HUSHED = Settings(detectors_shadow=QUIET, shadow_owner="data desk")
OFF = Settings(detectors_off=QUIET)
STEPS = ("none", "mask", "ask_reason", "step_up", "throttle", "end_session", "suspend")


def told(pipeline: Pipeline, world: World) -> tuple[Heard, list[dict[str, Any]]]:
    """(what was said, shadow rows) of the whole world."""
    out = pipeline.step(world.columns)
    names = ("row", "decision", "reason", "score", "left")
    verdicts = {name: getattr(out.verdicts, name) for name in names}
    return Heard(verdicts, out.interventions, pipeline.book.snapshot()), out.shadow


@pytest.fixture(scope="module")
def enforced(world: World) -> Heard:
    return told(fresh(world), world)[0]


def test_in_shadow_nobody_meets_anything_and_all_of_it_is_written(world: World, enforced: Heard) -> None:
    heard, shadow = told(fresh(world, SHADOW), world)
    assert heard.interventions == []
    assert (heard.verdicts["decision"] == 0).all()
    rows = [{name: value for name, value in row.items() if name != "by"} for row in shadow]
    assert rows == enforced.interventions, "the rows are those that the ladder would have said"
    assert {row["by"] for row in shadow} == {"steps"}
    assert heard.cases == enforced.cases, "people find the same cases to look at"
    np.testing.assert_array_equal(heard.verdicts["score"], enforced.verdicts["score"])


def test_a_step_in_shadow_is_written_where_it_would_have_been_and_the_lower_one_taken(
    world: World, enforced: Heard
) -> None:
    heard, shadow = told(fresh(world, NO_UP), world)
    made = {row["step"] for row in heard.interventions}
    assert made.isdisjoint({"step_up", "mask"})
    assert "ask_reason" in made
    assert {row["step"] for row in shadow} >= {"step_up", "mask"}
    up = [(row["seq"], row["case"], row["evidence"]) for row in shadow if row["step"] == "step_up"]
    assert up == [
        (row["seq"], row["case"], row["evidence"]) for row in enforced.interventions if row["step"] == "step_up"
    ]
    assert heard.cases == enforced.cases
    # who would have been stepped up is asked for a reason by the enforced ladder, in the same case
    asked = {row["account"] for row in heard.interventions if row["step"] in {"ask_reason", "throttle", "end_session"}}
    assert {row["account"] for row in shadow if row["step"] == "step_up"} <= asked


@pytest.mark.parametrize("settings", [SHADOW, NO_UP, HUSHED], ids=["mode", "steps", "detectors"])
def test_no_cut_and_no_restart_changes_it(world: World, settings: Settings, tmp_path: Path) -> None:
    whole, shadow = told(fresh(world, settings), world)
    rng = np.random.default_rng(5)
    columns = world.columns
    edges = [0, *sorted(rng.integers(1, len(columns), 25).tolist()), len(columns)]
    pipeline, rows = fresh(world, settings), []
    for number, (start, stop) in enumerate(pairwise(edges)):
        rows += pipeline.step(columns.cut(start, stop)).shadow
        if number % 8 == 3:
            save_checkpoint(tmp_path, 1, pipeline.snapshot())
            loaded = load_checkpoint(tmp_path, 1)
            assert loaded is not None
            pipeline = Pipeline(settings)
            pipeline.restore(loaded[1])
            for name, table in world.reference.items():
                pipeline.apply(name, table)
    assert rows == shadow
    assert pipeline.book.snapshot() == whole.cases
    assert len(rows) > 3


def test_a_shadow_detector_moves_nothing_and_is_heard(world: World) -> None:
    pipeline = fresh(world, HUSHED)
    heard, shadow = told(pipeline, world)
    without = told(fresh(world, OFF), world)[0]
    same(
        Heard(heard.verdicts, heard.interventions, [case | {"shadow": {}} for case in heard.cases]),
        Heard(without.verdicts, without.interventions, without.cases),
    )
    assert shadow
    for row in shadow:
        assert row["by"] == "detectors"
        assert set(row["detectors"]) <= set(QUIET)
        assert set(row["evidence"]) <= {"login", "reason"}
        assert row["step"] in STEPS[2:]
    assert pipeline.shade.heard["unexplained"] > len(shadow)
    assert pipeline.shade.rows == {"steps": 0, "detectors": len(shadow)}
    marked = [case["shadow"] for case in heard.cases if case["shadow"]]
    assert marked
    assert all(set(one) <= set(QUIET) for one in marked)


def test_an_account_is_told_once_a_step_and_span(world: World) -> None:
    _, shadow = told(fresh(world, HUSHED), world)
    until: dict[str, tuple[int, int]] = {}
    for row in shadow:
        who = row.get("account") or row["device"]
        before, step = until.get(who, (0, 0))
        assert row["time"] >= before or STEPS.index(row["step"]) > step
        until[who] = (row["until"], STEPS.index(row["step"]))


# --- the budget -------------------------------------------------------------------------------------------------------


def misnamed(world: World) -> World:
    """From the fourth day on scans and tickets name their parcels in another form: no gate sees it, nothing is explained."""
    table = world.table
    begin = int(table["arrival"][0].as_py()) // DAY * DAY + 3 * DAY
    late = pc.and_(pc.is_in(table["kind"], pa.array(["scan", "ticket"])), pc.greater_equal(table["arrival"], begin))
    named = pc.if_else(late, pc.binary_join_element_wise("0", table["waybill"], ""), table["waybill"])
    at = SCHEMA.get_field_index("waybill")
    return replace(world, table=table.set_column(at, SCHEMA.field("waybill"), named).combine_chunks())


def ups(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Changes to step_up and more, those by canaries apart (also where one comes back after a proof of presence)."""
    high = [row for row in rows if STEPS.index(row["step"]) >= 3]
    return [row for row in high if "canary" not in row["evidence"] and not row.get("resumed")]


def test_a_feed_that_breaks_unseen_steps_up_no_more_than_the_budget_and_says_so(world: World) -> None:
    broken = misnamed(world)
    # a small world of few days has little evidence: steps are taken sooner
    policy = PolicySettings(ask_reason_at=20, step_up_at=100, budget_share=0, budget_min=0)
    free = told(fresh(broken, Settings(policy=policy.model_copy(update={"budget_min": 10**6}))), broken)[0]
    pipeline = fresh(broken, Settings(policy=policy))
    output = pipeline.step(broken.columns)
    rows = [row for row in output.findings if row["rule"] == BUDGET_RULE]
    assert len(rows) == int(pipeline.budget["hours_spent"].sum()) > 0
    assert [row["seq"] for row in rows] == sorted(row["seq"] for row in rows)
    assert all(row["account"] == row["device"] == "" for row in rows)
    assert len(ups(free.interventions)) > 10
    assert ups(output.interventions) == []
    asked = {row["account"] for row in output.interventions if row["step"] == "ask_reason"}
    assert {row["account"] for row in ups(free.interventions)} <= asked, "who is over it is asked for a reason"
    edges = [0, *sorted(np.random.default_rng(8).integers(1, len(broken.columns), 40).tolist()), len(broken.columns)]
    other = fresh(broken, Settings(policy=policy))
    parts = [other.step(broken.columns.cut(start, stop)) for start, stop in pairwise(edges)]
    assert [row for part in parts for row in part.findings] == output.findings
    assert [row for part in parts for row in part.interventions] == output.interventions


def test_a_canary_needs_no_budget(tmp_path: Path) -> None:
    settings = Settings(policy=PolicySettings(suspend_at=1e5, budget_share=0, budget_min=0))
    made = Engine(tmp_path / "home", settings, ManualClock(START))
    made.reload(reference(tmp_path / "reference"))
    made.take(trapped())
    at = made.pipeline.context.accounts.find("a1")
    assert STEPS[int(made.pipeline.standing[at]["step"])] == "suspend"
    made.close()


# --- in a home --------------------------------------------------------------------------------------------------------


def shadow_rows(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / "shadow.ndjson").read_text(encoding="utf-8").splitlines()]


def test_shadow_rows_of_a_home_survive_a_restart_and_a_verdict_holds_nobody(tmp_path: Path) -> None:
    settings = Settings(policy=PolicySettings(suspend_at=1e5, mode="shadow"))
    made = Engine(tmp_path / "home", settings, ManualClock(START))
    made.reload(reference(tmp_path / "reference"))
    made.take(trapped())
    made.checkpoint()
    made.take(trapped(11))
    before = shadow_rows(tmp_path / "home")
    assert before[-1]["step"] == "suspend"
    made.close()
    again = Engine(tmp_path / "home", settings, ManualClock(START))
    assert shadow_rows(tmp_path / "home") == before, "what came after the checkpoint is written once"
    assert (tmp_path / "home" / "interventions.ndjson").read_bytes() == b""
    tell(again, verdict("confirmed", "canary", account="a1"))
    at = again.pipeline.context.accounts.find("a1")
    assert again.pipeline.standing[at]["step"] == 0
    assert again.pipeline.shade.standing[at]["step"] == STEPS.index("suspend")
    assert (tmp_path / "home" / "interventions.ndjson").read_bytes() == b""
    tell(again, verdict("dismissed", "test", number=2, account="a1"))
    assert again.pipeline.shade.standing[at]["step"] == 0
    again.close()


def test_shadow_switched_on_and_off_in_a_running_home(tmp_path: Path) -> None:
    made = opened(tmp_path / "home")
    made.checkpoint()
    made.close()
    policy = PolicySettings(suspend_at=1e5, mode="shadow")
    again = Engine(tmp_path / "home", Settings(policy=policy), ManualClock(START))
    again.take(batch(look(20)))  # the settings come into force with it
    at = again.pipeline.context.accounts.find("a1")
    assert again.pipeline.standing_of(at, START)["step"] == 0
    assert again.pipeline.shade.standing[at]["step"] > 0, "the whole ladder goes on from what was in force"
    again.close()

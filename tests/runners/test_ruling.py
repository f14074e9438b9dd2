from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runners.small import small_world
from runners.test_engine import batch, look
from watchbill.context.events import EVENT
from watchbill.core.settings import Settings
from watchbill.detectors.base import detector_ids
from watchbill.records.columns import columns_of
from watchbill.rules.bundle import RuleSource
from watchbill.rules.settings import RuleSettings
from watchbill.runners.clock import SystemClock
from watchbill.runners.engine import Engine
from watchbill.runners.local import Progress, replay
from watchbill.runners.ruling import spent_budget
from watchbill.sources.base import open_source

RULES = """
title: Unexplained look
name: wild
logsource: {product: watchbill, service: lookup}
detection:
  a: {explained: false, masked: false, first: true}
  robot: {role: robot}
  condition: a and not robot
---
title: Many unexplained customers
id: 11111111-0000-4000-8000-000000000001
correlation:
  type: value_count
  rules: wild
  group-by: [account]
  timespan: 1h
  condition: {gte: 3, field: waybill}
watchbill: {mode: act, step: end_session}
---
title: Every login from a known network kind
logsource: {product: watchbill, service: auth}
detection:
  a: {place_kind: '*', home_outlet: '*', hour|lt: 24}
  condition: a
"""

FEW = Settings(detectors_off=tuple(set(detector_ids()) - {"bounded_loss", "unexplained"}))
"""Rules need no detectors: the others' kernels would only cost time."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("rules")
    (place / "rules.yml").write_text(RULES, encoding="utf-8")
    return place


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def run(tmp: Path, folder: Path | None, rows: int, *, every: float = 1000.0, step_max: Any = "ask_reason") -> Path:
    world, out = small_world(), tmp / f"out-{rows}-{every}-{step_max}-{folder is None}"
    source = open_source("files", {"kind": "files", "paths": [f"{world}/records"], "batch_rows": rows})
    rules = RuleSource(folder, RuleSettings(step_max=step_max, batch_rows_min=200))
    replay([source], out / "home", out / "said", FEW, reference=world / "reference", rules=rules, checkpoint_seconds=every)  # fmt: skip
    return out


def test_rules_find_and_act_the_same_for_any_cut(tmp_path: Path, folder: Path) -> None:
    whole, small = run(tmp_path, folder, 100_000), run(tmp_path, folder, 777, every=0.0)
    found = lines(whole / "said" / "findings.ndjson")
    assert found == lines(small / "said" / "findings.ndjson")
    titles = {row["title"] for row in found}
    assert titles == {"Many unexplained customers", "Every login from a known network kind"}
    assert [row["seq"] for row in found] == sorted(row["seq"] for row in found)
    for name in ("interventions.ndjson", "cases.ndjson"):
        assert (whole / "said" / name).read_text() == (small / "said" / name).read_text()
    acting = [row for row in found if row["title"].startswith("Many")]
    assert {(row["mode"], row["step"]) for row in acting} == {("act", "ask_reason")}, "settings allow no more"
    assert all(row["key"].keys() == {"account"} and row["measure"] >= 3 for row in acting)
    named = [row for row in lines(whole / "said" / "interventions.ndjson") if "rules" in row]
    assert named
    assert {row["seq"] for row in named} <= {row["seq"] for row in acting}


def test_without_rules_nothing_differs_and_with_more_allowed_a_case_names_the_rule(
    tmp_path: Path, folder: Path
) -> None:
    plain, more = run(tmp_path, None, 100_000), run(tmp_path, folder, 100_000, step_max="step_up")
    assert lines(plain / "said" / "findings.ndjson") == []
    assert not (plain / "home" / "rules").exists()
    assert not any("rules" in row for row in lines(plain / "said" / "interventions.ndjson"))
    acting = [row for row in lines(more / "said" / "findings.ndjson") if row["mode"] == "act"]
    assert {row["step"] for row in acting} == {"step_up"}
    reasons = [reason for case in lines(more / "said" / "cases.ndjson") for reason in case["reasons"]]
    assert any(reason["text_en"] == "rule: Many unexplained customers" for reason in reasons)
    steps = {row["step"] for row in lines(more / "said" / "interventions.ndjson") if "rules" in row}
    assert "step_up" in steps


def test_a_home_that_begins_again_at_its_checkpoint_goes_on_the_same(tmp_path: Path, folder: Path) -> None:
    whole, out = run(tmp_path, folder, 5_000), tmp_path / "two"
    source = open_source("files", {"kind": "files", "paths": [f"{small_world()}/records"], "batch_rows": 5_000})
    rules = RuleSource(folder, RuleSettings(batch_rows_min=200))
    stop = iter([False] * 8 + [True] * 1000)
    replay([source], out / "home", out / "said", FEW, reference=small_world() / "reference", rules=rules, progress=Progress(stop=lambda: next(stop)))  # fmt: skip
    assert 0 < len(lines(out / "said" / "findings.ndjson")) < len(lines(whole / "said" / "findings.ndjson"))
    engine = Engine(out / "home", FEW, SystemClock(), replay=True)
    engine.close()
    assert engine.rules_kept.in_force["files"] == 1
    assert len(engine.pipeline.rules.rules) == 3
    replay([source], out / "home", out / "said", FEW, reference=small_world() / "reference", rules=rules)
    assert (out / "said" / "findings.ndjson").read_text() == (whole / "said" / "findings.ndjson").read_text()


def test_a_spent_budget_is_a_finding_that_names_nobody() -> None:
    events = np.zeros(3, EVENT)
    events["row"] = [0, 1, 1]
    table = batch(look(1), look(2)).table
    rows = spent_budget(np.array([2], np.int32), events, columns_of(table, 40))
    assert [(row["seq"], row["rule"], row["account"], row["step"]) for row in rows] == [
        (41, "watchbill.budget", "", "none")
    ]
    assert "a feed is probably broken" in rows[0]["title"]
    assert "a1" not in json.dumps(rows)

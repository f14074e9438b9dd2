from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from runners.small import small_world
from watchbill.core.settings import Settings
from watchbill.detectors.base import detector_ids
from watchbill.rules.bundle import RuleSource, ruleset_of
from watchbill.rules.settings import RuleSettings
from watchbill.runners.backtest import backtest, settings_in_force, told_rows
from watchbill.runners.local import replay
from watchbill.sources.base import open_source

RULES = """
title: Unexplained first look
id: 22222222-0000-4000-8000-000000000001
logsource: {product: watchbill, service: lookup}
detection:
  a: {explained: false, first: true, role: [courier, service, clerk]}
  condition: a
---
title: Login
id: 22222222-0000-4000-8000-000000000002
logsource: {product: watchbill, service: auth}
detection:
  a: {hour|lt: 12, place_kind: '*'}
  condition: a
"""

FEW = Settings(detectors_off=tuple(set(detector_ids()) - {"bounded_loss", "unexplained"}))
"""Rules need no detectors: the others' kernels would only cost time."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RuleSource]:
    place = tmp_path_factory.mktemp("backtest")
    (place / "rules").mkdir()
    (place / "rules" / "r.yml").write_text(RULES, encoding="utf-8")
    source = open_source("files", {"kind": "files", "paths": [f"{small_world()}/records"]})
    rules = RuleSource(place / "rules", RuleSettings(findings_an_hour_max=1_000_000))
    replay([source], place / "home", place / "out", FEW, reference=small_world() / "reference", rules=rules)
    return place, rules


def test_the_ledger_gives_the_hits_that_the_engine_had(ran: tuple[Path, RuleSource]) -> None:
    place, rules = ran
    ruleset = ruleset_of(rules.bundle())
    told: list[int] = []
    found = backtest(place / "home", ruleset, settings_in_force(place / "home"), lambda done, _: told.append(done))
    live = [json.loads(line) for line in (place / "out" / "findings.ndjson").read_text().splitlines()]
    counted: dict[str, Counter[str]] = {}
    for row in live:
        counted.setdefault(row["title"], Counter())[row["account"]] += 1
    mine = {ruleset.rules[number].title: one.accounts for number, one in found.rules.items()}
    assert mine == counted
    assert min(sum(accounts.values()) for accounts in mine.values()) > 10
    assert told[-1] == found.height
    assert found.days > 7
    samples = {ruleset.rules[n].title: one.samples for n, one in found.rules.items()}
    assert samples == {title: [row["seq"] for row in live if row["title"] == title][:5] for title in counted}


def test_hits_are_told_by_what_people_said_of_the_cases(ran: tuple[Path, RuleSource]) -> None:
    place, rules = ran
    ruleset = ruleset_of(rules.bundle())
    found = backtest(place / "home", ruleset, FEW)
    accounts = found.rules[0].accounts
    one, other, *_ = accounts
    cases: list[dict[str, Any]] = [{"accounts": [one], "status": "dismissed"}, {"accounts": [other], "status": "open"}]
    row = told_rows(ruleset, found, cases)[0]
    assert (row["on_dismissed"], row["on_cases"]) == (accounts[one], accounts[other])
    assert row["hits"] == row["on_dismissed"] + row["on_cases"] + row["without_case"]

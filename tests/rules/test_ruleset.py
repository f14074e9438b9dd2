from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rules.samples import T0, columns, known, only, parsed, rule
from watchbill.rules.ruleset import RuleSet, mode_of, row_of, same_meaning, step_of
from watchbill.rules.settings import RuleSettings
from watchbill.rules.snooze import Snooze
from watchbill.rules.values import Known

TEXT = """
title: wild
name: wild
logsource: {product: watchbill, service: lookup}
detection:
  a: {explained: false}
  condition: a
---
title: night export
name: night
logsource: {product: watchbill, service: export}
detection:
  a: {results|gte: 3}
  condition: a
watchbill: {mode: act, step: throttle}
---
title: any desk
name: desk
logsource: {product: watchbill}
detection:
  a: {app: DESK}
  condition: a
watchbill: {suppress_minutes: 1}
---
title: many
name: many
correlation:
  type: value_count
  rules: wild
  group-by: [account]
  timespan: 60s
  condition: {gte: 2, field: subjects}
---
title: both
name: both
correlation:
  type: temporal
  rules: [many, night]
  group-by: [account]
  timespan: 5m
  generate: true
"""
MINUTE = 60_000


def ruleset(snoozes: tuple[Snooze, ...] = (), **more: Any) -> RuleSet:
    found = parsed(TEXT)
    assert not found.complaints, found.complaints
    return RuleSet(found.rules, RuleSettings(**more), snoozes)


def told(rules: RuleSet, rows: list[dict[str, Any]], first: int = 0) -> list[tuple[int, str]]:
    batch = columns([only(row) for row in rows], first)
    return [(int(batch.seq[f.row]), rules.rules[f.rule].title) for f in rules.observe(batch, known(rows))]


def look(account: str, minute: float, subjects: list[str], **more: Any) -> dict[str, Any]:
    return {"account": account, "time": T0 + int(minute * MINUTE), "subjects": subjects, "explained": False, **more}


def test_a_rule_that_a_correlation_reads_tells_nothing_itself() -> None:
    rows = [look("a", 0, ["x"]), look("b", 0.1, ["y"]), look("a", 0.5, ["z"]), look("a", 0.6, ["x"], explained=True)]
    assert told(ruleset(), rows) == [(2, "many")]


def test_a_correlation_of_correlations() -> None:
    rows = [look("a", 0, ["x", "y"]), {"kind": "export", "account": "a", "results": 5, "time": T0 + MINUTE}]
    assert told(ruleset(), rows) == [(0, "many"), (1, "night export"), (1, "both")]


def test_a_step_is_never_above_what_settings_allow() -> None:
    night = ruleset().rules[1]
    assert step_of(night, RuleSettings()) == "ask_reason"
    assert step_of(night, RuleSettings(step_max="end_session")) == "throttle"
    assert step_of(night, RuleSettings(step_max="none")) == "none"
    assert step_of(night, RuleSettings(shadow=("night",))) == "none"
    assert mode_of(night, RuleSettings(act=("night",), off=("night",))) == "off"


def test_plain_rules_are_quiet_an_account_after_they_told() -> None:
    rows = [{"kind": "login", "app": "desk", "account": name, "time": T0 + at} for name, at in [("a", 0), ("a", 59_999), ("b", 59_999), ("a", 60_000)]]  # fmt: skip
    assert [seq for seq, _ in told(ruleset(), rows)] == [0, 2, 3]


def test_a_snooze_silences_one_value_until_its_moment() -> None:
    rows = [{"kind": "export", "account": name, "results": 9, "time": T0 + at, "arrival": T0 + at} for name, at in [("a", 0), ("b", 1), ("a", 100)]]  # fmt: skip
    snooze = Snooze(rule="night", field="account", value="a", until=T0 + 100)
    assert [seq for seq, _ in told(ruleset((snooze,)), rows)] == [1, 2]


def test_findings_of_one_rule_in_one_hour_are_bounded_and_counted() -> None:
    rules = ruleset(findings_an_hour_max=2)
    rows = [{"kind": "export", "account": "a", "results": 9} for _ in range(5)]
    assert len(told(rules, rows)) == 2
    assert rules.left_out == 3


def test_the_row_of_a_finding_says_rule_record_and_window() -> None:
    rules, batch = ruleset(), columns([look("a", 0, ["x", "y"]) | {"explained": None}])
    (finding,) = rules.observe(batch, known([look("a", 0, ["x", "y"])]))
    row = row_of(rules, finding, batch)
    assert row == {
        "seq": 0, "id": "i0", "time": T0, "account": "a", "device": "", "rule": "many", "title": "many", "level": "medium",
        "mode": "shadow", "step": "none", "key": {"account": "a"}, "measure": 2.0, "hits": 1,
    }  # fmt: skip


records = st.lists(
    st.tuples(st.sampled_from(["view", "export", "login", "search"]), st.sampled_from("ab"), st.integers(0, 90), st.lists(st.sampled_from("xyz"), max_size=2), st.booleans(), st.integers(0, 5)),
    max_size=20,
)  # fmt: skip


@given(records, st.lists(st.integers(0, 20), max_size=3), st.booleans())
def test_no_cut_snapshot_or_compiler_changes_what_is_found(drawn: list[Any], cuts: list[int], by_columns: bool) -> None:
    rows, time = [], T0
    for kind, account, seconds, subjects, explained, results in drawn:
        time += seconds * 1000
        rows.append({"kind": kind, "account": account, "time": time, "arrival": time, "subjects": subjects, "explained": explained, "results": results, "app": "Desk"})  # fmt: skip
    whole = told(ruleset(batch_rows_min=1), rows)
    parts: list[tuple[int, str]] = []
    rules = ruleset(batch_rows_min=1 if by_columns else 1000)
    edges = sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})
    for start, stop in pairwise(edges):
        parts += told(rules, rows[start:stop], start)
        saved = json.loads(json.dumps(rules.snapshot()))
        rules = ruleset(batch_rows_min=1000)
        rules.restore(saved)
    assert parts == whole


def test_rules_that_mean_the_same_go_on_and_others_begin_anew() -> None:
    before = ruleset()
    changed = parsed(TEXT.replace("explained: false", "explained: true"))
    after = RuleSet(changed.rules, RuleSettings())
    assert same_meaning(before, after) == {"night", "desk"}
    moved = parsed(rule("b: {app: x}\ncondition: b") + "---" + TEXT)
    assert same_meaning(before, RuleSet(moved.rules, RuleSettings())) == {"wild", "night", "desk", "many", "both"}


def test_rules_that_are_off_are_not_even_asked() -> None:
    assert [len(group.rules) for group in ruleset(off=("desk", "night", "both", "many")).groups] == []


def test_loading_and_matching_never_open_a_socket(tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text(
        TEXT + "\n---\n" + rule("a: {account: x}\ncondition: a", more="tags: [attack.t1078, d3fend.d3-am]")
    )
    script = f"""
import socket, sys
def closed(*_a, **_k): raise AssertionError("a socket was opened")
socket.socket = socket.create_connection = socket.getaddrinfo = closed
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from pathlib import Path
from watchbill.rules.folder import read_texts
from watchbill.rules.parse import parse_rules
found = parse_rules(read_texts(Path({str(tmp_path)!r})))
assert not found.errors, found.complaints
assert len(found.rules) == 6
assert "requests" not in sys.modules, "requests is imported"
"""
    root = str(Path(__file__).parents[2] / "src")
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_no_heavy_library_is_loaded_where_there_are_no_rules() -> None:
    script = "import sys; import watchbill.runners.engine; assert not {'polars', 'sigma', 're2'} & set(sys.modules)"
    root = str(Path(__file__).parents[2] / "src")
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not RuleSet([], RuleSettings()).active
    assert RuleSet([], RuleSettings()).observe(columns([{}]), Known()) == []

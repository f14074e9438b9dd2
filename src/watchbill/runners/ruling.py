"""Where users' rules meet the step: their findings, and the steps that those of them ask for which may act.

A rule carries no e-value: nothing bounds its false alarms. So it lifts an event to the step that settings allow rules, and no
higher; it adds nothing to the guarantee number of later events, and what it asked for expires like any step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from watchbill.context.events import RETRACT
from watchbill.responses.policy import STEPS
from watchbill.rules.known import known_of
from watchbill.rules.ruleset import row_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.cases.book import CaseBook
    from watchbill.context.context import Context
    from watchbill.records.columns import Columns
    from watchbill.rules.ruleset import RuleSet

BUDGET_RULE: Final = "watchbill.budget"
BUDGET_TITLE: Final = "The budget of steps is spent: a feed is probably broken"


def rule_on(
    rules: RuleSet, context: Context, columns: Columns, facts: NDArray[np.void], events: NDArray[np.void],
    guarantee: NDArray[np.float32], limits: NDArray[np.float64],
) -> list[dict[str, Any]]:  # fmt: skip
    """Rows of findings.ndjson for a batch; events of rules that act reach their step in `guarantee` (log, in place).

    Args:
        facts, events: FACT[n] and EVENT[m] of the batch. limits: `responses.policy.thresholds`.
    """
    if not rules.active:
        return []
    found = rules.observe(columns, known_of(context, columns, facts, events))
    at: dict[int, int] = {}
    if any(finding.step != "none" for finding in found):
        own = np.flatnonzero((events["kind"] != RETRACT) & (events["account"] >= 0))
        at = dict(zip(events["row"][own].tolist(), own.tolist(), strict=True))
    for finding in found:
        if finding.step != "none" and finding.row in at:
            # one float32 above the limit: rounding must not lose the step
            reached = np.nextafter(np.float32(limits[STEPS.index(finding.step)]), np.float32(np.inf))
            guarantee[at[finding.row]] = max(guarantee[at[finding.row]], reached)
    return [row_of(rules, finding, columns) for finding in found]


def spent_budget(alerts: NDArray[np.int32], events: NDArray[np.void], columns: Columns) -> list[dict[str, Any]]:
    """Rows of findings.ndjson: an hour's budget of steps is spent; about the firm's data, naming nobody.

    Args:
        alerts: int32[k], indexes into `events` (EVENT) at which it turned out so.
    """
    rows = events["row"][alerts].tolist()
    return [
        {
            "seq": int(columns.seq[row]), "id": columns.text("id", row), "time": int(columns.time[row]), "account": "",
            "device": "", "rule": BUDGET_RULE, "title": BUDGET_TITLE, "level": "high", "mode": "act", "step": "none",
        }
        for row in rows
    ]  # fmt: skip


def name_rules(findings: list[dict[str, Any]], interventions: list[dict[str, Any]], book: CaseBook) -> None:
    """Say in interventions, and in the cases that they belong to, which rules asked for a step at that record."""
    acted: dict[int, list[dict[str, Any]]] = {}
    for row in findings:
        if row["step"] != "none":
            acted.setdefault(row["seq"], []).append(row)
    for change in interventions if acted else ():
        rows = acted.get(change["seq"], [])
        if rows:
            change["rules"] = [row["rule"] for row in rows]
        if (case := book.cases.get(change["case"] or "")) is not None:
            for row in rows:
                case.reasons.setdefault(f"rule: {row['title']}", (0.0, case.records))

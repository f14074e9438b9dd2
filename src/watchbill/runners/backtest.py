"""What rules would have found in a home's ledger: the same join and the same matching, read-only, under the settings in force.

The ledger is read in order of seq; reference tables change where the journal says they did. So `explained`, `role` or
`first` are what the engine knew at that record, and the hits are those that the live engine would have had.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchbill.context.context import Context
from watchbill.core.settings import Settings
from watchbill.ledger.reader import Ledger
from watchbill.records.columns import columns_of
from watchbill.records.schema import CONTROL_PREFIX, SCHEMA
from watchbill.rules.known import known_of
from watchbill.runners.checkpoint import load_checkpoint
from watchbill.runners.references import References
from watchbill.runners.settingskept import SettingsKept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from watchbill.records.columns import Columns
    from watchbill.rules.ruleset import RuleSet

SAMPLES: Final = 5
"""Seqs of hits that are named for each rule."""
DISMISSED: Final = "dismissed"
"""Status of a case that a person closed as no misuse."""


@dataclass
class RuleTold:
    """What one rule would have said."""

    hits: int = 0
    accounts: Counter[str] = field(default_factory=Counter)
    first: int | None = None
    last: int | None = None
    samples: list[int] = field(default_factory=list)


@dataclass
class Backtest:
    """Hits by rule number; `records` read, `days` (UTC) they span, `height` of the ledger."""

    rules: dict[int, RuleTold] = field(default_factory=dict)
    records: int = 0
    height: int = 0
    first: int | None = None
    last: int | None = None

    @property
    def days(self) -> float:
        """Span of the records' times in days."""
        return 0.0 if self.first is None or self.last is None else (self.last - self.first) / 86_400_000


def settings_in_force(home: Path) -> Settings:
    """The settings as of the newest checkpoint; the defaults when there is none."""
    found = load_checkpoint(home, 1 << 62)
    return SettingsKept(home).take(found[1]["settings"]) if found is not None else Settings()


def backtest(
    home: Path, rules: RuleSet, settings: Settings, told: Callable[[int, int], None] = lambda _done, _height: None
) -> Backtest:
    """Run rules over everything that the ledger holds; `told` hears (seq, height) as it goes.

    Raises:
        LedgerError: the ledger or a kept reference table is damaged.
    """
    ledger = Ledger(home)
    out = Backtest(height=ledger.height)
    context = Context(settings)
    references = References(home)
    for table in ledger.in_order():
        for first, part in runs_of(table):
            if part.column("kind")[0].as_py().startswith(CONTROL_PREFIX):
                _obey(part, context, references)
            else:
                _take(columns_of(part, first), context, rules, out)
        if table.num_rows:
            told(int(table.column("seq")[-1].as_py()) + 1, ledger.height)
    return out


def runs_of(table: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    """(first seq, rows) of runs of control records and of others."""
    if not table.num_rows:
        return
    plain = pa.table({item.name: table.column(item.name).cast(item.type) for item in SCHEMA}).combine_chunks()
    control = np.asarray(pc.starts_with(plain.column("kind"), CONTROL_PREFIX))
    seqs = np.asarray(table.column("seq"))
    edges = (np.flatnonzero((np.diff(control) != 0) | (np.diff(seqs) != 1)) + 1).tolist()
    for start, stop in pairwise([0, *edges, table.num_rows]):
        yield int(seqs[start]), plain.slice(start, stop - start)


def _obey(controls: pa.Table, context: Context, references: References) -> None:
    for kind, extra in zip(controls.column("kind").to_pylist(), controls.column("extra").to_pylist(), strict=True):
        if kind == "wb.reload":
            change = json.loads(extra)
            context.apply(change["table"], references.take(change["table"], change["digest"]))


def _take(columns: Columns, context: Context, rules: RuleSet, out: Backtest) -> None:
    out.records += len(columns)
    low, high = int(columns.time.min()), int(columns.time.max())
    out.first = low if out.first is None else min(low, out.first)
    out.last = high if out.last is None else max(high, out.last)
    for start, stop in pairwise([0, *context.cuts(columns)]):
        piece = columns.cut(start, stop)
        facts = context.prepare(piece)
        events = context.join(facts, piece.subjects)
        for finding in rules.observe(piece, known_of(context, piece, facts, events)):
            one = out.rules.setdefault(finding.rule, RuleTold())
            seq, time = int(piece.seq[finding.row]), int(piece.time[finding.row])
            one.hits += 1
            one.accounts[piece.text("account", finding.row)] += 1
            one.first = time if one.first is None else min(time, one.first)
            one.last = time if one.last is None else max(time, one.last)
            if len(one.samples) < SAMPLES:
                one.samples.append(seq)


def told_rows(rules: RuleSet, ran: Backtest, cases: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a rule that may tell: hits, accounts, and how many hits fall on accounts of which cases."""
    by_account: dict[str, set[str]] = {}
    for case in cases:
        for account in case["accounts"]:
            by_account.setdefault(account, set()).add(case["status"])
    rows = []
    for number, rule in enumerate(rules.rules):
        if not rule.output:
            continue
        one = ran.rules.get(number, RuleTold())
        spread = [(count, by_account.get(account, set())) for account, count in one.accounts.items()]
        rows.append({
            "rule": rule.key, "title": rule.title, "level": rule.level, "file": rule.file, "line": rule.line,
            "hits": one.hits, "accounts": len(one.accounts), "first": one.first, "last": one.last,
            "hits_a_day": round(one.hits / ran.days, 2) if ran.days else float(one.hits),
            "on_dismissed": sum(count for count, statuses in spread if DISMISSED in statuses),
            "on_cases": sum(count for count, statuses in spread if statuses - {DISMISSED}),
            "without_case": sum(count for count, statuses in spread if not statuses), "samples": one.samples,
        })  # fmt: skip
    return rows

"""Rules in force: a batch of records in, findings out; keeps what correlations, suppression and snoozes need.

What is found depends on the order of the records alone, never on how they were cut into batches.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from watchbill.records.columns import KIND
from watchbill.rules.settings import RULE_STEPS
from watchbill.rules.taxonomy import SERVICES
from watchbill.rules.terms import NUM, RAW
from watchbill.rules.values import Values
from watchbill.rules.windows import Fired, Windows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from watchbill.records.columns import Columns
    from watchbill.rules.batch import BatchMatcher
    from watchbill.rules.generated import RowMatcher
    from watchbill.rules.parse import Rule
    from watchbill.rules.settings import RuleSettings
    from watchbill.rules.snooze import Snooze
    from watchbill.rules.values import Known, Slot

_HOUR_MS: Final = 3_600_000
_MINUTE_MS: Final = 60_000
_KEYS_A_HIT_MAX: Final = 1_000
"""Elements of a list that one hit gives a correlation, as keys or as values (a record lists up to 10,000 customers)."""


@dataclass(frozen=True)
class Finding:
    """A hit that is told: `rule` is the rule's number, `row` its row in the batch; `fired` of a correlation."""

    rule: int
    row: int
    mode: str
    step: str
    fired: Fired | None = None


@dataclass
class _Group:
    """The rules that are asked about records of some kinds (`asked`, by code of the kind)."""

    asked: NDArray[np.bool_]
    rules: list[int]
    batch: BatchMatcher | None = None
    rows: RowMatcher | None = None


@dataclass
class _Hit:
    """The record that a hit is about, with the values that correlations and snoozes read."""

    row: int
    seq: int
    time: int
    arrival: int
    account: str
    cells: dict[Slot, Any] = field(default_factory=dict)


class RuleSet:
    """Rules in force with their state.

    Args:
        rules: as `parse.parse_rules` orders them.
        settings: what the operator allows. snoozes: values for which a rule is silent until a moment.
    """

    def __init__(self, rules: Sequence[Rule], settings: RuleSettings, snoozes: Sequence[Snooze] = ()) -> None:
        self.rules, self.settings = list(rules), settings
        self.modes = [mode_of(rule, settings) for rule in self.rules]
        self.steps = [step_of(rule, settings) for rule in self.rules]
        self.snoozes = [_snoozes_of(rule, snoozes) for rule in self.rules]
        self.windows: dict[int, Windows] = {}
        self._readers: dict[int, list[tuple[int, int]]] = {}
        for number, rule in enumerate(self.rules):
            if rule.correlation is not None:
                self.windows[number] = self._windows(rule)
                for place, read in enumerate(rule.correlation.rules):
                    self._readers.setdefault(read, []).append((number, place))
        self._needed = self._used()
        self.groups = [group for group in self._groups() if group.rules]
        self._cells = sorted({slot for slots in map(self._slots_of, range(len(self.rules))) for slot in slots})
        self._quiet: OrderedDict[tuple[int, str], int] = OrderedDict()
        self._told: dict[int, tuple[int, int]] = {}
        self.left_out = 0

    @property
    def active(self) -> bool:
        """Whether any rule is in force."""
        return bool(self.groups)

    # -- building ----------------------------------------------------------------------------------------------

    def _windows(self, rule: Rule) -> Windows:
        settings, correlation = self.settings, rule.correlation
        if correlation is None:
            raise TypeError("no correlation")
        return Windows(
            correlation, late_ms=int(settings.late_minutes * _MINUTE_MS),
            suppress_ms=rule.suppress_ms or correlation.span_ms, keys_max=settings.window_keys_max,
            hits_max=settings.window_hits_max, values_max=settings.window_values_max,
        )  # fmt: skip

    def _used(self) -> set[int]:
        """Rules that say something themselves, and what those read."""
        used: set[int] = set()
        for number in reversed(range(len(self.rules))):
            rule = self.rules[number]
            read = any(reader in used for reader, _ in self._readers.get(number, []))
            if read or (rule.output and self.modes[number] != "off"):
                used.add(number)
        return used

    def _groups(self) -> Iterator[_Group]:
        for service, kinds in SERVICES.items():
            numbers = [
                number
                for number, rule in enumerate(self.rules)
                if number in self._needed and rule.term is not None and rule.service in {None, service}
            ]
            asked = np.zeros(256, np.bool_)
            asked[[KIND[kind] for kind in kinds]] = True
            yield _Group(asked, numbers)

    def _slots_of(self, number: int) -> set[Slot]:
        """What is read of a record that a rule hits."""
        slots: set[Slot] = {(snooze.field, RAW) for snooze in self.snoozes[number]}
        for reader, place in self._readers.get(number, []):
            correlation = self.rules[reader].correlation
            if correlation is not None:
                slots |= {(name, RAW) for name in correlation.keys[place]}
                slots |= {(name, _value_form(correlation.kind)) for name in correlation.values}
        return slots

    # -- the step ----------------------------------------------------------------------------------------------

    def observe(self, columns: Columns, known: Known) -> list[Finding]:
        """Findings of a batch of records, in order of seq and rule."""
        values = Values(columns.table, known)
        hits = self._hits(values, columns.kind)
        if not hits[0].shape[0]:
            return []
        out: list[Finding] = []
        where, starts = np.unique(hits[0], return_index=True)
        ends = [*starts[1:].tolist(), hits[0].shape[0]]
        accounts = [account for (account,) in values.take([("account", RAW)], where)]
        cells = values.take(self._cells, where) if self._cells else [()] * where.shape[0]
        rules = hits[1].tolist()
        seqs, times, arrivals = (a[where].tolist() for a in (columns.seq, columns.time, columns.arrival))
        for i, row in enumerate(where.tolist()):
            hit = _Hit(row, seqs[i], times[i], arrivals[i], accounts[i] or "")
            hit.cells = dict(zip(self._cells, cells[i], strict=True))
            out += self._record(hit, rules[starts[i] : ends[i]])
        return out

    def _hits(self, values: Values, kinds: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(rows, rules), by row and then by rule."""
        parts: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        for group in self.groups:
            rows = np.flatnonzero(group.asked[kinds])
            if rows.shape[0] >= self.settings.batch_rows_min:
                at, which = self._batch(group).hits(values, rows)
            elif rows.shape[0]:
                at, which = self._few(group, values, rows)
            else:
                continue
            parts.append((at, np.array(group.rules, np.int64)[which]))
        if not parts:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        where, which = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
        order = np.lexsort((which, where))
        return where[order], which[order]

    def _few(
        self, group: _Group, values: Values, rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        if group.rows is None:
            from watchbill.rules.generated import RowMatcher

            group.rows = RowMatcher([self._term(number) for number in group.rules])
        matcher = group.rows
        at: list[int] = []
        which: list[int] = []
        for row, cells in zip(rows.tolist(), values.take(matcher.slots, rows), strict=True):
            found = matcher.hits(cells)
            which += found
            at += [row] * len(found)
        return np.array(at, np.int64), np.array(which, np.int64)

    def _batch(self, group: _Group) -> BatchMatcher:
        if group.batch is None:
            from watchbill.rules.batch import BatchMatcher

            group.batch = BatchMatcher([self._term(number) for number in group.rules])
        return group.batch

    def _term(self, number: int) -> Any:
        return self.rules[number].term

    def _record(self, hit: _Hit, rules: Sequence[int]) -> Iterator[Finding]:
        """What the hits of one record come to, correlations of correlations included."""
        waiting: deque[tuple[int, Fired | None]] = deque((rule, None) for rule in rules)
        while waiting:
            number, fired = waiting.popleft()
            if self._tells(number, hit, plain=fired is None):
                yield Finding(number, hit.row, self.modes[number], self.steps[number], fired)
            for reader, place in self._readers.get(number, []):
                if reader in self._needed:
                    waiting.extend((reader, one) for one in self._correlate(reader, place, hit))

    def _correlate(self, reader: int, place: int, hit: _Hit) -> Iterator[Fired]:
        correlation, windows = self.rules[reader].correlation, self.windows[reader]
        if correlation is None:
            return
        value: Any = None
        if correlation.kind == "value_count":
            value = _counted([hit.cells[name, RAW] for name in correlation.values])
        elif correlation.values:
            value = hit.cells[correlation.values[0], NUM]
        if correlation.values and (value is None or value == ()):
            return
        for key in _keys([hit.cells[name, RAW] for name in correlation.keys[place]]):
            fired = windows.hear(key, hit.time, hit.arrival, hit.seq, place, value)
            if fired is not None:
                yield fired

    def _tells(self, number: int, hit: _Hit, *, plain: bool) -> bool:
        rule = self.rules[number]
        if not rule.output or self.modes[number] == "off":
            return False
        for snooze in self.snoozes[number]:
            if hit.arrival < snooze.until and _is(hit.cells[snooze.field, RAW], snooze.value):
                return False
        if plain and rule.suppress_ms and not self._due(number, hit, rule.suppress_ms):
            return False
        hour = hit.arrival // _HOUR_MS
        last, told = self._told.get(number, (hour, 0))
        told = told if last == hour else 0
        self._told[number] = (hour, told + 1)
        if told >= self.settings.findings_an_hour_max:
            self.left_out += 1
            return False
        return True

    def _due(self, number: int, hit: _Hit, suppress_ms: int) -> bool:
        """Whether a plain rule may tell again of this account (of the rule, where there is no account)."""
        key = (number, hit.account)
        last = self._quiet.get(key)
        if last is not None and abs(hit.time - last) < suppress_ms:
            return False
        self._quiet[key] = hit.time
        self._quiet.move_to_end(key)
        if len(self._quiet) > self.settings.window_keys_max:
            self._quiet.popitem(last=False)
        return True

    # -- snapshots ---------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """JSON-able state; rules are named by their keys, so that it survives a change of other rules."""
        keys = [rule.key for rule in self.rules]
        return {
            "windows": {keys[number]: windows.snapshot() for number, windows in self.windows.items()},
            "quiet": [[keys[number], account, time] for (number, account), time in self._quiet.items()],
            "told": [[keys[number], hour, count] for number, (hour, count) in self._told.items()],
            "left_out": self.left_out,
        }

    def restore(self, saved: dict[str, Any], same: set[str] | None = None) -> None:
        """The inverse of `snapshot`; `same` names the rules whose state still means the same (None: all)."""
        numbers = {rule.key: number for number, rule in enumerate(self.rules) if same is None or rule.key in same}
        for key, windows in saved["windows"].items():
            if key in numbers and numbers[key] in self.windows:
                self.windows[numbers[key]].restore(windows)
        self._quiet = OrderedDict(
            ((numbers[key], account), time) for key, account, time in saved["quiet"] if key in numbers
        )
        self._told = {numbers[key]: (hour, count) for key, hour, count in saved["told"] if key in numbers}
        self.left_out = saved["left_out"]


def row_of(ruleset: RuleSet, finding: Finding, columns: Columns) -> dict[str, Any]:
    """The row of findings.ndjson for a finding of a batch."""
    rule, row, fired = ruleset.rules[finding.rule], finding.row, finding.fired
    out: dict[str, Any] = {
        "seq": int(columns.seq[row]), "id": columns.text("id", row), "time": int(columns.time[row]),
        "account": columns.text("account", row), "device": columns.text("device", row), "rule": rule.key,
        "title": rule.title, "level": rule.level, "mode": finding.mode, "step": finding.step,
    }  # fmt: skip
    if fired is not None and rule.correlation is not None:
        out |= {"key": dict(zip(rule.correlation.names, fired.key, strict=True)), "measure": fired.measure, "hits": fired.hits}  # fmt: skip
    return out


def same_meaning(before: RuleSet, after: RuleSet) -> set[str]:
    """Keys of rules that mean the same in both: their state may go on."""
    old = {rule.key: _meaning(before.rules, rule) for rule in before.rules}
    return {rule.key for rule in after.rules if old.get(rule.key) == _meaning(after.rules, rule)}


def _meaning(rules: Sequence[Rule], rule: Rule) -> tuple[Any, ...]:
    """What a rule says, with the rules that it reads by what they say, not by where they stand."""
    correlation = rule.correlation
    if correlation is None:
        return (rule.service, rule.term, rule.suppress_ms)
    read = tuple((rules[number].key, _meaning(rules, rules[number])) for number in correlation.rules)
    return (replace(correlation, rules=()), read, rule.suppress_ms)


def mode_of(rule: Rule, settings: RuleSettings) -> str:
    """off, shadow or act: settings by id or name first (the gentlest that names the rule), then the rule's own word."""
    names = {rule.key, rule.name}
    for mode in ("off", "shadow", "act"):
        if names & set(getattr(settings, mode)):
            return mode
    return rule.mode


def step_of(rule: Rule, settings: RuleSettings) -> str:
    """The step of a rule that acts, never above what settings allow; none of one in shadow."""
    if mode_of(rule, settings) != "act":
        return "none"
    return RULE_STEPS[min(RULE_STEPS.index(rule.step), RULE_STEPS.index(settings.step_max))]


def _snoozes_of(rule: Rule, snoozes: Sequence[Snooze]) -> list[Snooze]:
    return [snooze for snooze in snoozes if snooze.rule in {rule.key, rule.name}]


def _value_form(kind: str) -> str:
    return RAW if kind == "value_count" else NUM


def _counted(cells: Sequence[Any]) -> tuple[Any, ...]:
    """Distinct things that one hit adds to a count: elements of lists each, several fields as one tuple; () if one lacks."""
    if any(cell is None for cell in cells):
        return ()
    if len(cells) == 1 and not isinstance(cells[0], list):
        return (cells[0],)
    parts = [cell if isinstance(cell, list) else [cell] for cell in cells]
    if len(parts) == 1:
        return tuple(parts[0][:_KEYS_A_HIT_MAX])
    return tuple(product(*(part[:_KEYS_A_HIT_MAX] for part in parts)))[:_KEYS_A_HIT_MAX]


def _keys(cells: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Keys of one hit: one, or one for each element of a list; none when a value is missing."""
    if any(cell is None for cell in cells):
        return
    at = next((i for i, cell in enumerate(cells) if isinstance(cell, list)), None)
    if at is None:
        yield tuple(cells)
        return
    for one in list(dict.fromkeys(cells[at]))[:_KEYS_A_HIT_MAX]:
        yield (*cells[:at], one, *cells[at + 1 :])


def _is(cell: Any, value: str) -> bool:
    if isinstance(cell, list):
        return value in cell
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return cell is not None and str(cell).lower() == value.lower()

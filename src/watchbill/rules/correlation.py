"""What a correlation counts: its type, the rules whose hits it reads, its keys, its span and its condition, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from watchbill.rules.settings import WINDOW_DAYS_MAX
from watchbill.rules.taxonomy import EXTRA, LIST, NUMBER, type_of
from watchbill.rules.terms import RuleFault

COUNTS: Final = ("event_count", "value_count")
MEASURES: Final = ("value_sum", "value_avg", "value_percentile", "value_median")
TEMPORAL: Final = ("temporal", "temporal_ordered")
_DAY_MS: Final = 86_400_000

Expression = int | tuple[str, tuple["Expression", ...]]
"""Which rules must have hit: the place of a rule in `rules`, or ("and" | "or" | "not", parts)."""


@dataclass(frozen=True)
class Correlation:
    """A compiled correlation.

    Attributes:
        rules: numbers of the rules whose hits it reads, in order. keys: for each of them the fields that make the key.
        span_ms: the window is [time - span_ms, time]. values: fields that are counted or measured. percentile: 0-100.
        op, count: the condition. expression: for temporal types, instead of op and count.
    """

    kind: str
    rules: tuple[int, ...]
    keys: tuple[tuple[str, ...], ...]
    names: tuple[str, ...]
    span_ms: int
    op: str
    count: float
    values: tuple[str, ...] = ()
    percentile: float = 50.0
    expression: Expression | None = None

    @property
    def fields(self) -> frozenset[str]:
        """Every field that it reads."""
        return frozenset(self.values).union(*self.keys)

    def holds(self, measure: float) -> bool:
        """Whether a measure meets the condition."""
        op, wanted = self.op, self.count
        if op == "eq":
            return measure == wanted
        if op == "neq":
            return measure != wanted
        if op in {"gt", "gte"}:
            return measure > wanted or (op == "gte" and measure == wanted)
        return measure < wanted or (op == "lte" and measure == wanted)

    def satisfied(self, seen: set[int]) -> bool:
        """Whether the places in `rules` that were hit meet the expression, else the condition on their number."""
        return self.holds(len(seen)) if self.expression is None else _true(self.expression, seen)


def _true(expression: Expression, seen: set[int]) -> bool:
    if isinstance(expression, int):
        return expression in seen
    op, parts = expression
    if op == "not":
        return not _true(parts[0], seen)
    return (all if op == "and" else any)(_true(part, seen) for part in parts)


def correlation_of(sigma: Any, numbers: dict[int, int]) -> Correlation:
    """Compile pySigma's correlation; `numbers` maps id() of its rule objects to places in the list of rules.

    Raises:
        RuleFault: a field is unknown or does not fit, or the span is too long.
    """
    references = list(sigma.referenced_rules)
    kind = sigma.type.name.lower()
    if not references:
        raise RuleFault("it reads no rules", "Name them under `rules`")
    span_ms = sigma.timespan.seconds * 1000
    if span_ms > WINDOW_DAYS_MAX * _DAY_MS:
        raise RuleFault(f"the timespan is longer than {WINDOW_DAYS_MAX} days", "Shorten it")
    names = tuple(sigma.group_by or ())
    keys = tuple(tuple(_aliased(sigma, name, reference.reference) for name in names) for reference in references)
    for key in keys:
        _check_key(key)
    extended = hasattr(sigma.condition, "expression")
    values: tuple[str, ...] = ()
    if not extended and sigma.condition.fieldref is not None and kind not in TEMPORAL:
        given = sigma.condition.fieldref
        values = tuple(given) if isinstance(given, list) else (given,)
    for name in values:
        _check_value(name, kind)
    return Correlation(
        kind=kind, rules=tuple(numbers[id(reference.rule)] for reference in references), keys=keys, names=names,
        span_ms=span_ms, op="gte" if extended else sigma.condition.op.name.lower(),
        count=len(references) if extended else sigma.condition.count, values=values,
        percentile=_percentile(sigma, kind, extended=extended),
        expression=_expression(sigma.condition.parsed, [r.reference for r in references]) if extended else None,
    )  # fmt: skip


def _percentile(sigma: Any, kind: str, *, extended: bool) -> float:
    if kind != "value_percentile":
        return 50.0
    given = None if extended else sigma.condition.percentile
    if given is None or not 0 <= given <= 100 or math.isnan(given):  # noqa: PLR2004
        raise RuleFault("value_percentile needs a percentile from 0 to 100", "Write `percentile: 95` in the condition")
    return float(given)


def _aliased(sigma: Any, name: str, reference: str) -> str:
    alias = sigma.aliases.aliases.get(name) if sigma.aliases is not None else None
    if alias is None:
        return name
    found = {ref.reference: field for ref, field in alias.mapping.items()}.get(reference)
    if found is None:
        raise RuleFault(f"the alias {name!r} says nothing for the rule {reference!r}", "Add it to the alias")
    return str(found)


def _check_key(key: tuple[str, ...]) -> None:
    for name in key:
        if type_of(name) is None:
            raise RuleFault(f"group-by names {name!r}, which is no field", "docs/rules.md lists the fields")
    if sum(type_of(name) == LIST for name in key) > 1:
        raise RuleFault("group-by names two lists", "Use one of them")


def _check_value(name: str, kind: str) -> None:
    what = type_of(name)
    if what is None:
        raise RuleFault(f"the condition's field {name!r} is no field", "docs/rules.md lists the fields")
    if kind in MEASURES and what != NUMBER and not name.startswith(EXTRA):
        raise RuleFault(f"{kind} needs a number, and {name!r} holds none", "Use results, customers, page ...")


def _expression(node: Any, references: list[str]) -> Expression:
    if hasattr(node, "reference"):
        return references.index(node.reference)
    op = {"CorrelationConditionAND": "and", "CorrelationConditionOR": "or"}.get(type(node).__name__, "not")
    return op, tuple(_expression(part, references) for part in node.args)

"""Rules over large batches: one Polars select for all rules of a service, each distinct comparison worked out once."""

from __future__ import annotations

import operator
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchbill.rules.networks import within_any
from watchbill.rules.terms import And, Check, Not, Term, checks_of, is_list

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from numpy.typing import NDArray

    from watchbill.rules.values import Values

_COMPARE = {"lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge, "ne": operator.ne}


class BatchMatcher:
    """Compiled rules of one service.

    Args:
        terms: the rules, in order.
    """

    def __init__(self, terms: Sequence[Term]) -> None:
        self._tests: dict[Check, str] = {}
        for term in terms:
            for test in checks_of(term):
                self._tests.setdefault(test, f"t{len(self._tests)}")
        self._names = [f"r{i}" for i in range(len(terms))]
        self._columns: dict[tuple[str, str], str] = {}
        self._given: dict[Check, str] = {}
        self._cheap = [(self._cheap_expression(test), name) for test, name in self._tests.items()]
        self._rules = [self._expression(term) for term in terms]

    def hits(self, values: Values, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(rows, rules) that match, by row and then by rule.

        Args:
            values: the batch.
            rows: int64, ascending: the records that the service means.
        """
        import polars as pl

        wanted = pa.array(rows)
        whole = rows.shape[0] == values.rows
        data: dict[str, Any] = {}
        for slot, name in self._columns.items():
            column = values.column(slot)
            data[name] = pl.Series(name, column if whole else column.take(wanted))
        for test, name in self._given.items():
            column = values.column((test.field, test.form))
            data[name] = pl.Series(name, probe(test, column if whole else column.take(wanted)))
        frame = pl.DataFrame(data) if data else pl.DataFrame({"row": np.zeros(rows.shape[0], np.int8)})
        tested = frame.lazy().select([e.fill_null(False).alias(name) for e, name in self._cheap])
        found = tested.select([e.alias(name) for e, name in zip(self._rules, self._names, strict=True)]).collect()
        at: list[NDArray[np.int64]] = []
        rule: list[NDArray[np.int64]] = []
        for i, sums in enumerate(found.select(pl.all().sum()).row(0)):
            if sums:
                mine = np.flatnonzero(found.to_series(i).to_numpy())
                at.append(mine)
                rule.append(np.full(mine.shape[0], i, np.int64))
        if not at:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        where, which = np.concatenate(at), np.concatenate(rule)
        order = np.lexsort((which, where))
        return rows[where[order]], which[order]

    def _slot(self, field: str, form: str) -> pl.Expr:
        import polars as pl

        return pl.col(self._columns.setdefault((field, form), f"c{len(self._columns)}"))

    def _cheap_expression(self, test: Check) -> pl.Expr:
        """The comparison over a column; patterns and networks come in as columns of their own, worked out by RE2."""
        import polars as pl

        if test.op in {"match", "within"}:
            return pl.col(self._given.setdefault(test, f"g{len(self._given)}"))
        value = self._slot(test.field, test.form)
        if is_list(test.field):
            if test.op in {"missing", "given"}:
                some = value.list.len().fill_null(0) > 0
                return some if test.op == "given" else ~some
            return value.list.eval(_plain(pl.element(), test)).list.any()
        if test.op.startswith("same"):
            return _same(value, test.op, self._slot(str(test.value), test.form))
        return _plain(value, test)

    def _expression(self, term: Term) -> pl.Expr:
        import polars as pl

        if isinstance(term, Check):
            return pl.col(self._tests[term])
        if isinstance(term, Not):
            return ~self._expression(term.part)
        joined = operator.and_ if isinstance(term, And) else operator.or_
        return reduce(joined, [self._expression(part) for part in term.parts])


def _plain(value: pl.Expr, test: Check) -> pl.Expr:
    import polars as pl

    wanted: Any = test.value
    if test.op == "eq":
        return value == pl.lit(wanted)
    if test.op == "in":
        return value.is_in(pl.Series(sorted(wanted)).implode())
    if test.op == "contains":
        return value.str.contains(pl.lit(wanted), literal=True)
    if test.op == "starts":
        return value.str.starts_with(pl.lit(wanted))
    if test.op == "ends":
        return value.str.ends_with(pl.lit(wanted))
    if test.op in {"missing", "given"}:
        return value.is_null() if test.op == "missing" else value.is_not_null()
    compared: pl.Expr = _COMPARE[test.op](value, pl.lit(wanted))
    return compared


def _same(value: pl.Expr, op: str, other: pl.Expr) -> pl.Expr:
    if op == "same_start":
        return value.str.starts_with(other)
    return value.str.ends_with(other) if op == "same_end" else value == other


def probe(test: Check, column: pa.Array) -> pa.Array:
    """bool[n]: a pattern or a network over a column of text, or of lists of text."""
    if pa.types.is_list(column.type):
        flat = np.asarray(_probe(test, pc.list_flatten(column)))
        out = np.zeros(len(column), np.bool_)
        out[np.asarray(pc.list_parent_indices(column))[flat]] = True
        return pa.array(out)
    return _probe(test, column)


def _probe(test: Check, column: pa.Array) -> pa.Array:
    if column.null_count == len(column):
        return pa.array(np.zeros(len(column), np.bool_))
    if test.op == "match":
        return pc.fill_null(pc.match_substring_regex(column, str(test.value)), False)
    encoded = column.dictionary_encode()
    words = pa.array([within_any(text, test.value) for text in encoded.dictionary.to_pylist()], pa.bool_())
    return pc.fill_null(words.take(encoded.indices), False)

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.samples import TEXTS, known, only, parsed, records, rule, table_of, words
from watchbill.rules.batch import BatchMatcher
from watchbill.rules.generated import RowMatcher
from watchbill.rules.networks import within_any
from watchbill.rules.taxonomy import LIST, type_of
from watchbill.rules.terms import FOLD, NUM, RAW, And, Check, Not, Or, Term, compiled, fold
from watchbill.rules.values import Values

PATTERNS = ["a", "(?i)straSSe", r"^a.?b$", r"(?s)\Ax.*\z", r"\d+", "[^a]", r"\bdesk", "中", "(?:)"]
NETWORKS = ["10.2.0.0/16", "::/0", "0.0.0.0/0"]


@st.composite
def checks(draw: st.DrawFn) -> Check:
    import ipaddress

    op = draw(
        st.sampled_from(["eq", "in", "contains", "starts", "ends", "match", "within", "cmp", "bool", "same", "null"])
    )
    text = draw(st.sampled_from([*TEXTS, "fields", "extra.t", "role"]))
    form = draw(st.sampled_from([RAW, FOLD]))
    folded = fold if form == FOLD else str
    if op == "in":
        return Check(text, form, "in", frozenset(map(folded, draw(st.lists(words, min_size=1, max_size=3)))))
    if op in {"eq", "contains", "starts", "ends"}:
        return Check(text, form, op, folded(draw(words)))
    if op == "match":
        return Check(text, form, "match", draw(st.sampled_from(PATTERNS)))
    if op == "within":
        return Check("ip", RAW, "within", ipaddress.ip_network(draw(st.sampled_from(NETWORKS))))
    if op == "cmp":
        field = draw(st.sampled_from(["results", "page", "hour", "extra.n", "extra.t"]))
        return Check(
            field, NUM, draw(st.sampled_from(["eq", "lt", "le", "gt", "ge", "ne"])), float(draw(st.integers(-5, 5)))
        )
    if op == "bool":
        return Check(draw(st.sampled_from(["masked", "explained"])), RAW, "eq", draw(st.booleans()))
    if op == "same":
        one, other = draw(st.permutations(TEXTS))[:2]
        return Check(one, FOLD, draw(st.sampled_from(["same", "same_start", "same_end"])), other)
    return Check(draw(st.sampled_from([text, "results", "masked"])), RAW, draw(st.sampled_from(["missing", "given"])))


def joined(inner: st.SearchStrategy[Term]) -> st.SearchStrategy[Term]:
    several = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return inner.map(Not) | several.map(And) | several.map(Or)


terms: st.SearchStrategy[Term] = st.recursive(checks(), joined, max_leaves=6)


def said_by(term: Term, values: Values, row: int) -> bool:
    """What a term means, said plainly and slowly: the third opinion."""
    if isinstance(term, Not):
        return not said_by(term.part, values, row)
    if isinstance(term, And | Or):
        return (all if isinstance(term, And) else any)(said_by(part, values, row) for part in term.parts)
    cell = values.column((term.field, term.form))[row].as_py()
    if term.op in {"missing", "given"}:
        return (cell is None or cell == []) == (term.op == "missing")
    if term.op.startswith("same"):
        other = values.column((str(term.value), term.form))[row].as_py()
        if cell is None or other is None:
            return False
        return bool({"same": cell.__eq__, "same_start": cell.startswith, "same_end": cell.endswith}[term.op](other))
    cells = (cell or []) if type_of(term.field) == LIST else [cell]
    return any(one is not None and holds(term.op, one, term.value) for one in cells)


def holds(op: str, cell: Any, value: Any) -> bool:
    return bool({
        "eq": lambda: cell == value, "in": lambda: cell in value, "contains": lambda: value in cell,
        "starts": lambda: cell.startswith(value), "ends": lambda: cell.endswith(value),
        "match": lambda: compiled(value).search(cell) is not None, "within": lambda: within_any(cell, value),
        "lt": lambda: cell < value, "le": lambda: cell <= value, "gt": lambda: cell > value, "ge": lambda: cell >= value,
        "ne": lambda: cell != value,
    }[op]())  # fmt: skip


@given(st.lists(records(), min_size=1, max_size=6), st.lists(terms, min_size=1, max_size=5))
def test_both_compilers_say_what_the_term_means(rows: list[dict[str, Any]], rules: list[Term]) -> None:
    values = Values(table_of([only(row) for row in rows]), known(rows))
    every = np.arange(len(rows))
    at, which = BatchMatcher(rules).hits(values, every)
    by_columns = list(zip(at.tolist(), which.tolist(), strict=True))
    matcher = RowMatcher(rules)
    cells = values.take(matcher.slots, every)
    by_rows = [(row, number) for row, one in enumerate(cells) for number in matcher.hits(one)]
    plainly = [
        (row, number) for row in range(len(rows)) for number, term in enumerate(rules) if said_by(term, values, row)
    ]
    assert by_columns == by_rows == plainly


HOSTILE = ["__import__('os').system('x')", "'); exit(); ('", "row", "found.clear()", "{0}", "\x00", "\u2028"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_rule_text_never_becomes_code(text: str) -> None:
    matcher = RowMatcher([Check("account", RAW, "eq", text), Check("account", RAW, "contains", text)])
    assert matcher.hits((text,)) == [0, 1]
    assert matcher.hits(("other",)) == []
    for function in matcher._functions:
        assert text not in function.__code__.co_consts
        assert function.__globals__["__builtins__"] == {}


def test_many_rules_are_cut_into_functions_and_keep_their_order() -> None:
    matcher = RowMatcher([Check("results", NUM, "ge", float(i % 7)) for i in range(600)])
    assert len(matcher._functions) == 3
    assert matcher.hits((3.0,)) == [i for i in range(600) if i % 7 <= 3]


def test_a_rule_of_pysigma_runs() -> None:
    found = parsed(rule("a:\n  account|startswith: [C, 'D*x']\n  fields|contains|all: [phone, name]\ncondition: a"))
    assert not found.complaints
    matcher = RowMatcher([found.rules[0].term or Or(())])
    rows = [("C1", ["recipient.phone", "recipient.name"]), ("d__x9", ["Phone", "NAME"]), ("C1", ["phone"]), ("e", None)]
    order = [slot[0] for slot in matcher.slots]
    hits = [bool(matcher.hits(tuple(dict(zip(("account", "fields"), (fold(a), f and [fold(x) for x in f]), strict=True))[n] for n in order))) for a, f in rows]  # fmt: skip
    assert hits == [True, True, False, False]

"""Rules over a few records: one generated Python function for all rules of a service.

The function is built as a syntax tree; texts and numbers of a rule never become code, they are bound to names beside it.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Final

from watchbill.rules.networks import within_any
from watchbill.rules.terms import And, Check, Not, Term, checks_of, compiled, is_list

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from watchbill.rules.values import Slot

_CHUNK: Final = 250
"""Rules a function: Python's compiler is slow on very long ones."""
_OPS: Final = {"lt": ast.Lt, "le": ast.LtE, "gt": ast.Gt, "ge": ast.GtE, "eq": ast.Eq, "ne": ast.NotEq, "in": ast.In}


class RowMatcher:
    """Compiled rules of one service.

    Attributes:
        slots: what a row holds, in order.
    """

    def __init__(self, terms: Sequence[Term]) -> None:
        self.slots: list[Slot] = []
        self._at: dict[Slot, int] = {}
        for term in terms:
            for test in checks_of(term):
                self._slot(test.field, test.form)
                if test.op.startswith("same"):
                    self._slot(str(test.value), test.form)
        self._functions = [
            self._function(terms[first : first + _CHUNK], first) for first in range(0, len(terms), _CHUNK)
        ]

    def hits(self, row: tuple[Any, ...]) -> list[int]:
        """Rules that match one row of `slots`, in order."""
        found: list[int] = []
        for function in self._functions:
            function(row, found)
        return found

    def _slot(self, field: str, form: str) -> int:
        slot = (field, form)
        if slot not in self._at:
            self._at[slot] = len(self.slots)
            self.slots.append(slot)
        return self._at[slot]

    def _function(self, terms: Sequence[Term], first: int) -> Callable[[tuple[Any, ...], list[int]], None]:
        bound: dict[str, Any] = {"any": any, "__builtins__": {}}
        writer = _Writer(self._at, bound)
        body: list[ast.stmt] = [
            ast.If(test=writer.term(term), body=[_append(first + i)], orelse=[]) for i, term in enumerate(terms)
        ]
        module = ast.parse("def match(row, found): pass")
        define = module.body[0]
        if isinstance(define, ast.FunctionDef) and body:
            define.body = body
        ast.fix_missing_locations(module)
        exec(compile(module, "<rules>", "exec"), bound)  # noqa: S102  # a tree that we built; no text of a rule is in it
        function: Callable[[tuple[Any, ...], list[int]], None] = bound["match"]
        return function


def _append(number: int) -> ast.stmt:
    call = ast.Call(ast.Attribute(ast.Name("found", ast.Load()), "append", ast.Load()), [ast.Constant(number)], [])
    return ast.Expr(call)


class _Writer:
    """Terms as expressions over `row`; constants go to `bound`."""

    def __init__(self, at: dict[Slot, int], bound: dict[str, Any]) -> None:
        self.at, self.bound = at, bound

    def term(self, term: Term) -> ast.expr:
        if isinstance(term, Check):
            return self._test(term)
        if isinstance(term, Not):
            return ast.UnaryOp(ast.Not(), self.term(term.part))
        # a comparison has no effect but its answer: the cheap ones go first
        parts = [self.term(part) for part in sorted(term.parts, key=_cost)]
        return ast.BoolOp(ast.And() if isinstance(term, And) else ast.Or(), parts) if len(parts) > 1 else parts[0]

    def _bind(self, value: Any) -> ast.expr:
        name = f"k{len(self.bound)}"
        self.bound[name] = value
        return ast.Name(name, ast.Load())

    def _cell(self, field: str, form: str) -> ast.expr:
        return ast.Subscript(ast.Name("row", ast.Load()), ast.Constant(self.at[field, form]), ast.Load())

    def _test(self, test: Check) -> ast.expr:
        cell = self._cell(test.field, test.form)
        listed = is_list(test.field)
        if test.op in {"missing", "given"}:
            if listed:
                return ast.UnaryOp(ast.Not(), cell) if test.op == "missing" else cell
            return ast.Compare(cell, [ast.Is() if test.op == "missing" else ast.IsNot()], [ast.Constant(None)])
        if listed:
            one = ast.Name("one", ast.Load())
            loop = ast.comprehension(ast.Name("one", ast.Store()), ast.BoolOp(ast.Or(), [cell, ast.Tuple([], ast.Load())]), [], 0)  # fmt: skip
            return ast.Call(
                ast.Name("any", ast.Load()), [ast.GeneratorExp(_given(one, self._plain(one, test)), [loop])], []
            )
        if test.op.startswith("same"):
            other = self._cell(str(test.value), test.form)
            return _given(cell, _given(other, _same(cell, test.op, other)))
        if test.op in {"eq", "in"}:
            return self._plain(cell, test)  # nothing equals None
        return _given(cell, self._plain(cell, test))

    def _plain(self, cell: ast.expr, test: Check) -> ast.expr:
        wanted: Any = test.value
        if test.op == "contains":
            return ast.Compare(self._bind(wanted), [ast.In()], [cell])
        if test.op in {"starts", "ends"}:
            return _method(cell, f"{test.op}with", self._bind(wanted))
        if test.op == "match":
            return ast.Call(self._bind(compiled(wanted).search), [cell], [])
        if test.op == "within":
            return ast.Call(self._bind(within_any), [cell, self._bind(wanted)], [])
        return ast.Compare(cell, [_OPS[test.op]()], [self._bind(wanted)])


_DEAR: Final = {"contains": 2, "starts": 2, "ends": 2, "match": 50, "within": 20}


def _cost(term: Term) -> int:
    """What a term costs at most, roughly, in comparisons."""
    if isinstance(term, Check):
        return _DEAR.get(term.op, 1) * (3 if is_list(term.field) else 1)
    return _cost(term.part) if isinstance(term, Not) else sum(map(_cost, term.parts))


def _given(cell: ast.expr, then: ast.expr) -> ast.expr:
    return ast.BoolOp(ast.And(), [ast.Compare(cell, [ast.IsNot()], [ast.Constant(None)]), then])


def _method(cell: ast.expr, name: str, argument: ast.expr) -> ast.expr:
    return ast.Call(ast.Attribute(cell, name, ast.Load()), [argument], [])


def _same(cell: ast.expr, op: str, other: ast.expr) -> ast.expr:
    if op == "same":
        return ast.Compare(cell, [ast.Eq()], [other])
    return _method(cell, "startswith" if op == "same_start" else "endswith", other)

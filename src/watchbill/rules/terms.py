"""A rule as terms: comparisons of one field, joined by and, or, not; made from pySigma's tree, read by both compilers.

What the comparisons mean is fixed here, once: a missing value fails each comparison (so `not` of it holds), text is
compared with its case folded unless a modifier says otherwise, a list satisfies a comparison when one of its elements does,
and patterns are RE2's, whose work grows linearly with the text.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from watchbill.rules.settings import REGEX_CHARACTERS_MAX, TERM_NESTING_MAX, TERMS_MAX
from watchbill.rules.taxonomy import BOOL, EXTRA, LIST, NUMBER, TEXT, nearest, type_of

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

RAW, FOLD, NUM = "raw", "fold", "num"
"""Forms of a field's value: as it is, with its case folded, as a number."""


class RuleFault(Exception):
    """What is wrong in a rule: `field` (as it is written, or ""), `what`, `todo`."""

    def __init__(self, what: str, todo: str, field: str = "") -> None:
        super().__init__(what)
        self.what, self.todo, self.field = what, todo, field


@dataclass(frozen=True)
class Check:
    """One comparison: `op` of the value of `field` in `form` with `value`.

    Ops: eq, in (frozenset), contains, starts, ends, match (RE2 pattern, unanchored), within (network), lt, le, gt, ge, ne,
    same, same_start, same_end (`value` is another field), missing, given.
    """

    field: str
    form: str
    op: str
    value: Hashable = None


@dataclass(frozen=True)
class And:
    """All parts hold."""

    parts: tuple[Term, ...]


@dataclass(frozen=True)
class Or:
    """One of the parts holds."""

    parts: tuple[Term, ...]


@dataclass(frozen=True)
class Not:
    """The part does not hold."""

    part: Term


Term = Check | And | Or | Not


def checks_of(term: Term) -> Iterator[Check]:
    """Every comparison of a term."""
    if isinstance(term, Check):
        yield term
    elif isinstance(term, Not):
        yield from checks_of(term.part)
    else:
        for part in term.parts:
            yield from checks_of(part)


def fields_of(term: Term) -> set[str]:
    """Every field that a term reads."""
    out: set[str] = set()
    for test in checks_of(term):
        out.add(test.field)
        if test.op.startswith("same"):
            out.add(str(test.value))
    return out


def is_list(field: str) -> bool:
    """Whether a field holds a list."""
    return type_of(field) == LIST


def fold(text: str) -> str:
    """Text with its case folded, letter by letter (no letter depends on its neighbours)."""
    return text.casefold()


def number_of(text: str | None) -> float | None:
    """The number that a text says; None when it says none."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value - value == 0 else None  # neither infinite nor "not a number"


# --- from pySigma's tree ----------------------------------------------------------------------------------------------


def term_of(node: Any) -> Term:
    """The term of a parsed condition (`sigma.conditions`).

    Raises:
        RuleFault: an unknown field, a value that the field cannot hold, something that is not supported, or too much.
    """
    term = _term(node, 0)
    if sum(1 for _ in checks_of(term)) > TERMS_MAX:
        raise RuleFault(f"the rule unfolds to more than {TERMS_MAX} comparisons", "Split it")
    return term


def _term(node: Any, depth: int) -> Term:
    from sigma import conditions as c

    if depth > TERM_NESTING_MAX:
        raise RuleFault(f"the rule nests deeper than {TERM_NESTING_MAX} levels", "Flatten it")
    if isinstance(node, c.ConditionNOT):
        return Not(_term(node.args[0], depth + 1))
    if isinstance(node, c.ConditionAND | c.ConditionOR):
        parts = tuple(_term(part, depth + 1) for part in node.args if part is not None)
        if not parts:
            raise RuleFault("a part of the condition is empty", "Remove it, or give it a field and a value")
        return And(parts) if isinstance(node, c.ConditionAND) else _either(parts)
    if isinstance(node, c.ConditionFieldEqualsValueExpression):
        return _comparison(node.field, node.value)
    if isinstance(node, c.ConditionValueExpression):
        raise RuleFault("a value stands without a field", "Write `field: value`; rules do not search all fields")
    raise RuleFault("the condition is empty", "Name a detection in it")


def _either(parts: tuple[Term, ...]) -> Term:
    """`Or`, with equalities of the same field as one look into a set."""
    sets: dict[tuple[str, str], list[Hashable]] = {}
    rest: list[Term] = []
    for part in parts:
        if isinstance(part, Check) and part.op == "eq":
            sets.setdefault((part.field, part.form), []).append(part.value)
        else:
            rest.append(part)
    for (field, form), values in sets.items():
        rest.append(
            Check(field, form, "eq", values[0]) if len(values) == 1 else Check(field, form, "in", frozenset(values))
        )
    return rest[0] if len(rest) == 1 else Or(tuple(rest))


def _comparison(field: str, value: Any) -> Term:
    from sigma import types as t

    kind = type_of(field)
    if kind is None:
        near = nearest(field)
        todo = f"Did you mean `{near}`?" if near else "docs/rules.md lists the fields; others are `extra.NAME`"
        raise RuleFault("there is no such field", todo, field)
    if isinstance(value, t.SigmaExpansion):
        return _either(tuple(_comparison(field, one) for one in value.values))
    if isinstance(value, t.SigmaNull):
        return Check(field, RAW, "missing")
    if isinstance(value, t.SigmaExists):
        return Check(field, RAW, "given" if value.exists else "missing")
    if isinstance(value, t.SigmaFieldReference):
        return _reference(field, kind, value)
    if isinstance(value, t.SigmaTimestampPart):
        raise RuleFault(
            "parts of times are not supported as modifiers", "Use the fields `hour` and `weekday`, in local time", field
        )
    if kind == NUMBER or isinstance(value, t.SigmaCompareExpression):
        return _numeric(field, kind, value)
    if kind == BOOL:
        return _boolean(field, value)
    return _textual(field, kind, value)


def _reference(field: str, kind: str, value: Any) -> Term:
    other = type_of(value.field)
    if other is None or LIST in {kind, other} or (kind == TEXT) != (other == TEXT) or BOOL in {kind, other}:
        raise RuleFault("the two fields cannot be compared", "Compare two texts or two numbers", field)
    op = "same_start" if value.starts_with else "same_end" if value.ends_with else "same"
    if kind == NUMBER and op != "same":
        raise RuleFault("numbers have no beginning or end", "Compare them with fieldref alone", field)
    return Check(field, FOLD if kind == TEXT else NUM, op, value.field)


def _numeric(field: str, kind: str, value: Any) -> Term:
    from sigma import types as t

    if kind != NUMBER and not field.startswith(EXTRA):
        raise RuleFault(f"holds {_NAMES[kind]}, not a number", "Use a comparison that suits it", field)
    if isinstance(value, t.SigmaCompareExpression):
        op = {"LT": "lt", "LTE": "le", "GT": "gt", "GTE": "ge", "NEQ": "ne"}[value.op.name]
        return Check(field, NUM, op, _finite(value.number.number, field))
    if isinstance(value, t.SigmaNumber):
        return Check(field, NUM, "eq", _finite(value.number, field))
    plain = number_of(value.to_plain()) if isinstance(value, t.SigmaString) else None
    if plain is None:
        raise RuleFault("holds a number", "Compare it with a number, or by |lt, |lte, |gt, |gte", field)
    return Check(field, NUM, "eq", plain)


_NAMES: Final = {TEXT: "text", LIST: "a list of texts", NUMBER: "a number", BOOL: "true or false"}


def _finite(number: float, field: str) -> float:
    found = number_of(str(number))
    if found is None:
        raise RuleFault("is compared with a number that has no end", "Use a finite number", field)
    return found


def _boolean(field: str, value: Any) -> Term:
    from sigma import types as t

    if isinstance(value, t.SigmaBool):
        return Check(field, RAW, "eq", value.boolean)
    text = str(value.to_plain()).lower() if isinstance(value, t.SigmaString | t.SigmaNumber) else ""
    if text in {"true", "1", "false", "0"}:
        return Check(field, RAW, "eq", text in {"true", "1"})
    raise RuleFault("holds true or false", "Compare it with true or false", field)


def _textual(field: str, kind: str, value: Any) -> Term:
    from sigma import types as t

    if isinstance(value, t.SigmaRegularExpression):
        if kind == LIST or kind == TEXT:
            return Check(field, RAW, "match", _regex(value, field))
    elif isinstance(value, t.SigmaCIDRExpression):
        if field != "ip" and not field.startswith(EXTRA):
            raise RuleFault("is no address", "cidr is for `ip` and `extra.` fields", field)
        network: IPv4Network | IPv6Network = value.network
        return Check(field, RAW, "within", network)
    elif isinstance(value, t.SigmaString):
        return _string(field, value, FOLD if not isinstance(value, t.SigmaCasedString) else RAW)
    elif isinstance(value, t.SigmaNumber):
        return Check(field, FOLD, "eq", fold(str(value.number)))
    elif isinstance(value, t.SigmaBool):
        return Check(field, FOLD, "eq", "true" if value.boolean else "false")
    raise RuleFault("is compared in a way that is not supported", "See the modifiers in docs/rules.md", field)


def _regex(value: Any, field: str) -> str:
    flags = {"IGNORECASE": "i", "MULTILINE": "m", "DOTALL": "s"}
    letters = "".join(sorted(flags[flag.name] for flag in value.flags))
    # not the parsed form: it takes back-slashes before * and ? away
    text = value.regexp.original
    if len(text) > REGEX_CHARACTERS_MAX:
        raise RuleFault(f"the expression is longer than {REGEX_CHARACTERS_MAX} characters", "Shorten it", field)
    pattern = f"(?{letters})(?:{text})" if letters else text
    try:
        compiled(pattern)
    except ValueError as error:
        raise RuleFault(
            f"the expression is not RE2's: {error}", "RE2 has no look-around and no back-references", field
        ) from error
    return pattern


@cache
def _quiet() -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False
    return options


class QuietEngine:
    """RE2 for pySigma's own checks: its errors are told as complaints, not written to standard error by the library."""

    @property
    def error(self) -> type[ValueError]:
        """What `compile` raises."""
        return ValueError

    def compile(self, pattern: str, flags: int = 0) -> Any:
        """As pySigma's engines: Python's flags become letters in the pattern."""
        import re

        if len(pattern) > REGEX_CHARACTERS_MAX:
            raise ValueError(f"longer than {REGEX_CHARACTERS_MAX} characters")
        letters = "".join(
            letter
            for flag, letter in ((re.IGNORECASE, "i"), (re.MULTILINE, "m"), (re.DOTALL, "s"))
            if int(flags) & int(flag)
        )
        return compiled(f"(?{letters}){pattern}" if letters else pattern)


def compiled(pattern: str) -> Any:
    """An RE2 pattern, compiled.

    Raises:
        ValueError: it is none, or too large.
    """
    import re2

    try:
        return re2.compile(pattern, _quiet())
    except re2.error as error:
        text = error.args[0] if error.args else ""
        raise ValueError(text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)) from error


def _string(field: str, value: Any, form: str) -> Term:
    """Equality, or with wildcards the cheapest comparison that says the same."""
    from sigma.types import Placeholder, SpecialChars

    parts: list[Any] = list(value.s)
    if any(isinstance(part, Placeholder) for part in parts):
        raise RuleFault("has a placeholder", "Write the values out; |expand is not supported", field)
    # two stars in a row say no more than one
    parts = [part for i, part in enumerate(parts) if part != SpecialChars.WILDCARD_MULTI or part != _at(parts, i - 1)]
    shape = "".join("t" if isinstance(p, str) else "*" if p == SpecialChars.WILDCARD_MULTI else "?" for p in parts)
    texts = [(fold(p) if form == FOLD else p) for p in parts if isinstance(p, str)]
    if shape in {"", "t"}:
        return Check(field, form, "eq", "".join(texts))
    if shape == "*":
        return Check(field, RAW, "given")
    if shape in {"*t*", "t*", "*t"}:
        return Check(field, form, {"*t*": "contains", "t*": "starts", "*t": "ends"}[shape], texts[0])
    remaining = iter(texts)
    body = "".join(_escaped(next(remaining)) if c == "t" else ".*" if c == "*" else "." for c in shape)
    pattern = f"(?s)\\A{body}\\z"
    try:
        compiled(pattern)
    except ValueError as error:
        raise RuleFault("the pattern is too large", "Shorten it", field) from error
    return Check(field, form, "match", pattern)


def _at(parts: list[Any], at: int) -> Any:
    return parts[at] if at >= 0 else None


def _escaped(text: str) -> str:
    return "".join(c if c.isalnum() else f"\\x{{{ord(c):x}}}" for c in text)

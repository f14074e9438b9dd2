from __future__ import annotations

import pytest

from rules.samples import parsed, rule
from watchbill.rules.terms import FOLD, NUM, RAW, And, Check, Not, Term, compiled, fields_of, fold, number_of


def term(detection: str) -> Term:
    found = parsed(rule(f"a: {{{detection}}}\ncondition: a"))
    assert not found.complaints, found.complaints
    assert found.rules[0].term is not None
    return found.rules[0].term


SHAPES = [
    ("account: Ab", Check("account", FOLD, "eq", "ab")),
    ("account: 7", Check("account", FOLD, "eq", "7")),
    ("account: [A, b]", Check("account", FOLD, "in", frozenset({"a", "b"}))),
    ("account|contains: Ab", Check("account", FOLD, "contains", "ab")),
    ("account: 'Ab*'", Check("account", FOLD, "starts", "ab")),
    ("account: '*Ab'", Check("account", FOLD, "ends", "ab")),
    ("account: '*'", Check("account", RAW, "given")),
    ("account: '**Ab**'", Check("account", FOLD, "contains", "ab")),
    (r"account: 'A\*b'", Check("account", FOLD, "eq", "a*b")),
    ("account: 'A?b*c'", Check("account", FOLD, "match", r"(?s)\Aa.b.*c\z")),
    ("account|cased: Ab", Check("account", RAW, "eq", "Ab")),
    ("account|re|i: 'A+'", Check("account", RAW, "match", "(?i)(?:A+)")),
    (r"account|re: '\*\?\d'", Check("account", RAW, "match", r"\*\?\d")),
    ("account: null", Check("account", RAW, "missing")),
    ("account|exists: true", Check("account", RAW, "given")),
    ("account|fieldref: assignee", Check("account", FOLD, "same", "assignee")),
    ("results: [1, 2]", Check("results", NUM, "in", frozenset({1.0, 2.0}))),
    ("results: '3'", Check("results", NUM, "eq", 3.0)),
    ("results|gte: 3", Check("results", NUM, "ge", 3.0)),
    ("extra.size|lt: 3", Check("extra.size", NUM, "lt", 3.0)),
    ("masked: false", Check("masked", RAW, "eq", False)),
    ("explained: 'True'", Check("explained", RAW, "eq", True)),
    ("app|neq: x", Not(Check("app", FOLD, "eq", "x"))),
    (
        "fields|contains|all: [a, b]",
        And((Check("fields", FOLD, "contains", "a"), Check("fields", FOLD, "contains", "b"))),
    ),
]


@pytest.mark.parametrize(("detection", "wanted"), SHAPES)
def test_shapes_of_comparisons(detection: str, wanted: Term) -> None:
    assert term(detection) == wanted


def test_fields_that_are_read() -> None:
    assert fields_of(term("account|fieldref: assignee, app: x")) == {"account", "assignee", "app"}


def test_folding_knows_no_neighbours() -> None:
    for text in ("ΣΑΣ", "straße", "İstanbul", "中文A"):
        assert fold(text) == "".join(map(fold, text))


def test_numbers_have_an_end() -> None:
    assert [number_of(text) for text in ("3", "-1.5", "1e3", "x", "", "nan", "inf", "1e999", None)] == [
        3,
        -1.5,
        1000,
    ] + [None] * 6


def test_patterns_that_are_too_large_or_no_patterns_are_errors() -> None:
    for pattern in ("(a{1000}){1000}", "(?=a)", r"(a)\1", "(", "[z-a]"):
        with pytest.raises(ValueError, match=r"\S"):
            compiled(pattern)

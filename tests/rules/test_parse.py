from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.samples import parsed, rule
from watchbill.rules import parse as module
from watchbill.rules.folder import RuleText
from watchbill.rules.parse import ERROR, WARNING, parse_rules

GOOD = rule("a: {account: x}\ncondition: a", more="name: good")


def complaint(text: str) -> tuple[int, str, str]:
    (one,) = parsed(text).complaints
    assert one.todo
    assert str(one).startswith(f"r.yml:{one.line}: {one.severity}: ")
    return one.line, one.severity, one.what


FAULTS = [
    (rule("a:\n  accont: x\ncondition: a"), 5, "`accont` there is no such field"),
    (rule("a: {account: x}\ncondition: b"), 5, "not defined"),
    (rule("a: {account: x}\ncondition: a and"), 5, "Expected"),
    (rule("a: {account|re: '(?=x)'}\ncondition: a"), 4, "invalid perl operator"),
    (rule("a: {account|re: '(x'}\ncondition: a"), 4, "missing"),
    (rule("a: {results: many}\ncondition: a"), 4, "holds a number"),
    (rule("a: {account|gt: 3}\ncondition: a"), 4, "holds text"),
    (rule("a: {masked: 7}\ncondition: a"), 4, "holds true or false"),
    (rule("a: {app|cidr: 10.0.0.0/8}\ncondition: a"), 4, "is no address"),
    (rule("a: [x, y]\ncondition: a"), 3, "without a field"),
    (rule("a: {time|hour: 3}\ncondition: a"), 4, "parts of times"),
    (rule("a: {account: x}\ncondition: a", service="proxy"), 3, "no service 'proxy'"),
    (rule("a: {account|nosuch: x}\ncondition: a"), 3, "nosuch"),
    (rule("a: {account: x}\ncondition: a", more="watchbill: {mode: act, step: suspend}"), 3, "the step is unknown"),
    (rule("a: {account: x}\ncondition: a", more="watchbill: {mod: act}"), 3, "holds mode"),
    (rule("a: {account: x}\ncondition: a", more="level: dire"), 6, "dire"),
    (rule("a: {account: x}\ncondition: " + "(" * 20 + "a" + ")" * 20), 5, "levels of brackets"),
    (rule("a: {account: x}\ncondition: " + "not " * 30 + "a"), 5, "levels of brackets"),
    (rule("a: {account: x}\ncondition: a" + " or a" * 600), 5, "characters"),
    ("title: x\nfoo: 1", 1, "no rule"),
    ("action: global\ndetection: {}", 1, "`action`"),
    ("detection: 3\ntitle: x\nlogsource: {product: watchbill}", 1, "no mapping"),
]


@pytest.mark.parametrize(("text", "line", "what"), FAULTS)
@pytest.mark.timeout(20)
def test_what_is_wrong_is_told_with_its_line(text: str, line: int, what: str) -> None:
    at, severity, said = complaint(text)
    assert severity == ERROR
    assert what in said
    assert abs(at - line) <= 1, said


CORRELATION = "title: c\ncorrelation:\n  type: {type}\n  rules: {rules}\n  group-by: [{by}]\n  timespan: {span}\n  condition: {condition}\n"
DEFAULT = {"type": "event_count", "rules": "good", "by": "account", "span": "5m", "condition": "{gte: 3}"}


@pytest.mark.parametrize(("change", "what"), [
    ({"rules": "gone"}, "not found"), ({"type": "often"}, "no valid Sigma correlation type"), ({"span": "5 moons"}, "Timespan"),
    ({"span": "500d"}, "longer than"), ({"condition": "{gte: 3, lte: 5}"}, "exactly one"), ({"by": "acount"}, "no field"),
    ({"by": "subjects, fields"}, "two lists"), ({"type": "value_sum", "condition": "{gte: 3, field: app}"}, "needs a number"),
    ({"type": "value_count"}, "without field reference"), ({"type": "value_percentile", "condition": "{gte: 3, field: results}"}, "percentile"),
])  # fmt: skip
def test_what_is_wrong_with_a_correlation_is_told(change: dict[str, str], what: str) -> None:
    text = (
        CORRELATION.replace("{condition}", "@")
        .format(**(DEFAULT | change))
        .replace("@", (DEFAULT | change)["condition"])
    )
    found = parsed(GOOD + "---\n" + text)
    assert [c.severity for c in found.complaints] == [ERROR]
    assert what in found.complaints[0].what
    assert found.complaints[0].line >= 7
    assert [one.name for one in found.rules] == ["good"]


def test_rules_of_other_products_are_left_out_with_a_warning() -> None:
    found = parsed(GOOD.replace("product: watchbill", "product: windows"))
    assert (found.others, found.errors, [c.severity for c in found.complaints]) == (1, 0, [WARNING])


def test_a_field_of_looks_in_a_rule_about_logins_is_a_warning() -> None:
    found = parsed(rule("a: {explained: false}\ncondition: a", service="auth"))
    assert len(found.rules) == 1
    assert [c.severity for c in found.complaints] == [WARNING]


def test_the_same_id_twice_keeps_the_first() -> None:
    found = parse_rules([RuleText("a.yml", GOOD), RuleText("b.yml", GOOD)])
    assert [one.file for one in found.rules] == ["a.yml"]
    assert "a.yml:1" in found.complaints[0].what


def test_filters_narrow_the_rules_that_they_name() -> None:
    text = (
        GOOD
        + "---\ntitle: f\nlogsource: {product: watchbill, service: lookup}\nfilter:\n  rules: [good]\n  sel: {role: robot}\n  condition: not sel\n"
    )
    found = parsed(text)
    assert not found.complaints
    assert found.rules[0].fields == {"account", "role"}


def test_correlations_stand_behind_what_they_read_and_a_ring_of_them_is_refused() -> None:
    chain = "---\ntitle: {0}\nname: {0}\ncorrelation:\n  type: temporal\n  rules: [{1}]\n  group-by: [account]\n  timespan: 5m\n"
    found = parsed(chain.format("c2", "c1") + chain.format("c1", "good") + "---\n" + GOOD)
    assert [one.name for one in found.rules] == ["good", "c1", "c2"]
    ring = parsed(chain.format("c1", "c2") + chain.format("c2", "c1"))
    assert not ring.rules
    assert all("not in force" in c.what for c in ring.complaints)


def test_towers_of_correlations_and_heaps_of_filters_have_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    level = "---\ntitle: t\nname: c{0}\ncorrelation:\n  type: temporal\n  rules: [{1}]\n  group-by: [account]\n  timespan: 5m\n"
    tower = GOOD + "".join(level.format(i, f"c{i - 1}" if i else "good") for i in range(12))
    found = parsed(tower)
    assert len(found.rules) == 1 + module.CORRELATION_LEVELS_MAX
    assert len(found.complaints) == 12 - module.CORRELATION_LEVELS_MAX
    monkeypatch.setattr(module, "FILTERS_MAX", 1)
    one = "---\ntitle: f\nlogsource: {product: watchbill}\nfilter:\n  rules: any\n  sel: {role: robot}\n  condition: not sel\n"
    assert [c.what for c in parsed(GOOD + one + one).complaints] == ["more than 1 filters"]


@pytest.mark.timeout(20)
def test_expressions_that_hang_others_are_quick_here() -> None:
    found = parsed(rule("a: {account|re: '^(a+)+$'}\ncondition: a"))
    from watchbill.rules.generated import RowMatcher

    began = time.process_time()
    assert RowMatcher([one.term for one in found.rules if one.term]).hits(("a" * 50_000 + "!",)) == []
    assert time.process_time() - began < 2


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "detection",
                        "condition",
                        "logsource",
                        "product",
                        "correlation",
                        "rules",
                        "type",
                        "a",
                        "filter",
                        "title",
                        "id",
                        "level",
                        "watchbill",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_nothing_in_a_file_raises(data: object) -> None:
    import yaml

    found = parsed(yaml.safe_dump(data))
    assert found.rules or found.complaints or data is None

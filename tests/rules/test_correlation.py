from __future__ import annotations

from rules.samples import parsed, rule
from watchbill.rules.correlation import Correlation

TWO = (
    rule("a: {account: x}\ncondition: a", more="name: one")
    + "---\n"
    + rule("a: {app: x}\ncondition: a", service="ticket", more="name: two")
)


def correlation(text: str) -> Correlation:
    found = parsed(TWO + "---\ntitle: c\ncorrelation:\n" + "\n".join(f"  {line}" for line in text.splitlines()) + "\n")
    assert not found.complaints, found.complaints
    assert found.rules[-1].correlation is not None
    return found.rules[-1].correlation


def test_aliases_give_each_rule_its_own_field() -> None:
    found = correlation(
        "type: temporal\nrules: [one, two]\ngroup-by: [who]\ntimespan: 1h\naliases:\n  who: {one: account, two: assignee}"
    )
    assert (found.names, found.keys) == (("who",), (("account",), ("assignee",)))
    assert (found.op, found.count, found.span_ms) == ("gte", 2, 3_600_000)


def test_extended_conditions() -> None:
    found = correlation(
        "type: temporal_ordered\nrules: [one, two]\ngroup-by: [account]\ntimespan: 1h\ncondition: one and not two"
    )
    assert found.expression == ("and", (0, ("not", (1,))))
    assert found.satisfied({0})
    assert not found.satisfied({0, 1})
    assert not found.satisfied(set())


def test_percentiles_and_fields() -> None:
    found = correlation(
        "type: value_percentile\nrules: one\ngroup-by: [account]\ntimespan: 1h\ncondition: {gt: 9, field: results, percentile: 95}"
    )
    assert (found.percentile, found.values) == (95.0, ("results",))
    assert found.fields == {"account", "results"}


def test_without_keys_everything_is_one_group() -> None:
    assert correlation("type: event_count\nrules: one\ntimespan: 1h\ncondition: {gte: 2}").keys == ((),)

"""Each rule of examples/rules is usable, hits what it is about, and leaves the honest record beside it alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rules.samples import T0, columns, known, only
from watchbill.rules.folder import read_texts
from watchbill.rules.parse import Parsed, parse_rules
from watchbill.rules.ruleset import RuleSet
from watchbill.rules.settings import RuleSettings

FOLDER = Path(__file__).parents[2] / "examples" / "rules"
MINUTE = 60_000
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def found() -> Parsed:
    return parse_rules(read_texts(FOLDER))


def told(found: Parsed, rows: Rows) -> set[str]:
    rules = RuleSet(found.rules, RuleSettings())
    return {rules.rules[one.rule].file for one in rules.observe(columns([only(row) for row in rows]), known(rows))}


def spread(row: dict[str, Any], count: int, **each: Any) -> Rows:
    """`count` records a minute apart; values of `each` are made from the number."""
    return [{**row, "time": T0 + i * MINUTE // 4, **{k: make(i) for k, make in each.items()}} for i in range(count)]


LOOK = {"kind": "view", "account": "a", "explained": False, "first": True, "waybill": "w"}
LOGIN = {"kind": "login", "account": "a"}
CASES: list[tuple[str, Rows, Rows]] = [
    ("night-login-from-a-new-place.yml", [LOGIN | {"hour": 3, "place_kind": "mobile"}], [LOGIN | {"hour": 3, "place_kind": "office"}]),
    ("filter-night-shift.yml", [], [LOGIN | {"hour": 3, "home_outlet": "night-desk"}]),
    ("large-export.yml", [{"kind": "export", "customers": 200}], [{"kind": "export", "customers": 900, "role": "robot"}]),
    ("looks-at-celebrities.yml", [LOOK | {"subjects": ["x", "VIP-0002"]}], [LOOK | {"subjects": ["vip-0002"], "explained": True}]),
    ("unmasked-id-numbers.yml", [LOOK | {"fields": ["recipient.id_number"]}], [LOOK | {"fields": ["recipient.id_number"], "masked": True}]),
    ("many-customers-in-ten-minutes.yml", spread(LOOK, 20, waybill=str), spread(LOOK, 20)),
    ("one-parcel-many-accounts.yml", spread(LOOK, 6, account=str), spread(LOOK, 6)),
    ("failed-logins-then-looks.yml", [*spread(LOGIN | {"outcome": "failure"}, 5), LOGIN | {"time": T0 + 5 * MINUTE}], spread(LOGIN, 6)),
    ("search-pages-through.yml", spread({"kind": "search", "account": "a", "results": 60}, 9), spread({"kind": "search", "account": "a", "results": 20}, 9)),
    ("leaver-still-looks.yml", [LOOK | {"roster": "ended"}], [LOOK | {"roster": "active"}]),
    ("typed-nonsense.yml", [LOOK | {"reason": "。。。"}], [LOOK | {"reason": "客户来电查询"}]),
]  # fmt: skip


@pytest.mark.parametrize(("file", "bad", "honest"), CASES)
def test_each_rule_hits_what_it_is_about_and_no_more(found: Parsed, file: str, bad: Rows, honest: Rows) -> None:
    assert (told(found, bad) == {file}) if bad else True
    assert file not in told(found, honest)
    assert "night-login-from-a-new-place.yml" not in told(found, honest)


def test_all_are_usable_and_tried_here(found: Parsed) -> None:
    assert not found.complaints
    assert {path.name for path in FOLDER.iterdir()} == {file for file, _, _ in CASES}
    assert all(rule.mode != "act" or rule.step == "ask_reason" for rule in found.rules)

"""What the person reads: the four things it is owed, in both languages, and nothing that helps to get round a detector."""

from __future__ import annotations

from typing import Any

import pytest

from watchbill.cases.explain import STEPS
from watchbill.cases.notice import RULE_WORDS, STAFF_WORDS, STEP_WORDS, notice, words
from watchbill.core.settings import Settings
from watchbill.detectors.base import load_detectors
from watchbill.responses import policy

REASONS = [
    {"detector": "volume", "text_en": "looked at far more", "text_zh": "查询远多于", "nats": 12.345, "records": 99},
    {"detector": "canary", "text_en": "looked at a planted customer", "text_zh": "诱饵", "nats": 9.9, "records": 2},
    {
        "detector": "rule: night export trap",
        "text_en": "rule: night export trap",
        "text_zh": "x",
        "nats": 0,
        "records": 1,
    },
    {"detector": "rings", "text_en": "shares a device", "text_zh": "共用", "nats": 5, "records": 3},
]


def row(**more: Any) -> dict[str, Any]:
    return {"id": "c7", "status": "open", "reasons": REASONS, "accounts": ["3100", "3200"]} | more


def person(**more: Any) -> dict[str, Any]:
    given = {
        "account": "3100",
        "step": "suspend",
        "until": 1_700_000_000_000,
        "reasons": ["canary", "rule: night export trap", "volume"],
    }
    return given | more


def said(**more: Any) -> dict[str, str]:
    return notice(row(), person(**more), zone="Asia/Shanghai", appeal_hours=24, contact="desk 110")


def test_it_says_what_why_until_when_and_how_to_appeal() -> None:
    text = said()
    assert "suspended" in text["en"]
    assert "2023-11-15 06:13 (Asia/Shanghai)" in text["en"]
    assert "looked at far more" in text["en"]
    assert "desk 110" in text["en"]
    assert "24 hours" in text["en"]
    for part in ("工号 3100", "暂停", "查询远多于", "2023-11-15 06:13", "desk 110", "24 小时"):
        assert part in text["zh"]


def test_it_gives_nothing_away_and_names_nobody_else() -> None:
    for text in said().values():
        for secret in ("planted", "诱饵", "night export", "12.3", "99", "3200", "volume", "canary", "shares a device"):
            assert secret not in text


def test_how_long() -> None:
    assert "until a person has looked" in said(until=None)["en"]
    assert "it has ended" in said(step="none", until=None)["en"]
    assert "not known" in said(step="unknown", until=None)["en"]
    confirmed = notice(row(status="confirmed"), person(until=None), zone="Asia/Shanghai", appeal_hours=24)
    assert "until a person lifts it" in confirmed["en"]
    assert "your manager" in confirmed["en"]
    assert "judged by a person" in said(reasons=[])["en"]


def test_every_step_has_words_and_steps_are_those_of_the_policy() -> None:
    assert tuple(STEP_WORDS) == STEPS == tuple(policy.STEPS)


def test_every_detector_has_words_in_both_languages() -> None:
    texts = [{"detector": d.id, "text_en": d.text_en, "text_zh": d.text_zh} for d in load_detectors(Settings())]
    for one in texts:
        ((en, zh),) = words(texts, [one["detector"]])
        assert en
        assert zh
    assert words(texts, ["canary"]) == [STAFF_WORDS["canary"]]


@pytest.mark.parametrize("name", ["rule: x", "rule: y"])
def test_a_firm_s_rule_is_not_named(name: str) -> None:
    assert words(REASONS, [name, name]) == [RULE_WORDS]
    assert words(REASONS, ["no such detector"]) == []

"""The explanation holds everything that happened to one person, and nothing of anybody else."""

from __future__ import annotations

import json
from typing import Any

from cases.worked import NONE, SUSPEND, UP, a_book, act, appeal, note, rise, say, tell, verdict
from watchbill.cases.book import CaseBook
from watchbill.cases.explain import _WORDS, FORM, explanation
from watchbill.cases.sheet import Sheets, gathered

REASONS = [
    {"detector": "unexplained", "text_en": "no work explains", "text_zh": "无业务理由", "nats": 12.0, "records": 5}
]


def explained(book: CaseBook, case: str, account: str) -> dict[str, Any]:
    together = gathered(book.cases.values())
    files = next(files for files in together if files[0].id == case)
    row = {
        "id": case,
        "status": "open",
        "reasons": REASONS,
        "accounts": [one.account for one in files],
    }
    person = next(one for one in Sheets(together).of(files)["people"] if one["account"] == account)
    person["for_person"] = [
        {"detector": "tenure", "nats": -1.0, "text_en": "over a year", "text_zh": "满一年", "records": 0}
    ]
    entries = [{"case": one.id, **entry} for one in files for entry in one.history]
    return explanation(row, person, sorted(entries, key=lambda one: (one["seq"], one["case"], one["n"])), 77)


def test_everything_that_happened_to_one_person_and_nothing_of_another() -> None:
    book = a_book()
    rise(book, "a", 10)
    rise(book, "bob", 20)
    say(book, act("c10", "merge", other="c20", note="both of them with carol"), 30)
    rise(book, "a", 40, old=UP, new=SUSPEND)
    say(book, act("c10", "review", 2, by="r7"), 50)
    say(book, note("c10", text="bob's cousin"), 51)
    say(book, tell("c10", 3, account="a"), 52)
    say(book, tell("c10", 4, account="bob", to="bob's boss"), 53)
    say(book, appeal("c10", account="a", note="I helped out"), 54)
    say(book, appeal("c10", "reject", 5, account="a", by="r8", note="the shifts say otherwise"), 55)
    rise(book, "a", 60, old=SUSPEND, new=NONE)
    said = explained(book, "c10", "a")
    assert (said["form"], said["case"], said["account"], said["height"]) == (FORM, "c10", "a", 77)
    assert [one["what"] for one in said["happened"]] == [
        "opened", "step", "merged", "step", "review", "note", "told", "appeal", "appeal_rejected", "step",
    ]  # fmt: skip
    steps = [(one["from"], one["to"]) for one in said["happened"] if one["what"] == "step"]
    assert steps == [("none", "step_up"), ("step_up", "suspend"), ("suspend", "none")]
    assert said["happened"][1]["why"] == [{"text_en": "no work explains", "text_zh": "无业务理由"}]
    assert said["happened"][0]["by"] == "automatic"
    assert said["for_person"] == [{"text_en": "over a year", "text_zh": "满一年", "records": 0}]
    assert said["who_looked"] == ["r1", "r7", "r8"]
    assert said["happened"][-2]["answer"] == "the shifts say otherwise"
    text = json.dumps(said, ensure_ascii=False)
    for hidden in ("bob", "carol", "cousin", "12.0", "nats", "c20", "on shift"):
        assert hidden not in text


def test_every_entry_has_words() -> None:
    book = a_book()
    rise(book, "a", 10)
    rise(book, "b", 11)
    more: dict[str, dict[str, Any]] = {
        "assign": {"to": "r2"},
        "due": {"at": 9_000_000},
        "merge": {"other": "c11"},
        "split": {"account": "a"},
    }
    for number, what in enumerate(("review", "release", "assign", "due", "merge", "split", "archive", "reopen")):
        say(book, act("c11" if what in {"archive", "reopen"} else "c10", what, 100 + number, **more.get(what, {})))
    say(book, note("c10"))
    say(book, tell("c10"))
    say(book, tell("c10", 2, act="delayed", role="legal_lead", reason="x", until=2_000_000, text_en=""))
    say(book, verdict("c10", "confirmed", "owner", by="r9"))
    say(book, appeal("c10"))
    say(book, appeal("c10", "reject", 2, by="r2", note="no"))
    say(book, appeal("c10", number=3))
    say(book, appeal("c10", "uphold", 4, by="r3", reason="wrong"))
    say(book, verdict("c11", "confirmed", "owner", 5))
    say(book, appeal("c11", number=6))
    say(book, verdict("c11", "dismissed", "task", 7))
    say(book, verdict("c11", "confirmed", "owner", 8))
    say(book, verdict("c11", "lifted", "settled", 9))
    book.proven("a", 4_999, 4_999_000, over=True)
    rise(book, "a", 5_000, new=SUSPEND, evidence={"unexplained": 40.0})
    seen = {one["what"] for case in book.cases.values() for one in case.history}
    assert seen | {"merged_into"} == set(_WORDS)

"""A book with cases, and words about them, for tests of what people do with cases."""

from __future__ import annotations

from typing import Any

from watchbill.cases.acts import RECORDS, Appeal, CaseAct, Note, Said, Tell
from watchbill.cases.book import CaseBook
from watchbill.cases.case import Case, Signal
from watchbill.cases.desk import obey
from watchbill.cases.verdicts import Verdict
from watchbill.core.settings import CaseSettings

FAMILIES = {"unexplained": "reason", "rings": "graph", "device_pool": "graph", "canary": "canary", "volume": "volume"}
NONE, MASK, ASK, UP, SUSPEND = 0, 1, 2, 3, 6
HOUR = 3_600_000
SETTINGS = CaseSettings(appeal_reviewers=("r1", "r2", "r3"))


def a_book() -> CaseBook:
    return CaseBook(FAMILIES, SETTINGS)


def rise(book: CaseBook, account: str, seq: int, new: int = UP, **more: Any) -> Case:
    """The account's standing rises; its file."""
    given: dict[str, Any] = {
        "seq": seq, "time": seq * 1_000, "account": account, "old": NONE, "new": new, "since": seq * 1_000 - 100, "records": 5,
        "posterior": 0.5, "evidence": {"unexplained": 12.0},
    }  # fmt: skip
    book.take(Signal(**given | more))
    return book.of(account)[0]


def say(book: CaseBook, said: Said, seq: int = 1_000) -> None:
    """As the engine does: obey it, and judge what follows from it."""
    verdict = said if isinstance(said, Verdict) else obey(book, said, seq)
    if verdict is not None:
        book.judge(verdict, seq)


def act(case: str, what: str, number: int = 1, **more: Any) -> CaseAct:
    given = {"id": f"a{number}", "case": case, "act": what, "by": "r1", "time": 1_000_000 + number}
    return CaseAct.model_validate(given | more)


def verdict(case: str, word: str, reason: str, number: int = 1, **more: Any) -> Verdict:
    given = {
        "id": f"v{number}",
        "case": case,
        "verdict": word,
        "reason": reason,
        "by": "r1",
        "time": 1_000_000 + number,
    }
    return Verdict.model_validate(given | more)


def note(case: str, number: int = 1, **more: Any) -> Note:
    return Note.model_validate({"id": f"n{number}", "case": case, "by": "r1", "time": 1_000_000, "text": "seen"} | more)


def tell(case: str, number: int = 1, **more: Any) -> Tell:
    given = {
        "id": f"t{number}",
        "case": case,
        "act": "told",
        "by": "r1",
        "time": 1_000_000 + number,
        "text_en": "What:",
    }
    return Tell.model_validate(given | more)


def appeal(case: str, what: str = "open", number: int = 1, **more: Any) -> Appeal:
    given = {"id": f"p{number}", "case": case, "act": what, "by": "staff", "time": 1_000_000 + number}
    return Appeal.model_validate(given | more)


def one_of_each() -> list[Said]:
    """One legal word of each kind, about a case c10."""
    out: list[Said] = [
        act("c10", "review"),
        note("c10"),
        tell("c10"),
        appeal("c10"),
        verdict("c10", "dismissed", "task"),
    ]
    assert {type(one) for one in out} == set(RECORDS.values())
    return out

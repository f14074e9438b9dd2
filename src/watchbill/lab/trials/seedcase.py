"""The seed case: two known numbers of a ring are given; does the system name the others, and nobody else?

Asked twice: of the cases that the replay wrote (accounts that stand in one case with a known one), and of the inquiry
into rings, where this release has one (`watchbill.inquiry.rings`).
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

INQUIRY: Final = "watchbill.inquiry.rings"
KNOWN: Final = 2


def named_by_cases(rows: Iterable[dict[str, Any]], known: set[str]) -> set[str]:
    """Accounts that stand in one case with a known one."""
    together = [set(row.get("accounts") or []) for row in rows]
    return {name for group in together if group & known for name in group} - known


def named_by_inquiry(home: Path, known: list[str]) -> set[str] | None:
    """What the inquiry into rings answers; None when this release has none.

    It is asked through `others(home, accounts)`, which returns the accounts that belong to the same ring.
    """
    if importlib.util.find_spec(INQUIRY) is None:
        return None
    ask: Callable[[Path, list[str]], Iterable[str]] | None = getattr(importlib.import_module(INQUIRY), "others", None)
    return None if ask is None else set(ask(home, known)) - set(known)


def seed_case(attack: dict[str, Any], out: Path, home: Path) -> dict[str, Any]:
    """How many of the other accounts were named, and how many strangers, by each way of asking."""
    accounts = list(attack["accounts"])
    known, others = accounts[:KNOWN], set(accounts[KNOWN:])
    text = (out / "cases.ndjson").read_text(encoding="utf-8")
    answers = {
        "cases": named_by_cases((json.loads(line) for line in text.splitlines() if line), set(known)),
        "inquiry": named_by_inquiry(home, known),
    }
    return {"others": len(others)} | {
        how: None if answer is None else {"named": len(answer & others), "strangers": len(answer - others)}
        for how, answer in answers.items()
    }

"""A home where an account touched canaries, for tests of what people decide about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runners.test_engine import START, batch, look
from watchbill.cases.acts import VERDICT
from watchbill.cases.verdicts import Verdict
from watchbill.core.settings import PolicySettings, Settings
from watchbill.runners.clock import ManualClock
from watchbill.runners.engine import Engine

if TYPE_CHECKING:
    from pathlib import Path

    from watchbill.records.batch import Batch

HOUR = 3_600_000
DAY = 24 * HOUR


def reference(folder: Path) -> Path:
    """Tables of a firm of three accounts and two canaries."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "accounts.csv").write_text("account,role,outlet\na1,courier,O1\na2,courier,O1\na3,courier,O1\n")
    (folder / "outlets.csv").write_text("outlet,name\nO1,one\n")
    (folder / "canaries.csv").write_text("waybill,subject,placed,note\nTRAP1,,2020-01-01,\nTRAP2,,2020-01-01,\n")
    return folder


def trapped(number: int = 1) -> Batch:
    """Account a1 looks at one canary and then at another; a2 works on."""
    return batch(
        look(number, waybill="TRAP1"), look(number + 1), look(number + 2, account="a2"),
        look(number + 3, waybill="TRAP2"), look(number + 4),
    )  # fmt: skip


def opened(home: Path, settings: Settings | None = None) -> Engine:
    """An engine with one open case, of a1, that is suspended (two canaries are enough for it here)."""
    made = Engine(home, settings or Settings(policy=PolicySettings(suspend_at=1e5)), ManualClock(START))
    made.reload(reference(home.parent / "reference"))
    made.take(trapped())
    return made


def verdict(word: str, reason: str, number: int = 1, **more: Any) -> Verdict:
    """A verdict on the one case of `opened` (or on `account`)."""
    given = {"id": f"v{number}", "verdict": word, "reason": reason, "by": "reviewer-7", "time": START + 60_000}
    return Verdict.model_validate(given | more)


def tell(made: Engine, told: Verdict) -> None:
    """Journal a verdict at once."""
    made.control(VERDICT, told.model_dump())
    made.tell()

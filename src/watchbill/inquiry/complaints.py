"""Scam complaints as a list that never ends: whom do the complaints of the last weeks point at, by looks and by custody?

A customer who reports a scam call is a record of a leaked list that nobody has seen. Each counts with what was known before the
customer called, so whoever looked because of the call is not blamed for it. Every answer is written down, and an account whose
posterior passes the setting is a finding, once, until it falls under half of it.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from watchbill.core.errors import WatchbillError
from watchbill.inquiry.attribute import Attribution, Ranked, answer_of, extra_of, shipped
from watchbill.inquiry.inforce import settings_at
from watchbill.inquiry.leakhits import Asked
from watchbill.inquiry.leaklist import Item
from watchbill.inquiry.sightings import open_sightings
from watchbill.ledger import files
from watchbill.ledger.diary import Diary
from watchbill.ledger.keys import is_seeded

if TYPE_CHECKING:
    from collections.abc import Iterable

BOOK: Final = "complaints.ndjson"
DAY_MS: Final = 86_400_000
COMPLAINTS_MAX: Final = 20_000
"""Of more complaints in the window the latest count: the answer stays within a minute."""
HITS_MIN: Final = 3
"""Fewer complainants than this are no finding, however rare the look."""
_FINDING, _OVER = "finding", "over"
NICE: Final = 10


@dataclass
class Complained:
    """What complaints say.

    Attributes:
        since, until: window of the complaints, epoch milliseconds. complaints: records in it. customers: different ones.
        answer: the attribution. findings: accounts (and outlets, where nobody can tell who there) over the setting now; fresh: those of them that are so since this answer.
    """

    since: int
    until: int
    complaints: int
    customers: int
    answer: Attribution
    findings: list[dict[str, Any]] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As `watchbill complaints --json` prints it."""
        said = {"since": self.since, "until": self.until, "complaints": self.complaints, "customers": self.customers}
        return said | {"findings": self.findings, "fresh": self.fresh} | self.answer.to_json()


def book_of(home: Path) -> Diary:
    """The diary of findings by complaints."""
    return Diary(home / BOOK)


def complained(home: Path, until: int | None = None, days: float | None = None, *, note: bool = True) -> Complained:
    """Attribute the complaints of a window.

    Args:
        until: end of the window, epoch milliseconds; None: the home's last arrival. days: its length; None: the setting.
        note: write findings that are new, and those that are over, into the diary.

    Raises:
        LedgerError: the ledger, the index or the diary is damaged.
    """
    index = open_sightings(home)
    settings = settings_at(home, index.height).inquiry
    mark = files.read_mark(home)
    end = until if until is not None else (mark.arrival + 1 if mark else 0)
    since = end - int((days or settings.complaint_days) * DAY_MS)
    table = index.complaints(since, end)
    items = items_of(zip(*(table.column(name).to_pylist() for name in ("time", "waybill", "subjects")), strict=True))
    answer = answer_of(index, items, extra_of(home, index.height), Asked(before=end), shipped())
    found = Complained(since, end, table.num_rows, len(items), answer)
    _find(home, index.height, found, settings.complaint_alert_at, note=note)
    return found


def items_of(complaints: Iterable[tuple[int, str | None, list[str] | None]]) -> list[Item]:
    """One item for each customer (else parcel) that complained, with the time of the first complaint; the latest ones if many."""
    first: dict[tuple[str, ...], int] = {}
    parcel: dict[tuple[str, ...], str | None] = {}
    for time, waybill, subjects in complaints:
        who = tuple(sorted(one for one in subjects or [] if one)) or ((waybill,) if waybill else ())
        if who and time < first.get(who, time + 1):
            first[who], parcel[who] = time, waybill
    latest = sorted(first, key=lambda who: (-first[who], who))[:COMPLAINTS_MAX]
    return [
        Item(tuple(sorted({*who, *filter(None, [parcel[who]])})), (), line, (), first[who])
        for line, who in enumerate(sorted(latest, key=lambda who: (first[who], who)), start=1)
    ]


def is_finding(one: Ranked, alert_at: float) -> bool:
    """Whether an account's posterior and its complainants make a finding."""
    return one.posterior >= alert_at and max(one.hits, one.held) >= HITS_MIN


def _find(home: Path, height: int, found: Complained, alert_at: float, *, note: bool) -> None:
    """Set `findings` and `fresh`, and write down what changed."""
    standing = {entry.said["who"]: entry.kind == _FINDING for entry in book_of(home).entries()}
    found.findings = [
        _row(f"account {one.account}", one.posterior, one.hits, one.held, found, height)
        for one in found.answer.ranking
        if is_finding(one, alert_at)
    ] + [
        _row(f"outlet {one.holder}", one.posterior, one.hits, 0, found, height)
        for one in found.answer.groups
        if one.posterior >= alert_at
    ]  # fmt: skip
    found.fresh = [row["who"] for row in found.findings if not standing.get(row["who"])]
    near = {f"account {one.account}" for one in found.answer.ranking if one.posterior >= alert_at / 2}
    near |= {row["who"] for row in found.findings}
    if note:
        for row in found.findings:
            if row["who"] in found.fresh:
                book_of(home).add(_FINDING, row, found.until)
        for who in [who for who, stands in standing.items() if stands and who not in near]:
            book_of(home).add(_OVER, {"who": who, "height": height}, found.until)


def _row(who: str, posterior: float, complainants: int, held: int, found: Complained, height: int) -> dict[str, Any]:
    return {
        "who": who, "posterior": posterior, "complainants": complainants, "held": held, "customers": found.customers,
        "since": found.since, "until": found.until, "height": height,
    }  # fmt: skip


def main(words: list[str]) -> int:
    """HOME: once, at low priority, as the runner starts it; what is wrong is one line on standard error."""
    os.nice(NICE)
    home = Path(words[0])
    try:
        complained(home, None if is_seeded(home) else int(words[1]) if len(words) > 1 else None)
    except WatchbillError as error:
        sys.stderr.write(" ".join(str(error).split()) + "\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

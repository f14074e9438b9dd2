"""Splits the looks of a case between its owner and somebody else: which are listed, and the tenancies of the other one.

A tenancy is a run of sessions that the estimate of `operators` gives to the other operator, with no longer break than
`tenancy_gap_hours`. Where it gives him none (a number that several share, an owner who misuses his own), the whole span of the
case stands as one, with the looks that no work explains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from watchbill.inquiry.inforce import settings_at
from watchbill.inquiry.operators import DAY_MS, CaseSpan, Operators, ask_case, local_offset_ms, operators_of_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from watchbill.core.settings import InquirySettings

HOUR_MS: Final = 3_600_000


class OneCase(NamedTuple):
    """A case against one account: times in epoch milliseconds, [since, until] from its first to its last unexplained look."""

    id: str
    account: str
    kind: str
    opened: int
    updated: int
    since: int
    until: int


class Tenancy(NamedTuple):
    """A run of sessions of the other operator, [since, until), epoch milliseconds; records: looks that showed something."""

    account: str
    since: int
    until: int
    records: int

    def to_json(self, settings: InquirySettings) -> dict[str, Any]:
        """As contract/outputs.md writes it; the yield is `records` at `yuan_a_record`."""
        return {
            "account": self.account, "from": self.since, "until": self.until, "records": self.records,
            "estimated_yield": round(self.records * settings.yuan_a_record, 2),
        }  # fmt: skip


class Earnings(NamedTuple):
    """Yuan: what the records fetch at the lowest and the highest market price, and the rent of the days."""

    low: float
    high: float
    rent: float


class Sides(NamedTuple):
    """Looks (seqs) of a case, int64 each: `listed` are in, `between` count in the upper bound only, `out` is the owner's own work."""

    listed: NDArray[np.int64]
    between: NDArray[np.int64]
    out: NDArray[np.int64]


class Split(NamedTuple):
    """A case split: tenancies in order of time, looks, times [since, until) that hold them, sessions listed, between and out."""

    tenancies: list[Tenancy]
    sides: Sides
    since: int
    until: int
    sessions: dict[str, int]


def earnings(tenancy: Mapping[str, Any], settings: InquirySettings, zone: str) -> Earnings:
    """What a tenancy (a row of a case) fetches and costs; every local day that it touches is paid for."""
    offset = local_offset_ms(zone)
    days = (tenancy["until"] - 1 + offset) // DAY_MS - (tenancy["from"] + offset) // DAY_MS + 1
    records = tenancy["records"]
    return Earnings(
        records * settings.yuan_a_record_low, records * settings.yuan_a_record_high, days * settings.rent_yuan_a_day
    )


def split_cases(home: Path, cases: Sequence[OneCase], height: int) -> dict[str, Split]:
    """Split each case, by its id; the ledger is read once for all, and no case depends on the others asked about.

    An account's several cases are judged in the span of all of them.

    Raises:
        LedgerError: the ledger is damaged, or the height is not reached.
    """
    if not cases:
        return {}
    settings = settings_at(home, height).inquiry
    spans: dict[str, CaseSpan] = {}
    for case in cases:
        mine = CaseSpan.around(case.opened, case.updated)
        held = spans.get(case.account, mine)
        spans[case.account] = CaseSpan(min(held.since, mine.since), max(held.until, mine.until))
    asked = {account: ask_case(span) for account, span in spans.items()}
    found = {said.account: said for said in operators_of_all(home, asked, height)}
    return {case.id: split_of(found[case.account], case, settings) for case in cases}


def split_of(said: Operators, case: OneCase, settings: InquirySettings) -> Split:
    """Split one case of a judged account; pure.

    Where the estimate gives nobody else a session, the looks of the case's own span that no work explains are listed.
    """
    runs = runs_of(said, settings)
    if runs:
        span = CaseSpan.around(case.opened, case.updated)
        cut = said.cut_to(min(span.since, runs[0].since), max(span.until + 1, *(run.until for run in runs)))
        time = cut.activity.time
        sides = sides_of(cut, settings, bare_too=case.kind == "owner")
        return Split(runs, sides, int(time.min()), int(time.max()) + 1, _counted(cut, settings))
    cut = said.cut_to(case.since, case.until + 1)
    time = cut.activity.time
    inside = cut.activity.seq[(time >= case.since) & (time <= case.until)]
    held = [side[np.isin(side, inside)] for side in sides_of(cut, settings, bare_too=True)]
    records = int(np.isin(cut.activity.seq[cut.activity.shown], held[0]).sum())
    whole = Tenancy(case.account, case.since, case.until + 1, records)
    return Split([whole], Sides(*held), case.since, case.until + 1, _counted(cut, settings))


def _counted(said: Operators, settings: InquirySettings) -> dict[str, int]:
    told = [one.owner for one in said.judged]
    other = sum(p is not None and p < settings.other_under for p in told)
    sure = sum(p is not None and p > settings.owner_over for p in told)
    return {"listed": other, "between": len(told) - other - sure, "out": sure}


def runs_of(said: Operators, settings: InquirySettings) -> list[Tenancy]:
    """Runs of the other operator's sessions, in order of time; pure."""
    others = [k for k, one in enumerate(said.judged) if one.owner is not None and one.owner < settings.other_under]
    records = np.bincount(said.activity.at[said.activity.shown], minlength=len(said.judged))
    out: list[Tenancy] = []
    for k in sorted(others, key=lambda k: said.judged[k].first):
        one, got = said.judged[k], int(records[k])
        if out and one.first - out[-1].until < settings.tenancy_gap_hours * HOUR_MS:
            last = out[-1]
            out[-1] = last._replace(until=max(last.until, one.last + 1), records=last.records + got)
        else:
            out.append(Tenancy(said.account, one.first, one.last + 1, got))
    return out


def sides_of(said: Operators, settings: InquirySettings, *, bare_too: bool = False) -> Sides:
    """Sort the looks of judged sessions; pure.

    Sessions of the other operator are listed. In those that cannot be told, looks that no work explains are listed; with
    `bare_too` (a case against the owner himself) in all sessions. Of the rest, the owner's work is out where the estimate is sure
    of him. The others lie between, as do his unexplained looks: if the estimate is wrong, they are what is at stake.
    """
    activity = said.activity
    owner = np.array([np.nan if one.owner is None else one.owner for one in said.judged], np.float64)
    bare = activity.explained == 0
    told = owner[activity.at] if len(said.judged) else np.zeros(0)
    listed = (told < settings.other_under) | (bare & (np.isnan(told) | bare_too))
    out = ~listed & ~bare & (told > settings.owner_over)
    return Sides(activity.seq[listed], activity.seq[~listed & ~out], activity.seq[out])

"""Which files are one case: what ties them, when evidence alone puts them together, and how they are put together and parted; pure.

Conservative by intent. Evidence alone joins two cases only where detectors of groups speak plainly in **both** (an e-value
of 20) **and** both used one unregistered device or home line, nobody parted them, and nobody has decided on either. A shared
device or line alone is a lead (`related`), which a person may follow with a merge.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from watchbill.cases.case import ENGINE, RUNNING, TIES_MAX, write
from watchbill.context.lone import device_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from watchbill.cases.case import Case

JOINING: Final = ("device_pool", "in_turn", "rings")
"""Detectors whose word says that accounts belong together."""
JOIN_NATS: Final = math.log(20.0)
RING_MAX: Final = 40
"""Accounts of one case that evidence alone gathers; a person may merge more."""
CROWD_MAX: Final = 40
"""What more cases than this share ties nobody: a crowd (as in `watchbill ring`)."""
MERGED_MAX: Final = 500
"""Accounts of one case, whoever merged them."""


class Ties:
    """Device or line -> the files that used it, in order of their opening."""

    def __init__(self, cases: Iterable[Case] = ()) -> None:
        self._files: dict[tuple[str, str], list[str]] = {}
        for case in cases:
            self.add(case)

    def add(self, case: Case) -> None:
        """Note what a file used; lone devices are no persons and tie nobody."""
        if device_of(case.account):
            return
        for key in _keys(case):
            files = self._files.setdefault(key, [])
            if case.id not in files and len(files) <= CROWD_MAX:
                files.append(case.id)

    def beside(self, case: Case) -> list[tuple[str, str]]:
        """(kind of tie, id of another file) for what both used and no crowd does."""
        out: dict[tuple[str, str], None] = {}
        for kind, name in _keys(case):
            files = self._files.get((kind, name), [])
            if len(files) <= CROWD_MAX:
                out |= {(kind, other): None for other in files if other != case.id}
        return list(out)


def _keys(case: Case) -> list[tuple[str, str]]:
    return [("device", one) for one in case.devices[:TIES_MAX]] + [("line", one) for one in case.lines[:TIES_MAX]]


def ring_said(case: Case) -> bool:
    """Whether detectors of groups spoke plainly in a file."""
    return any(case.reasons.get(name, (0.0, 0))[0] >= JOIN_NATS for name in JOINING)


def may_join(mine: Sequence[Case], others: Sequence[Case]) -> bool:
    """Whether evidence alone may put two cases together: nobody decided on either, nobody parted them, few enough."""
    everyone = [*mine, *others]
    if len(everyone) > RING_MAX or any(one.status not in RUNNING for one in everyone):
        return False
    return not any(b.id in a.apart or a.id in b.apart for a in mine for b in others)


def put_together(
    mine: Sequence[Case], others: Sequence[Case], seq: int, time: int, by: str = ENGINE, **why: str
) -> None:
    """All files of `others` become part of the case of `mine`, whose first file stays the first. What was begun goes on."""
    lead, other = mine[0], others[0]
    for case in others:
        case.into = lead.id
    lead.assigned = lead.assigned or other.assigned
    lead.reviewing = lead.reviewing or other.reviewing
    if other.due_set and not lead.due_set:
        lead.due, lead.due_set = other.due, True
    other.reviewing, other.due_set = False, False
    write(lead, "merged", seq, time, by, other=other.id, accounts=len(mine) + len(others), **why)
    write(other, "merged_into", seq, time, by, other=lead.id, **why)


def part(files: Sequence[Case], leaving: Case, seq: int, time: int, by: str) -> None:
    """One file leaves its case, and evidence alone never puts them together again; who stays goes on as before."""
    rest = [case for case in files if case is not leaving]
    lead = rest[0]
    if leaving is files[0]:
        lead.assigned, lead.reviewing = leaving.assigned, leaving.reviewing
        if leaving.due_set:
            lead.due, lead.due_set = leaving.due, True
    for case in rest:
        case.into = "" if case is lead else lead.id
    leaving.into = ""
    leaving.apart += [case.id for case in rest if case.id not in leaving.apart]
    write(leaving, "split", seq, time, by, other=lead.id)
    write(lead, "split_off", seq, time, by, other=leaving.id)


def related(
    files: Sequence[Case], ties: Ties, lead_of: Mapping[str, str], statuses: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Other running cases that used one of the devices or lines of this one: {"case", "why"}, a lead for a person.

    Args:
        lead_of: file -> the first file of its case. statuses: first file -> status of the whole case.
    """
    mine, found = {case.id for case in files}, dict[tuple[str, str], None]()
    for case in files:
        for why, other in ties.beside(case):
            lead = lead_of[other]
            if other not in mine and statuses[lead] in RUNNING | {"in_review", "confirmed"}:
                found[lead, why] = None
    return [{"case": lead, "why": why} for lead, why in sorted(found)]

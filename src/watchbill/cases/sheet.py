"""What the desk sees of a case beside its evidence: who works on it, clocks, who was told, appeals, what may belong to it; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from watchbill.cases.case import SETTLED, status_of
from watchbill.cases.clocks import due_of, first_look_ms
from watchbill.cases.fair import interrupted, told
from watchbill.cases.gather import Ties, related
from watchbill.context.lone import device_of
from watchbill.core.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from watchbill.cases.case import Case

_NOTICE = ("id", "to", "channel", "by", "time")
_APPEAL = ("id", "by", "to", "time", "due", "outcome", "decided", "decided_by")
_CORRECTION = ("to", "channel", "about", "time", "why")


class Standing(NamedTuple):
    """The step of an account by name, and until when (epoch ms; None: no end, or no step)."""

    step: str
    until: int | None


def none_known(_account: str) -> Standing:
    """Where nobody knows how accounts stand."""
    return Standing("unknown", None)


def gathered(cases: Iterable[Case]) -> list[list[Case]]:
    """The files of each case, its first one first, in order of opening."""
    by_lead: dict[str, list[Case]] = {}
    for case in sorted(cases, key=lambda one: (bool(one.into), one.seq, one.id)):
        by_lead.setdefault(case.into or case.id, []).append(case)
    return list(by_lead.values())


def kind_of_files(files: Sequence[Case]) -> str:
    """The kind of a case: what a person confirmed, else `ring` where it has several accounts, else what its file looks like."""
    said = next((case.kind for case in files if case.status == "confirmed"), "")
    return said or ("ring" if len(files) > 1 else files[0].kind)


class Sheets:
    """Sheets of all cases: what ties them needs all of them."""

    def __init__(self, together: Sequence[Sequence[Case]], standing: Callable[[str], Standing] = none_known) -> None:
        self._lead = {case.id: files[0].id for files in together for case in files}
        self._status = {files[0].id: status_of(files) for files in together}
        self._ties = Ties(case for files in together for case in files)
        self._standing = standing

    def of(self, files: Sequence[Case]) -> dict[str, Any]:
        """assigned, due, first_look_ms, merged, related and people of one case, JSON-able."""
        lead = files[0]
        return {
            "assigned": lead.assigned or None, "due": due_of(files), "first_look_ms": first_look_ms(lead),
            "merged": [case.id for case in files[1:]],
            "related": related(files, self._ties, self._lead, self._status),
            "people": [self._person(case) for case in files if not device_of(case.account)],
        }  # fmt: skip

    def _person(self, case: Case) -> dict[str, Any]:
        step, until = self._standing(case.account)
        mine = case.delay if case.delay.get("round") == case.round else {}
        return {
            "account": case.account, "case": case.id, "step": step, "until": until, "interrupted": interrupted(case),
            "told": told(case), "reasons": sorted(case.reasons), "for_person": [dict(one) for one in case.for_person],
            "delayed": {name: mine[name] for name in ("by", "role", "reason", "until")} if mine else None,
            "notices": _kept(case.notices, _NOTICE), "appeals": _kept(case.appeals, _APPEAL),
            "corrections": _kept(case.corrections, _CORRECTION),
        }  # fmt: skip


def _kept(rows: Iterable[Mapping[str, Any]], names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{name: row[name] for name in names} for row in rows]


# --- of rows, as cases.ndjson has them --------------------------------------------------------------------------------


def row_named(rows: Iterable[Mapping[str, Any]], case: str, where: str) -> Mapping[str, Any]:
    """The row of a case.

    Raises:
        NotFoundError: there is none, or it is part of another case now; says which. `where`: who asks.
    """
    for row in rows:
        if row["id"] == case:
            return row
        if case in row.get("merged", ()):
            raise NotFoundError("it is part of another case now", where=where, todo=f"Ask for case {row['id']}")
    raise NotFoundError("there is no such case", where=where, todo="`watchbill cases` lists them")


def row_needs_records(row: Mapping[str, Any]) -> bool:
    """Whether the records behind a case may still be asked for: nobody has settled it (archived is not settled), or an appeal is open."""
    appeals = [one for person in row.get("people", []) for one in person["appeals"]]
    return row.get("status", "open") not in SETTLED or any(one["outcome"] == "open" for one in appeals)


def row_overdue(row: Mapping[str, Any], now: int) -> list[str]:
    """What of a case is overdue at `now` (epoch ms): "first look" or "due", and "appeal"."""
    out = []
    due = row.get("due")
    if due is not None and due < now:
        out.append("first look" if row.get("first_look_ms") is None else "due")
    appeals = [one for person in row.get("people", []) for one in person["appeals"]]
    if any(one["outcome"] == "open" and one["due"] < now for one in appeals):
        out.append("appeal")
    return out


def row_untold(row: Mapping[str, Any], now: int) -> list[str]:
    """Accounts of interrupted persons whom nobody told, and no recorded decision delays it until after `now`."""
    return [
        person["account"]
        for person in row.get("people", [])
        if person["interrupted"] and not person["told"]
        if person["delayed"] is None or person["delayed"]["until"] <= now
    ]

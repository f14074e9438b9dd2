"""Who was exposed: everything an account saw, and everybody who saw a customer or a parcel, from the complete record.

Reads sealed segments and the journal tail up to a named height, never a sample. Where the record itself leaves
something open, the answer says so in `gaps` and `complete` is false.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from watchbill.core.errors import NotFoundError
from watchbill.inquiry.controls import Controls, read_controls
from watchbill.inquiry.exposed import (
    COLUMNS,
    COMPLETE_FIELDS,
    Expanded,
    conform,
    expand,
    exposing,
    waybills_of,
)
from watchbill.ledger import gone
from watchbill.ledger import manifest as manifests
from watchbill.ledger.canonical import SEQ
from watchbill.ledger.keys import DAY_MS
from watchbill.ledger.reader import Ledger, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PERSONS_A_PARCEL: Final = 2
"""A look at one parcel shows its sender and its recipient at most."""
_LOOKUPS_MAX: Final = 200
_PIECE_ROWS: Final = 500_000
"""Looks whose gaps are counted in one go: memory stays bounded however many looks say nothing."""
_SCAN: Final = ("source", "time", "kind", "waybill", "subjects", "shown", "masked", "outcome", "results")


@dataclass(frozen=True)
class Gap:
    """Something that the record leaves open.

    Attributes:
        kind: no_subjects, unnamed, masking_unknown, source_silent or payload_dropped.
        looks: looks concerned. persons: how many more persons that can be at most, None when nothing bounds it.
        text: in plain words. accounts: who made those looks, where that helps (who-saw).
    """

    kind: str
    looks: int
    persons: int | None
    text: str
    accounts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SeenSubject:
    """One exposed customer: fields sorted, first and last look in epoch milliseconds, number of looks."""

    subject: str
    fields: list[str]
    first: int
    last: int
    times: int


@dataclass(frozen=True)
class Saw:
    """What an account saw; fields as contract/outputs.md says. `upper` is None when nothing bounds it."""

    account: str
    height: int
    persons: int
    items: int
    times: int
    complete_records: int
    complete: bool
    lower: int
    upper: int | None
    gaps: list[Gap]
    subjects: list[SeenSubject]

    def to_json(self) -> dict[str, Any]:
        """As `watchbill saw --json` prints it."""
        return asdict(self)


@dataclass(frozen=True)
class Watcher:
    """One account that saw the customer; `explained`: whether all its looks were, None when no verdict tells."""

    account: str | None
    fields: list[str]
    first: int
    last: int
    times: int
    explained: bool | None


@dataclass(frozen=True)
class WhoSaw:
    """Who saw a customer or a parcel; fields as contract/outputs.md says."""

    subject: str
    height: int
    complete: bool
    gaps: list[Gap]
    accounts: list[Watcher]

    def to_json(self) -> dict[str, Any]:
        """As `watchbill who-saw --json` prints it."""
        return asdict(self)


def saw(home: Path, account: str, from_ms: int | None = None, to_ms: int | None = None, upto: int | None = None) -> Saw:
    """Everything an account saw with time in [from_ms, to_ms), epoch milliseconds, at a height of the journal.

    Raises:
        NotFoundError: no record below that height names the account.
        LedgerError: the ledger is damaged, or the height is not reached.
    """
    ledger = Ledger(home)
    height = ledger.height if upto is None else upto
    whole = [conform(part) for part in ledger.records([*COLUMNS], Span(account, from_ms, to_ms), upto)]
    looks = [exposing(part) for part in whole if part.num_rows]
    if not looks and not any(part.num_rows for part in ledger.records(["account"], Span(account), upto)):
        raise NotFoundError("no record names this account", where="saw", todo="Check the work number, or the height")
    table = pa.concat_tables([conform(_nothing()), *looks])
    return exposure_of(home, table, height, account, (from_ms, to_ms))


def exposure_of(
    home: Path, records: pa.Table, height: int, account: str = "", span: tuple[int | None, int | None] | None = None
) -> Saw:
    """As `saw`, over records that are at hand (as the ledger's reader gives them), such as those of a case.

    `span`: times that they cover, [from, to) in epoch milliseconds; None: from their first to their last.

    Raises:
        LedgerError: the ledger is damaged.
    """
    laid = expand(exposing(conform(records)), read_controls(home, height), home)
    try:
        return _saw_of(laid, account, height, [*silent_sources(home), *dropped_payloads(home, span or _span(records))])
    finally:
        laid.db.close()


def _nothing() -> pa.Table:
    return pa.table({SEQ: pa.array([], pa.int64())})


def _saw_of(laid: Expanded, account: str, height: int, silent: list[Gap]) -> Saw:
    rows = laid.rows(
        """with flat as (select subject, seq, time, unnest(fields) as field from pairs where not unknown),
        named as (select subject, list_sort(list(distinct field)) as fields from flat where field is not null group by 1)
        select p.subject, coalesce(any_value(n.fields), []), min(time), max(time), count(distinct seq)
        from pairs p left join named n using (subject) where not unknown group by p.subject order by 3, 1"""
    )
    subjects = [SeenSubject(name, list(fields), first, last, times) for name, fields, first, last, times in rows]
    gaps, more = _gaps(laid), 0
    all_persons = laid.one("select count(distinct subject) from pairs")
    bounded = True
    for gap in gaps:
        bounded = bounded and gap.persons is not None
        more += 0 if gap.kind == "masking_unknown" else gap.persons or 0
    gaps += silent
    bounded = bounded and not any(gap.kind == "payload_dropped" for gap in silent)
    return Saw(
        account=account, height=height, persons=len(subjects), items=sum(len(subject.fields) for subject in subjects),
        times=laid.one("select count(distinct seq) from pairs where not unknown"),
        complete_records=sum(is_complete(subject.fields) for subject in subjects),
        complete=not gaps, lower=len(subjects), upper=all_persons + more if bounded else None,
        gaps=gaps, subjects=subjects,
    )  # fmt: skip


def is_complete(fields: Iterable[str]) -> bool:
    """Whether name, phone and address are among the fields, whichever party they are of."""
    return set(COMPLETE_FIELDS) <= {name.rpartition(".")[2] for name in fields}


def _gaps(laid: Expanded) -> list[Gap]:
    """What the laid-out looks leave open. Unresolved searches are bounded by their `results`, which `unnamed` counts."""
    gaps = []
    bare, unbounded, parcels = laid.rows(
        """select count(*), count(*) filter (results is null and kind in ('search', 'export')),
        count(*) filter (kind not in ('search', 'export')) from unresolved
        where kind not in ('search', 'export') or coalesce(results, 1) > 0"""
    )[0]
    if bare:
        most = None if unbounded else PERSONS_A_PARCEL * parcels
        gaps.append(Gap("no_subjects", bare, most, "looks that name no customer and no parcel that a table resolves"))
    looks, more = laid.rows("select count(*), coalesce(sum(more), 0)::bigint from unnamed")[0]
    if looks:
        gaps.append(Gap("unnamed", looks, more, "results of searches beyond the customers that they list"))
    looks, persons = laid.rows("select count(distinct seq), count(distinct subject) from pairs where unknown")[0]
    if looks:
        text = "looks from systems that do not log masking: they count in the upper bound only"
        gaps.append(Gap("masking_unknown", looks, persons, text))
    return gaps


def _span(records: pa.Table) -> tuple[int | None, int | None]:
    times = pc.min_max(records.column("time")).as_py() if records.num_rows else {"min": 0, "max": -1}
    return times["min"], times["max"] + 1


def dropped_payloads(home: Path, span: tuple[int | None, int | None] = (None, None)) -> list[Gap]:
    """Records of days in this span whose payload was dropped by age: nobody can say any more whose they were."""
    since, until = span
    lost = 0
    for segment in manifests.load(home).segments:
        begin, end = segment.day * DAY_MS, (segment.day + 1) * DAY_MS
        if gone.ENDING in segment.digests and (until is None or begin < until) and (since is None or end > since):
            lost += len(gone.read_gone(home, segment).dropped)
    text = "records of these days were dropped by age: looks may be missing"
    return [Gap("payload_dropped", lost, None, text)] if lost else []


def silent_sources(home: Path) -> list[Gap]:
    """Sources that the runner's last status calls silent: records of theirs may be missing."""
    try:
        status = json.loads((home / "status.json").read_text(encoding="utf-8"))
        sources = status.get("sources", {})
        silent = sorted(name for name, state in sources.items() if state.get("silent"))
    except (OSError, ValueError, AttributeError):
        return []
    return [Gap("source_silent", 0, None, f"source {name} is silent: looks may be missing") for name in silent]


def who_saw(home: Path, subject_or_waybill: str, upto: int | None = None) -> WhoSaw:
    """Every account that saw a customer, or looked at a parcel, at a height of the journal.

    Raises:
        LedgerError: the ledger is damaged, or the height is not reached.
    """
    ledger = Ledger(home)
    height = ledger.height if upto is None else upto
    controls = read_controls(home, height)
    waybills = waybills_of(subject_or_waybill, controls, home)
    looks, gaps = _looks_for(ledger, subject_or_waybill, waybills, height, controls)
    laid = expand(looks, controls, home)
    try:
        laid.db.execute("create temp table hits as " + _HITS, {"wanted": subject_or_waybill})
        rows = laid.rows(_WATCHERS)
        unknown = laid.rows("select account, count(distinct seq) from hits where unknown group by 1 order by 1")
        seqs = laid.rows("select distinct account, seq from hits where not unknown order by seq")
    finally:
        laid.db.close()
    explained = _explained(home, seqs)
    accounts = [
        Watcher(who, list(names), first, last, times, explained.get(who)) for who, names, first, last, times in rows
    ]
    if unknown:
        text = "looks from systems that do not log masking: they may have shown nothing"
        names = [account for account, _ in unknown if account is not None]
        gaps.append(Gap("masking_unknown", sum(times for _, times in unknown), None, text, names))
    gaps += [*silent_sources(home), *dropped_payloads(home)]
    return WhoSaw(subject_or_waybill, height, not gaps, gaps, accounts)


_HITS: Final = """
select seq, time, account, unknown, fields from pairs where subject = $wanted or waybill = $wanted
union all select seq, time, account, unknown, fields from unresolved where waybill = $wanted
"""
_ANSWERED: Final = """
delete from unnamed where seq in (select seq from pairs where subject = $wanted)
or seq in (select seq from looks where waybill = $wanted)
"""
_WATCHERS: Final = """
with flat as (select coalesce(account, '') as who, unnest(fields) as field from hits where not unknown),
named as (select who, list_sort(list(distinct field)) as fields from flat where field is not null group by 1)
select any_value(h.account), coalesce(any_value(n.fields), []), min(time), max(time), count(distinct seq)
from hits h left join named n on n.who = coalesce(h.account, '')
where not unknown group by coalesce(h.account, '') order by 3, 1
"""


def _looks_for(
    ledger: Ledger, wanted: str, waybills: list[str], height: int, controls: Controls
) -> tuple[pa.Table, list[Gap]]:
    """(looks that may have shown the customer or parcel, gaps: looks that may have without saying so)."""
    found = [ledger.find("subjects", wanted, height), ledger.find("waybill", wanted, height)]
    few = len(waybills) <= _LOOKUPS_MAX
    if few:
        found += [ledger.find("waybill", waybill, height) for waybill in waybills]
    found = [exposing(conform(part)) for part in found if part.num_rows]
    keys = pa.array([] if few else waybills, pa.string())
    waiting, gaps = [conform(_nothing())], dict[str, Gap]()
    for part in _terse(ledger, height):
        mine = pc.or_(_shows(part, wanted), pc.is_in(part.column("waybill"), value_set=keys))
        found.append(part.filter(mine))
        waiting.append(conform(part.select([SEQ, *_SCAN])))
        if sum(held.num_rows for held in waiting) >= _PIECE_ROWS:
            _add_gaps(gaps, pa.concat_tables(waiting), controls, ledger.home, wanted)
            waiting = waiting[:1]
    _add_gaps(gaps, pa.concat_tables(waiting), controls, ledger.home, wanted)
    return _once(pa.concat_tables([conform(_nothing()), *found])), list(gaps.values())


def _terse(ledger: Ledger, height: int) -> Iterator[pa.Table]:
    """Looks that list nobody, list through `shown`, or return more results than they may list."""
    for part in ledger.records([*COLUMNS], upto=height):
        looks = exposing(conform(part))
        bare = pc.equal(pc.fill_null(pc.list_value_length(looks.column("subjects")), 0), 0)
        shown = pc.greater(pc.fill_null(pc.list_value_length(looks.column("shown")), 0), 0)
        more = pc.greater(pc.fill_null(looks.column("results"), 0), 0)
        yield looks.filter(pc.or_(bare, pc.or_(shown, more)))


def _shows(table: pa.Table, wanted: str) -> pa.Array:
    """Rows whose `shown` names the customer; bool[n]."""
    column = table.column("shown")
    if column.null_count == len(column):
        return pa.array(np.zeros(len(column), dtype=np.bool_))
    return pa.array(
        [any(item["subject"] == wanted for item in row or [] if item) for row in column.to_pylist()], pa.bool_()
    )


def _once(table: pa.Table) -> pa.Table:
    """Each look once, in order of seq."""
    ordered = table.sort_by(SEQ)
    seqs = ordered.column(SEQ).to_numpy()
    return ordered.filter(pa.array(np.diff(seqs, prepend=-1) != 0))


def _add_gaps(gaps: dict[str, Gap], looks: pa.Table, controls: Controls, home: Path, wanted: str) -> None:
    """Add what these looks leave open to the gaps of a who-saw, by kind."""
    if not looks.num_rows:
        return
    laid = expand(looks, controls, home)
    try:
        # a look that names the customer, or is at the very parcel that was asked for, is an answer: nothing is open there
        laid.db.execute("delete from unresolved where waybill = $wanted", {"wanted": wanted})
        laid.db.execute(_ANSWERED, {"wanted": wanted})
        found = [gap for gap in _gaps(laid) if gap.kind != "masking_unknown"]
    finally:
        laid.db.close()
    for gap in found:
        before = gaps[gap.kind].looks if gap.kind in gaps else 0
        gaps[gap.kind] = Gap(gap.kind, before + gap.looks, None, gap.text)


def _explained(home: Path, seqs: list[tuple[str | None, int]]) -> dict[str | None, bool | None]:
    """Per account: True when all its looks were explained, False when one was not, None when verdicts are missing."""
    said = verdicts_of(home, [seq for _, seq in seqs])
    out: dict[str | None, bool | None] = {}
    for account, seq in seqs:
        before, now = out.get(account, True), said.get(seq)
        if before is False or now is False:
            out[account] = False
        else:
            out[account] = None if before is None or now is None else True
    return out


def verdicts_of(home: Path, seqs: list[int]) -> dict[int, bool]:
    """Explained or not by seq, from the verdict files of the home; what they do not hold is left out."""
    out: dict[int, bool] = {}
    if not seqs:
        return out
    for path in sorted((home / "parts").glob("verdicts-*-*.parquet")):
        _, first, end = path.stem.split("-", 2)
        wanted = [seq for seq in seqs if int(first) <= seq <= int(end)]
        if wanted:
            table = pq.read_table(
                path, columns=["seq", "explained"], filters=[("seq", "in", wanted)], partitioning=None
            )
            out |= dict(zip(table.column("seq").to_pylist(), table.column("explained").to_pylist(), strict=True))
    return out

"""Cases as rows of cases.ndjson: whose data the wrongful operator of a case saw, counted from the ledger as `exposure` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from watchbill.inquiry.controls import read_controls
from watchbill.inquiry.exposed import COLUMNS, COMPLETE_FIELDS, conform, expand, exposing
from watchbill.inquiry.inforce import settings_at
from watchbill.inquiry.tenancies import OneCase, Split, split_cases
from watchbill.ledger.canonical import SEQ
from watchbill.ledger.reader import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from watchbill.cases.book import Case
    from watchbill.detectors.base import DetectorBase

TIER_ITEMS: Final = 2_500
"""Items at which selling data obtained through one's duty becomes "serious" (2017 interpretation, halved); counsel decides."""
_ESPECIALLY: Final = 10
_NATS_OF_AN_EXPLAINED_LOOK: Final = 0.886
"""log(.97 / .4): how much more an explained look is to be expected of honest work than of a renter who explains 40 %."""
_CAP: Final = 4.0
_COUNT: Final = f"""
with seen as (
  select m.number, p.subject, p.fields from pairs p join mine m on m.seq = p.seq where not p.unknown
), flat as (
  select distinct number, subject, unnest(fields) as field from seen
), people as (
  select number, subject, count(field) as items,
         count(distinct list_last(string_split(field, '.')))
           filter (list_last(string_split(field, '.')) in {tuple(COMPLETE_FIELDS)}) as parts
  from flat where field is not null group by all
)
select s.number, count(distinct s.subject),
       coalesce((select sum(items) from people p where p.number = s.number), 0)::bigint,
       (select count(*) from people p where p.number = s.number and p.parts = {len(COMPLETE_FIELDS)})
from seen s group by s.number
"""


class Shown(NamedTuple):
    """What the listed looks of a case showed, how many they are, and how many looks of its span are explained."""

    persons: int
    items: int
    complete: int
    looks: int
    honest: int


def case_rows(home: Path, cases: Iterable[Case], detectors: Iterable[DetectorBase]) -> list[dict[str, Any]]:
    """One row a case, in order of opening."""
    listed = sorted(cases, key=lambda case: (case.seq, case.id))
    if not listed:
        return []
    texts = {d.id: (d.text_zh, d.text_en) for d in detectors}
    ledger = Ledger(home)
    asked = [OneCase(c.id, c.account, c.kind, c.opened, c.updated, c.since, c.until) for c in listed]
    split, prices = split_cases(home, asked, ledger.height), settings_at(home, ledger.height).inquiry
    shown = _shown(ledger, listed, split)
    return [
        _row(case, one, texts) | {"tenancies": [run.to_json(prices) for run in split[case.id].tenancies]}
        for case, one in zip(listed, shown, strict=True)
    ]


def _shown(ledger: Ledger, cases: list[Case], split: dict[str, Split]) -> list[Shown]:
    """What the listed looks of each case showed; the ledger is read once for all of them."""
    accounts = sorted({case.account for case in cases})
    begin = min(min(case.since, split[case.id].since) for case in cases)
    end = max(max(case.until + 1, split[case.id].until) for case in cases)
    looks = exposing(conform(ledger.of_accounts(accounts, COLUMNS, begin, end)))
    seqs = looks.column(SEQ).to_numpy()
    known = np.isin(seqs, _explained(ledger.home, accounts))
    names, times = looks.column("account"), looks.column("time").to_numpy()
    rows, honest = [], []
    for case in cases:
        mine = np.asarray(pc.fill_null(pc.equal(names, case.account), False))
        rows.append(np.flatnonzero(np.isin(seqs, split[case.id].sides.listed)))
        honest.append(int(np.count_nonzero(mine & known & (times >= case.since) & (times <= case.until))))
    counted = _exposed(ledger, looks, rows)
    return [Shown(*counted[number], mine.shape[0], honest[number]) for number, mine in enumerate(rows)]


def _exposed(ledger: Ledger, looks: pa.Table, rows: list[NDArray[np.int64]]) -> list[tuple[int, int, int]]:
    """(persons, items, complete records) of each case, whose looks are these rows: as `watchbill exposure` counts them."""
    every = np.unique(np.concatenate(rows))
    out = [(0, 0, 0)] * len(rows)
    if not every.shape[0]:
        return out
    laid = expand(looks.take(every).combine_chunks(), read_controls(ledger.home, ledger.height), ledger.home)
    seqs = looks.column(SEQ).to_numpy()
    numbers = np.repeat(np.arange(len(rows)), [mine.shape[0] for mine in rows])
    try:
        laid.db.register("mine", pa.table({"number": numbers, "seq": seqs[np.concatenate(rows)]}))
        for number, persons, items, complete in laid.rows(_COUNT):
            out[number] = (persons, items, complete)
    finally:
        laid.db.close()
    return out


def _explained(home: Path, accounts: list[str]) -> NDArray[np.int64]:
    """Seqs of these accounts' looks that work explained, from the verdict parts."""
    parts = sorted((home / "parts").glob("verdicts-*.parquet"))
    if not parts:
        return np.zeros(0, np.int64)
    wanted = pc.field("account").isin(accounts) & pc.field("explained")
    table = ds.dataset([str(part) for part in parts]).to_table(columns=["seq"], filter=wanted)
    return np.asarray(table.column("seq"), np.int64)


def _row(case: Case, shown: Shown, texts: dict[str, tuple[str, str]]) -> dict[str, Any]:
    return {
        "id": case.id, "seq": case.seq, "opened": case.opened, "updated": case.updated, "status": case.status,
        "kind": case.kind, "accounts": [case.account], "devices": case.devices, "posterior": round(case.posterior, 6),
        "reasons": [
            {"detector": name, "nats": round(nats, 3), "text_zh": texts.get(name, (name, name))[0],
             "text_en": texts.get(name, (name, name))[1], "records": count}
            for name, (nats, count) in sorted(case.reasons.items(), key=lambda pair: -pair[1][0])
        ],
        "for_person": [] if not shown.honest else [
            {"detector": "explained_looks", "nats": -round(min(_CAP, shown.honest * _NATS_OF_AN_EXPLAINED_LOOK), 3),
             "text_zh": "同期有正常业务理由的查询", "text_en": "looks in the same span that its work explains",
             "records": shown.honest}
        ],
        "tenancies": [],
        "persons": shown.persons, "items": shown.items, "complete_records": shown.complete, "tier": tier_of(shown.items),
    }  # fmt: skip


def tier_of(items: int) -> str:
    """The criminal tier that a number of items reaches (a meter; counsel decides)."""
    if items >= TIER_ITEMS * _ESPECIALLY:
        return "especially serious"
    return "serious" if items >= TIER_ITEMS else "none"

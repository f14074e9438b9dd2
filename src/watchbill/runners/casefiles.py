"""Cases as rows of cases.ndjson: whose data the wrongful operator of a case saw, counted from the ledger as `exposure` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from watchbill.cases.tiers import tier_of
from watchbill.context.lone import device_of
from watchbill.core.settings import Settings
from watchbill.inquiry.controls import read_controls
from watchbill.inquiry.exposed import COLUMNS, COMPLETE_FIELDS, conform, expand, exposing
from watchbill.inquiry.inforce import settings_at
from watchbill.inquiry.lonelooks import explained_lone, lone_looks
from watchbill.inquiry.tenancies import OneCase, Split, Tenancy, split_cases
from watchbill.ledger.canonical import SEQ
from watchbill.ledger.reader import Ledger
from watchbill.scoring.cost import by_cost
from watchbill.scoring.reasons import CAP_NATS, against, contribution

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from watchbill.cases.book import Case
    from watchbill.detectors.base import DetectorBase

_NATS_OF_AN_EXPLAINED_LOOK: Final = 0.886
"""log(.97 / .4): how much more an explained look is to be expected of honest work than of a renter who explains 40 %."""
_TOLD: Final = ("id", "verdict", "reason", "by", "note", "time", "round")
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


def case_rows(
    home: Path, cases: Iterable[Case], detectors: Iterable[DetectorBase], settings: Settings | None = None
) -> list[dict[str, Any]]:
    """One row a case, in order of opening; `settings` are those by which costs are reported (None: the defaults)."""
    listed = sorted(cases, key=lambda case: (case.seq, case.id))
    if not listed:
        return []
    texts = {d.id: (d.text_en, d.text_zh) for d in detectors}
    ledger = Ledger(home)
    asked = [
        OneCase(c.id, c.account, c.kind, c.opened, c.updated, c.since, c.until)
        for c in listed if not device_of(c.account)
    ]  # fmt: skip
    split, prices = split_cases(home, asked, ledger.height), settings_at(home, ledger.height).inquiry
    shown = _shown(ledger, listed, split)
    policy = (settings or Settings()).policy
    rows = []
    for case, one in zip(listed, shown, strict=True):
        row = _row(case, one, texts)
        if case.id in split:
            row["tenancies"] = [run.to_json(prices) for run in split[case.id].tenancies]
        else:
            whole = Tenancy("", case.since, case.until + 1, one.looks).to_json(prices)
            row["tenancies"] = [whole | {"account": None, "device": device_of(case.account)}]
        rows.append(row | {"by_cost": by_cost(case.posterior, one.looks, case.until - case.since, policy)})
    return rows


def _shown(ledger: Ledger, cases: list[Case], split: dict[str, Split]) -> list[Shown]:
    """What the listed looks of each case showed; the ledger is read once for all of them (once more for lone devices)."""
    accounts = sorted({case.account for case in cases if case.id in split})
    begin = min(min(case.since, split[case.id].since if case.id in split else case.since) for case in cases)
    end = max(max(case.until + 1, split[case.id].until if case.id in split else 0) for case in cases)
    looks = exposing(conform(ledger.of_accounts(accounts, COLUMNS, begin, end))) if accounts else None
    known = _explained(ledger.home, accounts)
    devices = sorted({device_of(case.account) for case in cases} - {""})
    if devices:
        lone = lone_looks(ledger, devices, begin, end)
        none = pa.nulls(looks.num_rows, pa.string()) if looks is not None else None
        looks = lone if looks is None else pa.concat_tables([looks.append_column("device", none), lone])
        known = np.concatenate([known, explained_lone(ledger.home)])
    if looks is None:
        raise RuntimeError("a case without an account and without a device")
    seqs, times = looks.column(SEQ).to_numpy(), looks.column("time").to_numpy()
    explained = np.isin(seqs, known)
    rows, honest = [], []
    for case in cases:
        inside = (times >= case.since) & (times <= case.until)
        mine = _of(looks, case.account) & inside
        lone_rows = np.flatnonzero(mine & ~explained)
        rows.append(np.flatnonzero(np.isin(seqs, split[case.id].sides.listed)) if case.id in split else lone_rows)
        honest.append(int(np.count_nonzero(mine & explained)))
    counted = _exposed(ledger, looks, rows)
    return [Shown(*counted[number], mine.shape[0], honest[number]) for number, mine in enumerate(rows)]


def _of(looks: pa.Table, account: str) -> NDArray[np.bool_]:
    """bool[n]: looks of an account, or of the lone device behind its name."""
    column, name = ("device", device_of(account)) if device_of(account) else ("account", account)
    mine: NDArray[np.bool_] = np.asarray(pc.fill_null(pc.equal(looks.column(column), name), False))
    return mine


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
    if not parts or not accounts:
        return np.zeros(0, np.int64)
    wanted = pc.field("account").isin(accounts) & pc.field("explained")
    table = ds.dataset([str(part) for part in parts]).to_table(columns=["seq"], filter=wanted)
    return np.asarray(table.column("seq"), np.int64)


def _row(case: Case, shown: Shown, texts: dict[str, tuple[str, str]]) -> dict[str, Any]:
    device = device_of(case.account)
    return {
        "id": case.id, "seq": case.seq, "opened": case.opened, "updated": case.updated, "status": case.status,
        "kind": case.kind, "accounts": [] if device else [case.account],
        "devices": [device, *(one for one in case.devices if one != device)] if device else case.devices,
        "posterior": round(case.posterior, 6),
        "reasons": against(case.reasons, texts), **({"shadow": against(case.shadow, texts)} if case.shadow else {}),
        "for_person": _for_person(case, shown),
        "verdicts": [{name: one[name] for name in _TOLD} for one in case.verdicts],
        "rounds": case.round, "unattended": case.unattended, "tenancies": [],
        "persons": shown.persons, "items": shown.items, "complete_records": shown.complete, "tier": tier_of(shown.items),
    }  # fmt: skip


def _for_person(case: Case, shown: Shown) -> list[dict[str, Any]]:
    """What spoke for the person at the last change of standing, and the explained looks of the span, counted exactly."""
    rows = [dict(one) for one in case.for_person if one["detector"] != "explained_looks"]
    if shown.honest:
        nats = -min(CAP_NATS, shown.honest * _NATS_OF_AN_EXPLAINED_LOOK)
        text_en, text_zh = "looks in the same span that its work explains", "同期有正常业务理由的查询"
        rows.append(contribution("explained_looks", nats, text_en, text_zh, shown.honest))
    return sorted(rows, key=lambda row: (row["nats"], row["detector"]))

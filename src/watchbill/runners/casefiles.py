"""Cases as rows of cases.ndjson: whose data the wrongful operator of a case saw, counted from the ledger as `exposure` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from watchbill.cases.case import status_of
from watchbill.cases.sheet import Sheets, Standing, gathered, kind_of_files, none_known
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
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from watchbill.cases.case import Case
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
    home: Path, cases: Iterable[Case], detectors: Iterable[DetectorBase], settings: Settings | None = None,
    standing: Callable[[str], Standing] = none_known,
) -> list[dict[str, Any]]:  # fmt: skip
    """One row a case, in order of opening; `settings` are those by which costs are reported (None: the defaults).

    Args:
        standing: account -> its step and until when, for what the person is to be told.
    """
    listed = sorted(cases, key=lambda case: (case.seq, case.id))
    if not listed:
        return []
    texts = {d.id: (d.text_en, d.text_zh) for d in detectors}
    ledger = Ledger(home)
    together = gathered(listed)
    asked = [one for files in together for one in _asked(files)]
    split, prices = split_cases(home, asked, ledger.height), settings_at(home, ledger.height).inquiry
    shown = _shown(ledger, together, split)
    policy, desk = (settings or Settings()).policy, Sheets(together, standing)
    rows = []
    for files, one in zip(together, shown, strict=True):
        row = _row(files, one, texts)
        for case in files:
            if case.id in split:
                row["tenancies"] += [run.to_json(prices) for run in split[case.id].tenancies]
            else:
                whole = Tenancy("", case.since, case.until + 1, one.looks).to_json(prices)
                row["tenancies"] += [whole | {"account": None, "device": device_of(case.account)}]
        span = max(case.until for case in files) - min(case.since for case in files)
        rows.append(row | {"by_cost": by_cost(row["posterior"], one.looks, span, policy)} | desk.of(files))
    return rows


def _asked(files: list[Case]) -> list[OneCase]:
    """The files of a case as `exposure` sees them: all of the kind, and in the span of changes, of the whole case."""
    kind = kind_of_files(files)
    opened, updated = min(case.opened for case in files), max(case.updated for case in files)
    return [
        OneCase(case.id, case.account, kind, opened, updated, case.since, case.until)
        for case in files if not device_of(case.account)
    ]  # fmt: skip


def _shown(ledger: Ledger, together: list[list[Case]], split: dict[str, Split]) -> list[Shown]:
    """What the listed looks of each case showed; the ledger is read once for all of them (once more for lone devices)."""
    cases = [case for files in together for case in files]
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
    for files in together:
        mine, good = np.zeros(0, np.int64), 0
        for case in files:
            inside = _of(looks, case.account) & (times >= case.since) & (times <= case.until)
            listed = np.isin(seqs, split[case.id].sides.listed) if case.id in split else inside & ~explained
            mine = np.union1d(mine, np.flatnonzero(listed))
            good += int(np.count_nonzero(inside & explained))
        rows.append(mine)
        honest.append(good)
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


def _row(files: list[Case], shown: Shown, texts: dict[str, tuple[str, str]]) -> dict[str, Any]:
    lead = files[0]
    lone = [device for case in files if (device := device_of(case.account))]
    shadow = _most([case.shadow for case in files])
    verdicts = {one["id"]: one for case in files for one in case.verdicts}
    return {
        "id": lead.id, "seq": lead.seq, "opened": min(case.opened for case in files),
        "updated": max(case.updated for case in files), "status": status_of(files), "kind": kind_of_files(files),
        "accounts": [case.account for case in files if not device_of(case.account)],
        "devices": list(dict.fromkeys([*lone, *(one for case in files for one in case.devices)])),
        "posterior": round(max(case.posterior for case in files), 6),
        "reasons": against(_most([case.reasons for case in files]), texts),
        **({"shadow": against(shadow, texts)} if shadow else {}),
        "for_person": _for_person(files, shown),
        "verdicts": [
            {name: one[name] for name in _TOLD}
            for one in sorted(verdicts.values(), key=lambda one: (one["seq"], one["id"]))
        ],
        "rounds": max(case.round for case in files), "unattended": sum(case.unattended for case in files),
        "tenancies": [], "persons": shown.persons, "items": shown.items, "complete_records": shown.complete,
        "tier": tier_of(shown.items),
    }  # fmt: skip


def _most(every: list[dict[str, tuple[float, int]]]) -> dict[str, tuple[float, int]]:
    """Detector -> the most nats in any file, with the records at that moment."""
    out: dict[str, tuple[float, int]] = {}
    for reasons in every:
        for name, pair in reasons.items():
            if name not in out or pair > out[name]:
                out[name] = pair
    return out


def _for_person(files: list[Case], shown: Shown) -> list[dict[str, Any]]:
    """What spoke for a person at the last change of standing (of several the strongest; `people` has each one's), and the explained looks of the span, counted exactly."""
    best: dict[str, dict[str, Any]] = {}
    for case in files:
        for one in case.for_person:
            if one["detector"] != "explained_looks" and one["nats"] <= best.get(one["detector"], one)["nats"]:
                best[one["detector"]] = dict(one)
    rows = list(best.values())
    if shown.honest:
        nats = -min(CAP_NATS, shown.honest * _NATS_OF_AN_EXPLAINED_LOOK)
        text_en, text_zh = "looks in the same span that its work explains", "同期有正常业务理由的查询"
        rows.append(contribution("explained_looks", nats, text_en, text_zh, shown.honest))
    return sorted(rows, key=lambda row: (row["nats"], row["detector"]))

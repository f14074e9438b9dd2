"""Cases as rows of cases.ndjson: whose data the unexplained looks of a case showed, counted from the ledger itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from watchbill.detectors.base import DetectorBase
from watchbill.ledger.reader import Ledger
from watchbill.records.schema import LOOKS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from watchbill.cases.book import Case

YUAN_A_RECORD: Final = 1.0
"""What a record sold for in the case that started this (shared/domain.md): about 1 yuan."""
TIER_ITEMS: Final = 2_500
"""Items at which selling data obtained through one's duty becomes "serious" (2017 interpretation, halved); counsel decides."""
_ESPECIALLY: Final = 10
_COMPLETE: Final = frozenset({"name", "phone", "address"})
_NATS_OF_AN_EXPLAINED_LOOK: Final = 0.886
"""log(.97 / .4): how much more an explained look is to be expected of honest work than of a renter who explains 40 %."""
_CAP: Final = 4.0
_COLUMNS: Final = ("account", "time", "kind", "outcome", "masked", "subjects", "fields", "shown")


def case_rows(home: Path, cases: Iterable[Case], detectors: Iterable[DetectorBase]) -> list[dict[str, Any]]:
    """One row a case, in order of opening."""
    listed = sorted(cases, key=lambda case: (case.seq, case.id))
    if not listed:
        return []
    texts = {d.id: (d.text_zh, d.text_en) for d in detectors}
    wild = _looks_by_account(home, {case.account for case in listed})
    records = _records_of(home, listed)
    return [_row(case, wild, records, texts) for case in listed]


def _records_of(home: Path, cases: list[Case]) -> pa.Table:
    """What all cases' accounts did in the time that the cases span, read in one pass."""
    accounts = sorted({case.account for case in cases})
    begin, end = min(case.since for case in cases), max(case.until for case in cases) + 1
    return Ledger(home).of_accounts(accounts, _COLUMNS, begin, end)


def _looks_by_account(home: Path, accounts: set[str]) -> dict[str, dict[int, bool]]:
    """For each account: seq -> explained, from the verdict parts."""
    out: dict[str, dict[int, bool]] = {account: {} for account in accounts}
    parts = sorted((home / "parts").glob("verdicts-*.parquet"))
    if not parts:
        return out
    names = pc.field("account").isin(sorted(accounts))
    table = ds.dataset([str(part) for part in parts]).to_table(columns=["seq", "account", "explained"], filter=names)
    for seq, account, explained in zip(*(column.to_pylist() for column in table.columns), strict=True):
        out[account][seq] = explained
    return out


def _row(case: Case, wild: dict[str, dict[int, bool]], records: pa.Table, texts: dict[str, tuple[str, str]]) -> dict[str, Any]:
    explained = wild[case.account]
    mine = (pc.field("account") == case.account) & (pc.field("time") >= case.since) & (pc.field("time") <= case.until)
    persons, items, complete, shown, honest = _exposed(records.filter(mine), explained)
    return {
        "id": case.id, "seq": case.seq, "opened": case.opened, "updated": case.updated, "status": case.status,
        "kind": case.kind, "accounts": [case.account], "devices": case.devices, "posterior": round(case.posterior, 6),
        "reasons": [
            {"detector": name, "nats": round(nats, 3), "text_zh": texts.get(name, ("", ""))[0],
             "text_en": texts.get(name, ("", ""))[1], "records": count}
            for name, (nats, count) in sorted(case.reasons.items(), key=lambda pair: -pair[1][0])
        ],
        "for_person": [] if not honest else [
            {"detector": "explained_looks", "nats": -round(min(_CAP, honest * _NATS_OF_AN_EXPLAINED_LOOK), 3),
             "text_zh": "同期有正常业务理由的查询", "text_en": "looks in the same span that its work explains",
             "records": honest}
        ],
        "tenancies": [
            {"account": case.account, "from": case.since, "until": case.until + 1, "records": shown,
             "estimated_yield": round(shown * YUAN_A_RECORD, 2)}
        ],
        "persons": persons, "items": items, "complete_records": complete, "tier": tier_of(items),
    }  # fmt: skip


def tier_of(items: int) -> str:
    """The criminal tier that a number of items reaches (a meter; counsel decides)."""
    if items >= TIER_ITEMS * _ESPECIALLY:
        return "especially serious"
    return "serious" if items >= TIER_ITEMS else "none"


def _exposed(looks: pa.Table, explained: dict[int, bool]) -> tuple[int, int, int, int, int]:
    """(persons, items, complete records, unexplained looks that revealed, explained looks) of a case's span."""
    shown: dict[str, set[str]] = {}
    records = honest = 0
    if looks.num_rows == 0:
        return 0, 0, 0, 0, 0
    looks = looks.filter(pc.is_in(looks.column("kind"), pa.array(LOOKS)))
    names = ["seq", "outcome", "masked", "subjects", "fields", "shown"]
    for seq, outcome, masked, subjects, fields, narrowed in zip(
        *(looks.column(name).to_pylist() for name in names), strict=True
    ):
        if masked or outcome not in {None, "success"}:
            continue
        if explained.get(seq, False):
            honest += 1
            continue
        records += 1
        pairs = [(one["subject"], one["fields"] or fields) for one in narrowed] if narrowed else [(s, fields) for s in subjects or []]
        for subject, names_shown in pairs:
            shown.setdefault(subject, set()).update(names_shown or [])
    bare = ({re.sub(r"^.*\.", "", name) for name in fields} for fields in shown.values())
    complete = sum(1 for fields in bare if fields >= _COMPLETE)
    return len(shown), sum(len(fields) for fields in shown.values()), complete, records, honest

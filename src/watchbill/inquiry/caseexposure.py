"""Whose data a case exposed: as `saw` over the case's accounts, without the sessions that seem to be the owner's own work.

Which sessions are left out rests on an estimate, so the answer is exact only with all sessions; else it has a lower and an upper
bound, and says what lies between. The hash names the list: whoever holds the same list gets the same hash.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchbill.cases.sheet import row_named
from watchbill.inquiry.exposed import COLUMNS, conform, exposing
from watchbill.inquiry.exposure import Gap, Saw, exposure_of
from watchbill.inquiry.lonelooks import explained_lone, lone_looks
from watchbill.inquiry.operators import case_lines
from watchbill.inquiry.tenancies import OneCase, split_cases
from watchbill.ledger.canonical import SEQ
from watchbill.ledger.reader import Ledger, Span

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from watchbill.inquiry.exposure import SeenSubject

ESTIMATED: Final = "operator_estimated"
"""Kind of the gap that says that the operator of a session is an estimate."""


@dataclass(frozen=True)
class CaseExposure:
    """What a case exposed.

    Attributes:
        case: its id. accounts: of the case. all_sessions: nothing was left out on an estimate.
        saw: the persons listed, with bounds and gaps. hash: SHA-256 of the list, see `hash_of`.
        sessions: how many are listed, between, and left out.
        listed, between: seqs of the looks of these sessions, ascending.
    """

    case: str
    accounts: list[str]
    all_sessions: bool
    saw: Saw
    hash: str
    sessions: dict[str, int]
    listed: tuple[int, ...] = ()
    between: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As `watchbill exposure --json` prints it: the fields of `saw`, and what is the case's own."""
        said = self.saw.to_json()
        return {
            **said, "case": self.case, "accounts": self.accounts, "all_sessions": self.all_sessions,
            "sessions": self.sessions, "hash": self.hash,
        }  # fmt: skip


def exposure(home: Path, case: str, *, all_sessions: bool = False, upto: int | None = None) -> CaseExposure:
    """Everything that the wrongful operator of a case saw, in the span of the case, at a height of the journal.

    Args:
        home: the home. case: the case's id. all_sessions: leave nothing out. upto: a height; None = now.

    Raises:
        NotFoundError: there is no such case at that height.
        LedgerError: the ledger is damaged, or the height is not reached.
    """
    height = Ledger(home).height if upto is None else upto
    row = _case(home, case, height)
    if not row["accounts"]:
        return _of_devices(home, row, height, all_sessions=all_sessions)
    split = split_cases(home, [case_of(row, account) for account in row["accounts"]], height)
    sides = [one.sides for one in split.values()]
    listed, between, out = (np.concatenate(side) for side in zip(*sides, strict=True))
    if all_sessions:
        listed, between, out = np.concatenate([listed, between, out]), between[:0], out[:0]
    records = _records(home, row["accounts"], np.concatenate([listed, between]), height)
    account = row["accounts"][0] if len(row["accounts"]) == 1 else ""
    sure = exposure_of(home, _with(records, listed), height, account)
    most = exposure_of(home, records, height, account)
    sessions = {name: sum(one.sessions[name] for one in split.values()) for name in ("listed", "between", "out")}
    said = _bounded(sure, most, between.shape[0], out.shape[0])
    return CaseExposure(
        case, row["accounts"], all_sessions, said, hash_of(said.subjects), sessions, _seqs(listed), _seqs(between)
    )


def _seqs(side: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(np.unique(side).tolist())


def _of_devices(home: Path, row: dict[str, Any], height: int, *, all_sessions: bool) -> CaseExposure:
    """A case of a device that looks for itself: its looks without an account that no work explains (or all of them)."""
    ledger, case = Ledger(home), case_of(row, "")
    looks = lone_looks(ledger, row["devices"], case.since, case.until + 1, height)
    bare = np.isin(looks.column(SEQ).to_numpy(), explained_lone(home), invert=True)
    listed = looks if all_sessions else looks.filter(pa.array(bare))
    said = exposure_of(home, listed, height)
    sessions = {"listed": listed.num_rows, "between": 0, "out": looks.num_rows - listed.num_rows}
    seqs = _seqs(listed.column(SEQ).to_numpy())
    return CaseExposure(row["id"], [], all_sessions, said, hash_of(said.subjects), sessions, seqs)


def _case(home: Path, case: str, height: int) -> dict[str, Any]:
    rows = [row for row in case_lines(home) if row["seq"] < height]
    return dict(row_named(rows, case, f"exposure at height {height}"))


def case_of(row: dict[str, Any], account: str) -> OneCase:
    """A row of cases.ndjson, for one of its accounts."""
    mine = [one for one in row["tenancies"] if one["account"] == account] or row["tenancies"]
    since, until = min(one["from"] for one in mine), max(one["until"] for one in mine) - 1
    return OneCase(account, account, row["kind"], row["opened"], row["updated"], since, until)


def _records(home: Path, accounts: Iterable[str], seqs: NDArray[np.int64], height: int) -> pa.Table:
    """What is exposed by these looks is in these records, in order of seq."""
    where = Span(None, None, None, tuple(sorted(accounts)))
    parts = [conform(part) for part in Ledger(home).records(COLUMNS, where, height) if part.num_rows]
    whole = pa.concat_tables([conform(pa.table({SEQ: pa.array([], pa.int64())})), *parts])
    return _with(exposing(whole), seqs)


def _with(records: pa.Table, seqs: NDArray[np.int64]) -> pa.Table:
    return records.filter(pc.is_in(records.column(SEQ), value_set=pa.array(seqs))).sort_by(SEQ)


def _bounded(sure: Saw, most: Saw, between: int, out: int) -> Saw:
    """The listed persons with the upper bound of everything that may belong to them."""
    gaps = list(most.gaps)
    if between or out:
        more = most.persons - sure.persons
        text = f"who sat there is an estimate: {out:,} looks of the owner's own work are left out (--all-sessions lists them too)"
        gaps.append(Gap(ESTIMATED, between, more, text))
    return Saw(
        account=sure.account, height=sure.height, persons=sure.persons, items=sure.items, times=sure.times,
        complete_records=sure.complete_records, complete=not gaps, lower=sure.lower, upper=most.upper, gaps=gaps,
        subjects=sure.subjects,
    )  # fmt: skip


def hash_of(subjects: Iterable[SeenSubject]) -> str:
    """SHA-256, in hex, of the list of exposed persons.

    Hashed is the JSON array of [subject, [fields, sorted]] for each person, sorted by the subject's UTF-8 bytes, without
    spaces and with characters as they are (UTF-8). Times and counts do not enter: who was exposed, and with what, does.
    """
    pairs = sorted(((one.subject, sorted(one.fields)) for one in subjects), key=lambda pair: pair[0].encode())
    text = json.dumps(pairs, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()

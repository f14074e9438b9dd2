"""The looks of an account over a span as sessions: by session id; where none is given, cut by device, address and a silent half hour.

Reads the ledger in one pass for any number of accounts, with the account's own work (scans, tickets) and the verdicts'
`explained` beside the looks. A session id that is used on two devices counts as two sessions: that is what a stolen one looks like.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from watchbill.ledger.canonical import SEQ
from watchbill.ledger.reader import Ledger, Span
from watchbill.records.columns import trailing_numbers
from watchbill.records.schema import LOOKS, SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

GAP_MS: Final = 30 * 60_000
"""Silence after which looks without a session id begin a new session."""
COLUMNS: Final = (
    "time", "kind", "account", "session", "device", "ip", "app", "waybill", "fields", "masked", "outcome",
)  # fmt: skip
_WORK: Final = ("scan", "ticket")
_PER_LOOK: Final = ("seq", "time", "waybill", "number", "mix", "failed", "shown", "explained")
_TEXTS: Final = ("session", "device", "ip")


class Session(NamedTuple):
    """One session that has looks.

    Attributes:
        session: its id, "" where the watched system gives none. device, ip: "" not said (ip: that of the first look).
        first, last: time of the first and the last look, epoch milliseconds.
    """

    session: str
    device: str
    ip: str
    first: int
    last: int


@dataclass(frozen=True)
class Activity:
    """Looks and work of one account, both in order of (time, seq).

    Attributes:
        account: the account.
        sessions: in order of first look. at: int64[n], the session of each look.
        seq, time, waybill, number, mix: int64[n]; waybill is a code shared with the work (-1 none), number the waybill's trailing
            digits (0 none), mix a code of kind, app and fields. failed, shown: bool[n], the look failed; it showed something.
        explained: int8[n], 1 yes, 0 no, -1 no verdict.
        work_time, work_waybill: int64[m]. mixes: how many mix codes there are.
    """

    account: str
    sessions: list[Session]
    at: NDArray[np.int64]
    seq: NDArray[np.int64]
    time: NDArray[np.int64]
    waybill: NDArray[np.int64]
    number: NDArray[np.int64]
    mix: NDArray[np.int64]
    failed: NDArray[np.bool_]
    shown: NDArray[np.bool_]
    explained: NDArray[np.int8]
    work_time: NDArray[np.int64]
    work_waybill: NDArray[np.int64]
    mixes: int

    def only(self, kept: Sequence[int]) -> Activity:
        """The activity with the looks of these sessions only (ascending indices), renumbered."""
        new = np.full(len(self.sessions) + 1, -1, np.int64)
        new[list(kept)] = np.arange(len(kept))
        held = new[self.at] >= 0
        rows = {name: getattr(self, name)[held] for name in _PER_LOOK}
        return replace(self, sessions=[self.sessions[k] for k in kept], at=new[self.at[held]], **rows)


class Window(NamedTuple):
    """Times in [from_ms, to_ms), epoch milliseconds; None: no limit on that side."""

    from_ms: int | None = None
    to_ms: int | None = None


def read_activity(home: Path, windows: Mapping[str, Window], upto: int | None = None) -> list[Activity]:
    """What each account did in its window, below a height of the journal; what one did never depends on the others asked.

    Raises:
        LedgerError: the ledger is damaged, or the height is not reached.
    """
    where = Span(None, _limit(windows, 0, min), _limit(windows, 1, max), tuple(sorted(windows)))
    parts = [_conform(part) for part in Ledger(home).records(COLUMNS, where, upto) if part.num_rows]
    table = pa.concat_tables([_conform(_nothing()), *parts]).combine_chunks()
    known = _verdicts(home, list(windows))
    names = table.column("account")
    out = []
    for account, window in windows.items():
        mine = Span(account, *window).rows(table.filter(pc.equal(names, account)))
        out.append(activity_of(account, mine, known))
    return out


def _limit(windows: Mapping[str, Window], side: int, pick: Callable[[Iterable[int]], int]) -> int | None:
    """The limit of all windows together; None where one of them has none."""
    limits = [window[side] for window in windows.values()]
    said = [limit for limit in limits if limit is not None]
    return pick(said) if said and len(said) == len(limits) else None


def _nothing() -> pa.Table:
    return pa.table({SEQ: pa.array([], pa.int64())})


def _conform(table: pa.Table) -> pa.Table:
    columns = {SEQ: table.column(SEQ).cast(pa.int64())}
    for name in COLUMNS:
        kind = SCHEMA.field(name).type
        held = table.column(name) if name in table.column_names else pa.nulls(table.num_rows, kind)
        columns[name] = held.cast(kind)
    return pa.table(columns)


def _verdicts(home: Path, accounts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(seq, explained) of these accounts' looks, in order of seq, from the verdict parts."""
    parts = sorted((home / "parts").glob("verdicts-*.parquet"))
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.bool_)
    data = ds.dataset([str(part) for part in parts])
    table = data.to_table(columns=["seq", "explained"], filter=pc.field("account").isin(list(accounts)))
    seqs = np.asarray(table.column("seq"), np.int64)
    order = np.argsort(seqs, kind="stable")
    return seqs[order], np.asarray(pc.fill_null(table.column("explained"), False), np.bool_)[order]


def activity_of(account: str, table: pa.Table, known: tuple[NDArray[np.int64], NDArray[np.bool_]]) -> Activity:
    """Lay out the records of one account (columns `COLUMNS` and seq, any order) with what verdicts say of its looks."""
    table = _with_logins(table.sort_by([("time", "ascending"), (SEQ, "ascending")]))
    kinds = table.column("kind")
    codes = np.asarray(
        pc.fill_null(pc.dictionary_encode(table.column("waybill")).combine_chunks().indices, -1), np.int64
    )
    is_look = np.asarray(pc.is_in(kinds, value_set=pa.array(LOOKS)), np.bool_)
    is_work = np.asarray(pc.is_in(kinds, value_set=pa.array(_WORK)), np.bool_)
    looks = table.filter(pa.array(is_look)).combine_chunks()
    time, seq = (np.asarray(looks.column(name), np.int64) for name in ("time", SEQ))
    sessions, at = cut(time, *(looks.column(name).to_pylist() for name in _TEXTS))
    mix, mixes = _mixes(looks)
    failed = pc.fill_null(pc.not_equal(looks.column("outcome"), "success"), False)
    shown = pc.and_not(pc.invert(failed), pc.fill_null(looks.column("masked"), False))
    return Activity(
        account=account, sessions=sessions, at=at, seq=seq, time=time, waybill=codes[is_look],
        number=trailing_numbers(looks.column("waybill")), mix=mix, mixes=mixes,
        failed=np.asarray(pc.fill_null(pc.equal(looks.column("outcome"), "failure"), False), np.bool_),
        shown=np.asarray(shown, np.bool_),
        explained=_said(seq, *known), work_time=np.asarray(table.column("time"), np.int64)[is_work],
        work_waybill=codes[is_work],
    )  # fmt: skip


def _with_logins(table: pa.Table) -> pa.Table:
    """Device and address of looks that name none but a session, from that session's login."""
    for name in ("device", "ip"):
        missing = pc.and_(pc.is_null(table.column(name)), pc.is_valid(table.column("session")))
        if not pc.any(missing).as_py():
            continue
        logins = table.filter(pc.and_(pc.equal(table.column("kind"), "login"), pc.is_valid(table.column(name))))
        said = dict(zip(logins.column("session").to_pylist(), logins.column(name).to_pylist(), strict=True))
        filled = pa.array([said.get(key) for key in table.column("session").to_pylist()], pa.string())
        column = pc.coalesce(table.column(name), pc.if_else(missing, filled, pa.scalar(None, pa.string())))
        table = table.set_column(table.column_names.index(name), name, column)
    return table


def _mixes(looks: pa.Table) -> tuple[NDArray[np.int64], int]:
    """(code of kind, app and fields of each look; how many codes)."""
    fields = ["|".join(sorted(names or [])) for names in looks.column("fields").to_pylist()]
    texts = pc.binary_join_element_wise(
        looks.column("kind"), pc.fill_null(looks.column("app"), ""), pa.chunked_array([pa.array(fields, pa.string())]), "\n"
    )  # fmt: skip
    encoded = pc.dictionary_encode(texts).combine_chunks()
    return np.asarray(encoded.indices, np.int64), len(encoded.dictionary)


def _said(seq: NDArray[np.int64], known: NDArray[np.int64], explained: NDArray[np.bool_]) -> NDArray[np.int8]:
    out = np.full(seq.shape[0], -1, np.int8)
    if known.shape[0] and seq.shape[0]:
        at = np.minimum(np.searchsorted(known, seq), known.shape[0] - 1)
        out = np.where(known[at] == seq, explained[at].astype(np.int8), out)
    return out


def cut(
    time: NDArray[np.int64], session: Sequence[str | None], device: Sequence[str | None], ip: Sequence[str | None]
) -> tuple[list[Session], NDArray[np.int64]]:
    """Cut looks, in order of time, into sessions.

    Args:
        time: int64[n], epoch milliseconds, ascending.
        session, device, ip: of each look, None or "" when not said.

    Returns:
        (sessions in order of their first look, int64[n] index of each look's session).
    """
    open_at: dict[tuple[str, ...], int] = {}
    found: list[list[int]] = []
    at = np.zeros(time.shape[0], np.int64)
    for i, (now, name, where, address) in enumerate(zip(time.tolist(), session, device, ip, strict=True)):
        key = (name, where or "") if name else ("", where or "", address or "")
        held = open_at.get(key, -1)
        if held < 0 or (not name and now - found[held][1] > GAP_MS):
            held = open_at[key] = len(found)
            found.append([i, now])
        found[held][1] = now
        at[i] = held
    sessions = [Session(session[i] or "", device[i] or "", ip[i] or "", int(time[i]), last) for i, last in found]
    return sessions, at

"""Planted leaks on worlds with a known truth: is the leaker found, is nobody named wrongly, does the posterior mean what it says?

A leak is drawn from what an account was really shown (records, not the index under trial), mixed with noise and written as messy lines;
or it comes from nobody who looked: noise, one outlet's or one sender's parcels, slips photographed on the round, a source whose log
is missing. The system under trial reads the lines as a file and answers from the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from watchbill.context.reference import digest, read_table
from watchbill.inquiry.attribute import NAMED_AT, Attribution, Calibration, answer_of, groups_of, shipped
from watchbill.inquiry.complaints import complained
from watchbill.inquiry.leakhits import Asked, Extra
from watchbill.inquiry.leaklist import parse_leak
from watchbill.inquiry.sightings import Found, SightingIndex, open_sightings
from watchbill.inquiry.sightrows import ACCOUNT, source_hash
from watchbill.lab.trials.calibrate import isotonic
from watchbill.ledger.frames import Frame, pack
from watchbill.ledger.journal import Journal
from watchbill.ledger.sealing import seal
from watchbill.records.schema import SCHEMA
from watchbill.runners.controls import control_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

ITEMS: Final = 20
NOISE: Final = 0.5
PAIR: Final = 50
LIKELY: Final = 0.5
"""A leaker is found when he is among the first of the ranking (as many as there are) and likelier than not."""
CUSTOMERS_MIN: Final = 20
"""Whoever was shown fewer cannot leak half of such a list."""
CALLED: Final = 10
"""Complainants whom an account saw, from which on it should be a finding."""
TRIED: Final = 12
"""Leaks planted in a world of a trial."""
FRAME_ROWS: Final = 65_536
SHARES: Final = {
    "single": 0.30, "attack": 0.10, "few": 0.20, "two": 0.08, "noise": 0.06, "popular": 0.03, "foreign": 0.03, "outlet": 0.05,
    "sender": 0.04, "day": 0.03, "slips": 0.04, "unlogged": 0.04,
}  # fmt: skip
"""Kinds of trials and how often each is drawn. In the last eight no account leaked from its looks (slips: one that held them)."""


class Parcel(NamedTuple):
    """One parcel of a world."""

    waybill: str
    recipient: str
    sender: str
    origin: str
    day: int


@dataclass(frozen=True)
class Truth:
    """What really was shown and held in a world: account -> (waybill, customer), attack -> the same, courier -> parcels."""

    shown: Mapping[str, Sequence[tuple[str, str]]]
    attacks: Mapping[str, tuple[str, Sequence[tuple[str, str]]]]
    rounds: Mapping[str, Sequence[tuple[str, str]]]
    parcels: Sequence[Parcel]
    outlets: Mapping[str, Sequence[int]]
    senders: Mapping[str, Sequence[int]]
    robots: frozenset[str]


@dataclass(frozen=True)
class Planted:
    """A list and its truth. `leakers`: accounts that it came from by looks; `holder`: who held the parcels of slips."""

    kind: str
    lines: tuple[str, ...]
    leakers: tuple[str, ...] = ()
    holder: str = ""
    without: str = ""
    by: tuple[str, ...] = ("waybill", "subject")


@dataclass(frozen=True)
class Judged:
    """One trial as it came out. `right`: the first of the ranking leaked; `named_wrong`: accounts at .99 that did not."""

    kind: str
    posterior: float
    right: bool
    found: int
    wanted: int
    named: int
    named_wrong: int
    outcome: str
    raw: float


# --- a world in a ledger -----------------------------------------------------------------------------------------------


def ledger_of(world: Path, home: Path) -> None:
    """Journal and seal a world's records with its roster, without judging them: attribution needs the record alone."""
    table = read_table("accounts", world / "reference" / "accounts.csv", "Asia/Shanghai", 1 << 24)
    sign = digest(table)
    (home / "reference").mkdir(parents=True)
    pq.write_table(table, home / "reference" / f"accounts-{sign}.parquet")
    with Journal.open(home) as journal:
        for number, path in enumerate(sorted((world / "records").glob("*.parquet"))):
            records = _stamped(pq.read_table(path))
            if not number:
                reload = [("wb.reload", {"table": "accounts", "digest": sign, "rows": table.num_rows})]
                records = pa.concat_tables([control_table(reload, records["arrival"][0].as_py(), 0), records])
            for at in range(0, records.num_rows, FRAME_ROWS):
                part = records.slice(at, FRAME_ROWS)
                journal.append(Frame(part.num_rows, int(part["arrival"][-1].as_py()), pack(part)))
            journal.commit()
    seal(home, final=True)


def _stamped(sent: pa.Table) -> pa.Table:
    time = sent["time"].to_numpy()
    got = sent["received"].fill_null(0).to_numpy() if "received" in sent.column_names else np.zeros(len(time), np.int64)
    given = {
        "source": pa.array(["records"] * len(time)),
        "arrival": pa.array(np.maximum.accumulate(np.maximum(time, got))),
    }
    columns = [
        given.get(field.name, sent[field.name] if field.name in sent.column_names else pa.nulls(len(time), field.type))
        for field in SCHEMA
    ]
    return pa.table(columns, schema=SCHEMA)


_SHOWN: Final = """
select account, attack, waybill, any_value(subjects[1]) from read_parquet('{world}/records/*.parquet')
left join read_parquet('{world}/truth/looks.parquet') t using (id)
where kind in ('view', 'search', 'export', 'print') and not coalesce(masked, false) and account is not null
  and coalesce(outcome, 'success') = 'success' and waybill is not null and len(subjects) > 0
group by all order by all
"""
_ROUNDS: Final = """
select distinct assignee, waybill from read_parquet('{world}/records/*.parquet')
where kind = 'scan' and status = 'out_for_delivery' and assignee is not null order by all
"""


def truth_of(world: Path) -> Truth:
    """Read a world's records and truth (built with `parcels=True`)."""
    db = duckdb.connect(config={"threads": 1})
    shown: dict[str, list[tuple[str, str]]] = {}
    attacks: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    # the account column of both files is the same; `using` leaves the record's
    for account, attack, waybill, customer in db.execute(_qualified(world)).fetchall():
        shown.setdefault(account, []).append((waybill, customer))
        if attack is not None:
            attacks.setdefault(f"{attack} {account}", (account, []))[1].append((waybill, customer))
    parcels = [Parcel(*row) for row in db.execute(_parcels_sql(world)).fetchall()]
    customer = {one.waybill: one.recipient for one in parcels}
    rounds: dict[str, list[tuple[str, str]]] = {}
    for courier, waybill in db.execute(_ROUNDS.format(world=world)).fetchall():
        if waybill in customer:
            rounds.setdefault(courier, []).append((waybill, customer[waybill]))
    sql = f"select account from read_csv('{world}/reference/accounts.csv', all_varchar = true) where role = 'robot'"
    robots = frozenset(row[0] for row in db.execute(sql).fetchall())
    return Truth(shown, attacks, rounds, parcels, _by(parcels, "origin"), _by(parcels, "sender"), robots)


def _parcels_sql(world: Path) -> str:
    """All parcels; where the world has no table of them, those that somebody was shown."""
    table = world / "reference" / "parcels.csv"
    if table.exists():
        return f"select waybill, recipient, sender, origin, substr(waybill, 8, 3)::int from read_csv('{table}', all_varchar = true)"
    shown = f"select distinct waybill, subjects[1] as customer from read_parquet('{world}/records/*.parquet')"
    return f"select waybill, min(customer), '', '', 0 from ({shown} where len(subjects) > 0 and waybill is not null) group by 1 order by 1"


def _qualified(world: Path) -> str:
    return (
        _SHOWN.format(world=world)
        .replace("select account,", "select t.account,")
        .replace("and account is", "and t.account is")
    )


def _by(parcels: Sequence[Parcel], name: str) -> dict[str, list[int]]:
    out: dict[str, list[int]] = {}
    for at, one in enumerate(parcels):
        out.setdefault(getattr(one, name), []).append(at)
    return out


# --- planting ----------------------------------------------------------------------------------------------------------


def plant(truth: Truth, rng: np.random.Generator, kind: str) -> Planted | None:
    """One leak of a kind; None when the world has nothing to draw it from."""
    able = [a for a in sorted(truth.shown) if len(truth.shown[a]) >= CUSTOMERS_MIN and a not in truth.robots]
    if kind in {"single", "few", "two", "unlogged"}:
        return _by_accounts(truth, rng, kind, able)
    if kind == "attack":
        names = [one for one in sorted(truth.attacks) if len(truth.attacks[one][1]) >= CUSTOMERS_MIN]
        if not names:
            return None
        account, taken = truth.attacks[names[rng.integers(len(names))]]
        return _listed(truth, rng, kind, [(account, taken, ITEMS // 2)], ITEMS // 2)
    if kind == "slips":
        names = [one for one in sorted(truth.rounds) if len(truth.rounds[one]) >= CUSTOMERS_MIN]
        courier = names[rng.integers(len(names))]
        told = _listed(truth, rng, kind, [(courier, truth.rounds[courier], ITEMS // 2)], ITEMS // 2)
        return Planted(kind, told.lines, (), courier, "", told.by)
    return _by_nobody(truth, rng, kind)


def _by_accounts(truth: Truth, rng: np.random.Generator, kind: str, able: Sequence[str]) -> Planted:
    chosen = [able[at] for at in rng.permutation(len(able))]
    if kind == "two":
        pair = [one for one in chosen if len(truth.shown[one]) >= PAIR][:2]
        return _listed(truth, rng, kind, [(one, truth.shown[one], PAIR) for one in pair], PAIR)
    account, items, noise = chosen[0], ITEMS // 2, ITEMS // 2
    if kind == "few":
        items, noise = int(rng.integers(1, 6)), int(rng.integers(0, 8))
    told = _listed(truth, rng, kind, [(account, truth.shown[account], items)], noise)
    if kind == "unlogged":
        return Planted(kind, told.lines, (), "", account, told.by)
    return told


def _by_nobody(truth: Truth, rng: np.random.Generator, kind: str) -> Planted | None:
    parcels, n = truth.parcels, ITEMS
    if kind == "foreign":
        lines = [f"1{rng.integers(3, 10)}{rng.integers(10**8, 10**9)}" for _ in range(ITEMS)]
        return Planted(kind, tuple(lines))
    if kind == "popular":
        weight = np.array([len(truth.senders[one.sender]) for one in parcels], np.float64)
        at = rng.choice(len(parcels), n, replace=False, p=weight / weight.sum())
    elif kind == "noise":
        at = rng.choice(len(parcels), n, replace=False)
    else:
        groups = truth.outlets if kind in {"outlet", "day"} else truth.senders
        names = [one for one in sorted(groups) if len(groups[one]) >= ITEMS]
        if not names:
            return None
        pool = np.array(groups[names[rng.integers(len(names))]])
        if kind == "day":
            days = np.array([parcels[at].day for at in pool])
            pool = pool[days == rng.choice(days)]
        at = rng.permutation(pool)[:n]
    return _listed(truth, rng, kind, [("", [(parcels[k].waybill, parcels[k].recipient) for k in at], len(at))], 0)


def _listed(
    truth: Truth, rng: np.random.Generator, kind: str, sources: Sequence[tuple[str, Sequence[tuple[str, str]], int]], noise: int
) -> Planted:  # fmt: skip
    records = []
    for _, held, count in sources:
        records += [held[at] for at in rng.permutation(len(held))[:count]]
    strangers = rng.choice(len(truth.parcels), noise, replace=False)
    records += [(truth.parcels[at].waybill, truth.parcels[at].recipient) for at in strangers]
    form = int(rng.integers(3))
    lines = [_messy(records[at], form, rng) for at in rng.permutation(len(records))]
    lines += [lines[at] for at in rng.integers(0, max(len(lines), 1), len(lines) // 5)]
    return Planted(kind, tuple(lines), tuple(name for name, _, _ in sources if name))


def _messy(record: tuple[str, str], form: int, rng: np.random.Generator) -> str:
    """A record as a line: waybill, customer or both; capitals, dashes, prices and names as they come."""
    waybill, customer = record
    if rng.random() < 0.3:
        waybill = f"{waybill[:2].lower()}-{waybill[2:]}" if rng.random() < 0.5 else waybill.lower()
    text = (waybill, customer, f"{waybill},{customer}")[form]
    return f"张三, {text}, {rng.integers(1, 99)}.50 元" if rng.random() < 0.5 else text


# --- judging -----------------------------------------------------------------------------------------------------------


class Without:
    """An index as if one account's looks had never been logged."""

    def __init__(self, index: SightingIndex, account: str) -> None:
        self._index, self._hidden = index, np.uint64(source_hash(account, ACCOUNT))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the index has
        return getattr(self._index, name)

    def find(self, kind: str, queries: NDArray[np.uint64], before: int | None = None) -> Found:
        """As the index's, less the account's."""
        found = self._index.find(kind, queries, before)
        keep = found.value != self._hidden
        return Found(found.query[keep], found.value[keep], found.time[keep], found.fields[keep])


def judge(index: SightingIndex, extra: Extra, planted: Planted, calibration: Calibration) -> tuple[Judged, Attribution]:
    """Ask for one planted leak."""
    leak = parse_leak("\n".join(planted.lines).encode())
    seen: Any = Without(index, planted.without) if planted.without else index
    answer = answer_of(seen, leak.items, extra, Asked(planted.by), calibration)
    first = answer.ranking[0] if answer.ranking else None
    true = {*planted.leakers, planted.holder} - {""}
    sure = [one.account for one in answer.ranking if one.posterior >= NAMED_AT]
    wrong = {one for one in [*sure, *answer.named] if one not in true}
    top = {one.account for one in answer.ranking[: max(len(planted.leakers), 1)] if one.posterior >= LIKELY}
    found = len(top & set(planted.leakers))
    raw = float(first.raw) if first else 0.0
    return (
        Judged(
            planted.kind, first.posterior if first else 0.0, bool(first and first.account in true), found, len(planted.leakers),
            len(answer.named), len(wrong), answer.outcome, raw,
        ),
        answer,
    )  # fmt: skip


# --- what it comes to --------------------------------------------------------------------------------------------------


def trials(world: Path, home: Path, seed: int, count: int, calibration: Calibration) -> list[Judged]:
    """`count` planted leaks of all kinds on one world whose ledger stands in `home`."""
    truth, index = truth_of(world), open_sightings(home)
    extra, rng = Extra(groups_of(home, index.height)), np.random.default_rng(seed)
    kinds, share = list(SHARES), np.array(list(SHARES.values()))
    out = []
    for at in rng.choice(len(kinds), count, p=share / share.sum()).tolist():
        planted = plant(truth, rng, kinds[at])
        if planted is not None:
            out.append(judge(index, extra, planted, calibration)[0])
    return out


def attribution_of(world: Path, home: Path, seed: int, count: int = TRIED) -> dict[str, int]:
    """For a trial's table: leaks of 20 items, half noise, how often the first of the ranking leaked, and names that did not."""
    truth, index = truth_of(world), open_sightings(home)
    extra, rng = Extra(groups_of(home, index.height)), np.random.default_rng(seed)
    out = {"asked": 0, "right": 0, "named": 0, "wrong": 0}
    for turn in range(count):
        planted = plant(truth, rng, "attack" if turn % 4 == 3 else "single")
        if planted is not None:
            told = judge(index, extra, planted, shipped())[0]
            out["asked"] += 1
            out["right"] += told.right
            out["named"] += told.named > 0
            out["wrong"] += told.named_wrong > 0
    return out


def complaints_of(world: Path, home: Path) -> dict[str, int]:
    """What the complaints of a world come to, counted against its truth.

    Returns:
        complaints; findings; right: those that are attacked accounts, or outlets with two of them; wanted: attacked accounts of whose
        customers `CALLED` or more complained; found: of those, how many a finding names, or their outlet.
    """
    found, truth = complained(home, note=False), truth_of(world)
    sql = f"select distinct subjects[1] from read_parquet('{world}/records/*.parquet') where kind = 'complaint'"
    called = {row[0] for row in duckdb.connect().execute(sql).fetchall()}
    groups, victims = groups_of(home, found.answer.height), dict[str, set[str]]()
    for account, taken in truth.attacks.values():
        victims.setdefault(account, set()).update(customer for _, customer in taken)
    place = {account: f"outlet {groups.get(source_hash(account, ACCOUNT), '')}" for account in victims}
    named, places = {row["who"] for row in found.findings}, list(place.values())
    wanted = [account for account, some in victims.items() if len(some & called) >= CALLED]
    right = [who for who in named if who.removeprefix("account ") in victims or places.count(who) > 1]
    seen = [account for account in wanted if {f"account {account}", place[account]} & named]
    return {
        "complaints": found.complaints, "findings": len(named), "right": len(right), "wanted": len(wanted), "found": len(seen),
    }  # fmt: skip


def calibration_error(judged: Sequence[Judged], bins: int = 10) -> float:
    """Expected calibration error of the first of each ranking: mean gap between posterior and share right, by even bins."""
    said = np.array([one.posterior for one in judged])
    right = np.array([one.right for one in judged], np.float64)
    at = np.minimum((said * bins).astype(np.int64), bins - 1)
    gaps = [abs(said[at == b].sum() - right[at == b].sum()) for b in range(bins)]
    return float(sum(gaps) / max(len(judged), 1))


def fitted(judged: Sequence[Judged]) -> tuple[list[float], list[float]]:
    """Knots (raw, posterior) by isotonic regression, each level drawn in by half a trial either way; ends at 0 and 1.

    No level is over 1 - 1 / (2 n + 2) for its n trials: so many planted leaks and no more were seen to come out right.
    """
    ordered = sorted(judged, key=lambda one: one.raw)
    raw = np.array([one.raw for one in ordered])
    smooth = isotonic(np.array([float(one.right) for one in ordered]), np.ones(len(ordered)))
    levels = np.split(np.arange(len(raw)), np.flatnonzero(np.diff(smooth)) + 1)
    knots = [0.0, *(float(raw[level].mean()) for level in levels), 1.0]
    value = [(float(smooth[level[0]]) * len(level) + 0.5) / (len(level) + 1) for level in levels]
    value = np.maximum.accumulate([0.0, *value, value[-1]]).tolist()
    rising = [at for at in range(len(knots)) if at == 0 or knots[at] > knots[at - 1]]
    return [round(knots[at], 9) for at in rising], [round(value[at], 6) for at in rising]


def counted(judged: Sequence[Judged]) -> dict[str, dict[str, Any]]:
    """By kind: trials, share of top-1 right, sources found and wanted, named, named wrongly, outcomes."""
    out: dict[str, dict[str, Any]] = {}
    for kind in SHARES:
        mine = [one for one in judged if one.kind == kind]
        if mine:
            out[kind] = {
                "trials": len(mine), "top1": sum(one.right for one in mine), "found": sum(one.found for one in mine),
                "wanted": sum(one.wanted for one in mine), "named": sum(one.named > 0 for one in mine),
                "named_wrong": sum(one.named_wrong for one in mine),
                "outcomes": {name: sum(one.outcome == name for one in mine) for name in ("named", "set", "custody", "nobody")},
            }  # fmt: skip
    return out

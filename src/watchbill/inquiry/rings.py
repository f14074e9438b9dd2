"""Given known accounts of a ring, who are the others? By the devices, lines and sessions that they share, from the ledger itself.

An account is named for what ties it, directly or over accounts already named, to the known ones. A tie weighs the more the
fewer accounts share it (1 / ln(5 + k), as the detector of rings), more again when the accounts took turns without one shared
hour. Registered devices, office networks, carrier NAT and VPN tie nobody, nor do people of one outlet among themselves.
The score is a strength of evidence from 0 to 1, not a probability of guilt: a person decides.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchbill.inquiry.inforce import InForce, in_force, post_of
from watchbill.ledger.reader import Ledger, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

HOUR_MS: Final = 3_600_000
ROUNDS_MAX: Final = 4
"""How far a chain is followed: known, named over one tie, over two ..."""
CROWD: Final = 40
"""What more accounts than these share says nothing."""
TIES_MAX: Final = 10_000
NAMED_AT: Final = 0.5
WEIGHT: Final = {"session": (0.9, 0.9), "device": (0.9, 0.6), "line": (0.45, 0.25)}
"""How sure a tie between two accounts is: with no shared hour, with one. One line alone names nobody."""
KINDS: Final = {"device": "device", "ip": "line", "session": "session"}
_LINES: Final = (3, 4)
_COLUMNS: Final = ("account", "device", "ip", "session", "kind", "time", "outcome")
_ENTERED: Final = ("login", "view", "search", "export", "print")


class Tie(NamedTuple):
    """What accounts may share: kind (device, line, session) and its value."""

    kind: str
    value: str


class Use(NamedTuple):
    """One account's use of a tie in one epoch hour."""

    tie: Tie
    account: str
    hour: int


@dataclass(frozen=True)
class Named:
    """One account: its score (0-1), first and last use of what it shares (epoch ms, hours), and why in words."""

    account: str
    score: float
    outlet: str
    first: int
    last: int
    reasons: tuple[str, ...]


@dataclass
class Ring:
    """The answer: who is named, and who was only seen near (under `NAMED_AT`); `height`: what it stands on."""

    accounts: tuple[str, ...]
    height: int
    named: list[Named] = field(default_factory=list)
    near: list[Named] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain data, as `watchbill ring --json` prints it."""
        return asdict(self)


def ring(home: Path, accounts: Sequence[str], from_ms: int | None = None, to_ms: int | None = None) -> Ring:
    """Name the others of a ring.

    Args:
        accounts: those that are known. from_ms, to_ms: looks and logins in [from_ms, to_ms), epoch milliseconds.

    Raises:
        LedgerError: the ledger is damaged.
    """
    ledger = Ledger(home)
    seen: set[str] = set()
    ties: set[Tie] = set()
    uses: set[Use] = set()
    front = set(accounts)
    tables = InForce()
    for _ in range(ROUNDS_MAX):
        seen |= front
        found = ties_of(ledger, sorted(front), from_ms, to_ms) - ties
        tables = in_force(home, ledger.height, sorted(seen), sorted(tie.value for tie in found if tie.kind == "device"))
        found = {tie for tie in found if may_tie(tie, tables)}
        ties |= set(sorted(found)[: max(0, TIES_MAX - len(ties))])
        uses |= uses_of(ledger, found & ties, from_ms, to_ms)
        front = {use.account for use in uses if use.tie in found} - seen
        if not front:
            break
    everybody = sorted({use.account for use in uses} | set(accounts))
    posts = in_force(home, ledger.height, everybody, []).posts
    now = max((use.hour * HOUR_MS for use in uses), default=0)
    outlets = {name: post.outlet if (post := post_of(posts.get(name, []), now)) else "" for name in everybody}
    return named(tuple(accounts), ledger.height, uses, outlets)


def others(home: Path, accounts: Sequence[str]) -> list[str]:
    """The accounts that `ring` names, the surest first."""
    return [one.account for one in ring(home, accounts).named]


def may_tie(tie: Tie, tables: InForce) -> bool:
    """Whether sharing it can mean anything: no registered device, and of addresses only home lines and data centres."""
    if tie.kind == "device":
        return tables.devices is None or tie.value not in tables.devices
    if tie.kind == "line":
        place = int(tables.networks.place_of(pa.chunked_array([[tie.value]], pa.string()))[0])
        return place >= 0 and int(tables.networks.kind[place]) in _LINES
    return True


def _entered(table: pa.Table) -> pa.Table:
    """Looks and logins that succeeded, with an account."""
    keep = pc.is_in(table.column("kind"), value_set=pa.array(_ENTERED))
    keep = pc.and_(keep, pc.is_valid(table.column("account")))
    keep = pc.and_(keep, pc.equal(pc.coalesce(table.column("outcome"), "success"), "success"))
    return table.filter(keep)


def ties_of(ledger: Ledger, accounts: Sequence[str], from_ms: int | None, to_ms: int | None) -> set[Tie]:
    """Devices, addresses and sessions that the accounts were used on."""
    out: set[Tie] = set()
    for table in ledger.records(_COLUMNS, Span(None, from_ms, to_ms, tuple(accounts))):
        rows = _entered(table)
        for column, kind in KINDS.items():
            out |= {Tie(kind, value) for value in pc.unique(rows.column(column)).to_pylist() if value}
    return out


def uses_of(ledger: Ledger, ties: Iterable[Tie], from_ms: int | None, to_ms: int | None) -> set[Use]:
    """Who used the ties, hour by hour."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for tie in ties:
        wanted[tie.kind].append(tie.value)
    out: set[Use] = set()
    if not wanted:
        return out
    for table in ledger.records(_COLUMNS, Span(None, from_ms, to_ms)):
        rows = _entered(table)
        for column, kind in KINDS.items():
            part = rows.filter(pc.is_in(rows.column(column), value_set=pa.array(wanted.get(kind, []), pa.string())))
            hours = pa.array(np.asarray(part.column("time")) // HOUR_MS)
            uniq = pa.table({"value": part.column(column), "account": part.column("account"), "hour": hours})
            for row in uniq.group_by(["value", "account", "hour"]).aggregate([]).to_pylist():
                out.add(Use(Tie(kind, row["value"]), row["account"], row["hour"]))
    return out


@dataclass
class _Shared:
    """A tie that counts: its accounts with their hours, and whether no two of them share an hour."""

    tie: Tie
    hours: dict[str, set[int]]
    in_turn: bool
    weight: float
    outlets: int


def _shared(uses: Iterable[Use], outlets: dict[str, str]) -> list[_Shared]:
    hours: dict[Tie, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for use in uses:
        hours[use.tie][use.account].add(use.hour)
    out = []
    for tie in sorted(hours):
        mine = hours[tie]
        homes = {outlets.get(account, "") for account in mine}
        # off the roster ("") is nobody's colleague
        if not 1 < len(mine) <= CROWD or (len(homes) == 1 and "" not in homes):
            continue
        in_turn = sum(map(len, mine.values())) == len(set().union(*mine.values()))
        weight = WEIGHT[tie.kind][0 if in_turn else 1] * float(np.log(7.0) / np.log(5.0 + len(mine)))
        out.append(_Shared(tie, dict(mine), in_turn, weight, len(homes)))
    return out


def named(accounts: tuple[str, ...], height: int, uses: Iterable[Use], outlets: dict[str, str]) -> Ring:
    """Score everybody who shares a tie with a known account, or over a chain of named ones.

    A known account has score 1; another's is 1 minus the product over its ties of (1 - weight * best score of the others
    there), repeated along the chain. Ties and accounts are taken in order of their names, so that the answer is fixed.

    Args:
        uses: hour by hour. outlets: account -> outlet, "" where the roster does not hold it.
    """
    ties = _shared(uses, outlets)
    score = dict.fromkeys(accounts, 1.0)
    for _ in range(ROUNDS_MAX):
        missed: dict[str, float] = defaultdict(lambda: 1.0)
        for one in ties:
            for account in one.hours:
                best = max((score.get(other, 0.0) for other in one.hours if other != account), default=0.0)
                missed[account] *= 1.0 - one.weight * best
        score = {account: 1.0 - left for account, left in missed.items()} | dict.fromkeys(accounts, 1.0)
    answer = Ring(accounts, height)
    for account in sorted(score, key=lambda name: (-score[name], name)):
        if account not in accounts and score[account] > 0:
            who = _named(account, score, ties, outlets)
            (answer.named if score[account] >= NAMED_AT else answer.near).append(who)
    return answer


def _named(account: str, score: dict[str, float], ties: list[_Shared], outlets: dict[str, str]) -> Named:
    mine = [one for one in ties if account in one.hours]
    reasons = []
    for one in sorted(mine, key=lambda tie: (-tie.weight, tie.tie)):
        beside = sorted((o for o in one.hours if o != account), key=lambda name: (-score.get(name, 0.0), name))
        turns = "one after another, no hour shared" if one.in_turn else "also in the same hour"
        reasons.append(
            f"{one.tie.kind} {one.tie.value}: {len(one.hours)} accounts of {one.outlets} outlets, {turns}; with "
            f"{', '.join(beside[:5])}{' ...' if len(beside) > 5 else ''}"  # noqa: PLR2004 - enough names for a line
        )
    hours = [hour for one in mine for hour in one.hours[account]]
    return Named(
        account, round(score[account], 3), outlets.get(account, ""), min(hours) * HOUR_MS, (max(hours) + 1) * HOUR_MS,
        tuple(reasons),
    )  # fmt: skip

"""Who sat there: per session of an account, the probability that it was the owner at his own work.

An estimate, never a proof. The other side holds both somebody else under the owner's number and the owner at something that is
not his work: from the log alone the two cannot be told apart where device and address are his own. Where the number is shared by
several persons, or a session holds too little, the answer is "cannot tell".

Two operators within one account: what is usual for the owner is learned from his other sessions, weighed by the probability that
he sat there (expectation-maximisation, a few rounds from his past before the case); how likely each level of a trait is under
either operator comes from `operators.json`, fitted on tuned worlds of the lab (benchmarks/operators.py --fit), shrunk and monotone.
Sessions next to each other on one device pull each other: the same device is nearly always the same operator.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from watchbill.core.errors import LedgerError
from watchbill.inquiry.inforce import InForce, in_force, persons_at, settings_at
from watchbill.inquiry.sessions import Activity, Session, Window, read_activity
from watchbill.inquiry.traits import AFTER_MS, LEVELS, TRAITS, Habits, Traits
from watchbill.ledger.reader import Ledger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

DAY_MS: Final = 86_400_000
ROUNDS: Final = 5
PAST_MIN: Final = 5
"""Sessions before the case from which the past alone is where learning begins."""
LITTLE_LOOKS: Final = 3
LITTLE_NATS: Final = 3.0
"""A session of under so many looks is judged only when the evidence for either side is at least so strong."""
NATS_MAX: Final = 6.0
"""No sum of evidence counts for more: the lab is not the world."""
SHARED, LITTLE = "shared", "little"
WHY_NOT: Final = {
    SHARED: ("several persons hold this number", "这个工号由多人共用"),
    LITTLE: ("too little in it", "查询太少,无法判断"),
}
TEXTS: Final[dict[str, tuple[str, str, str, str]]] = {
    "device": ("a device that is not the owner's", "非本人设备", "the owner's device", "本人常用设备"),
    "place": ("a place where the owner is not", "非本人常在地点", "the owner's usual place", "本人常在地点"),
    "reason": ("looks that no work explains", "无业务理由的查询", "looks that work explains", "查询有业务理由"),
    "work": ("no work of his own at these parcels", "对所查快件没有后续操作", "works on the parcels that were looked at", "查后有实际操作"),
    "elsewhere": ("the owner worked elsewhere meanwhile", "本人同时在别处作业", "the work meanwhile is at these parcels", "同时作业的正是所查快件"),
    "overlap": ("at the same minute as the owner's device", "与本人设备同时在用", "no other device at the same time", "没有其他设备同时在用"),
    "hour": ("hours when the owner seldom looks", "非本人惯常时段", "the owner's usual hours", "本人惯常时段"),
    "shift": ("outside the shift", "不在班次内", "within the shift", "在班次内"),
    "rhythm": ("faster than the owner", "查询节奏快于本人", "the owner's pace", "与本人节奏一致"),
    "spread": ("more regular than the owner", "查询间隔过于均匀", "as uneven as the owner", "查询间隔与本人一样不均匀"),
    "mix": ("kinds of query that the owner seldom makes", "本人很少用的查询方式", "the owner's kinds of query", "本人惯用的查询方式"),
    "walk": ("waybill numbers one after another", "按单号连续查询", "parcels in no sequence", "单号无连续性"),
    "failed": ("numbers that lead nowhere", "大量查无此单", "numbers that exist", "单号真实存在"),
    "neighbours": ("sessions beside it on this device", "同一设备相邻会话可疑", "sessions beside it on this device", "同一设备相邻会话正常"),
    "prior": ("before any evidence", "先验", "before any evidence", "先验"),
}  # fmt: skip
"""Trait: what it says against the owner's being there (en, zh), and for it (en, zh)."""


class Odds(NamedTuple):
    """The shipped table.

    Attributes:
        nats: trait -> log-likelihood ratio of each level, owner over other. hours: habits of roles.
        plain, before, within, after: prior log odds of a session without a case, and before, in and after a case's span.
        kept, registered, shared: probability that two neighbouring sessions of a device have one operator: a private
            device, a registered one, one that several people use. scale, offset: final calibration of the log odds.
    """

    nats: Mapping[str, tuple[float, ...]]
    habits: Habits
    plain: float
    before: float
    within: float
    after: float
    kept: float
    registered: float
    shared: float
    scale: float
    offset: float


@dataclass(frozen=True)
class Reason:
    """Signed evidence in nats, positive for the owner; text in English and Chinese."""

    trait: str
    nats: float
    text_en: str
    text_zh: str


@dataclass(frozen=True)
class Judged:
    """One session with the probability that the owner sat there at his own work.

    Attributes:
        session: its id, "" where the system gives none. device, ip: "" not said. first, last: epoch milliseconds.
        looks, unexplained: counts (unexplained: among looks that have a verdict).
        owner: 0-1, None when it cannot be told; then `cannot_tell` says why.
        reasons: signed nats, the strongest first.
    """

    session: str
    device: str
    ip: str
    first: int
    last: int
    looks: int
    unexplained: int
    owner: float | None
    cannot_tell: str = ""
    reasons: list[Reason] = field(default_factory=list)


@dataclass(frozen=True)
class Operators:
    """The sessions of an account in order of time, as of a height; `judged[k]` is `activity.sessions[k]`."""

    account: str
    height: int
    judged: list[Judged]
    activity: Activity

    def cut_to(self, from_ms: int | None, to_ms: int | None) -> Operators:
        """Only the sessions with a look in [from_ms, to_ms)."""
        low, high = from_ms if from_ms is not None else 0, to_ms if to_ms is not None else np.iinfo(np.int64).max
        kept = [k for k, one in enumerate(self.judged) if one.last >= low and one.first < high]
        return Operators(self.account, self.height, [self.judged[k] for k in kept], self.activity.only(kept))


class CaseSpan(NamedTuple):
    """The span of a case of the account: [since, until], epoch milliseconds."""

    since: int
    until: int

    @staticmethod
    def around(opened: int, updated: int) -> CaseSpan:
        """The span in which a case makes another operator likelier: a day before it was opened to a day after its last change.

        Not from the first unexplained look on: that may be an honest slip of weeks ago.
        """
        return CaseSpan(opened - DAY_MS, updated + DAY_MS)


@cache
def shipped_odds() -> Odds:
    """The table that comes with this release (`operators.json`; docs/investigate.md says how it was made)."""
    path = Path(__file__).with_name("operators.json")
    return odds_of(json.loads(path.read_text(encoding="utf-8")))


def odds_of(data: Mapping[str, Any]) -> Odds:
    """The table from its JSON form."""
    nats = {name: tuple(float(value) for value in data["nats"][name]) for name in TRAITS}
    for name, size in LEVELS.items():
        if len(nats[name]) != size:
            raise ValueError(f"operators.json: {name} has {len(nats[name])} levels, not {size}")
    hours = {role: np.array(shares, np.float64) for role, shares in data["hours"].items()}
    return Odds(nats, Habits(hours), **{name: float(data[name]) for name in Odds._fields[2:]})


def judge(
    activity: Activity, around: InForce, odds: Odds, span: CaseSpan | None = None, *, offset_ms: int = 0
) -> list[Judged]:
    """Judge every session of an account; pure: the same looks and tables give the same answer.

    Args:
        activity: the account's looks and work, its past with it. around: tables in force. odds: the table.
        span: of the account's case, when there is one. offset_ms: local time less UTC, for hours of the day.
    """
    sessions = activity.sessions
    if not sessions:
        return []
    traits = Traits(activity, around, odds.habits, offset_ms)
    levels = converged(traits, odds, span)
    terms = nats_of(levels, odds)
    beside = neighbours(traits, odds, terms.sum(axis=1))
    prior = priors(sessions, odds, span)
    total = _total(terms.sum(axis=1), beside, prior, odds)
    unexplained = traits.count(activity.explained == 0)
    out = []
    for s, session in enumerate(sessions):
        said = {**dict(zip(TRAITS, terms[s].tolist(), strict=True)), "neighbours": float(beside[s])}
        said = {name: value * odds.scale for name, value in said.items()} | {
            "prior": float(prior[s]) * odds.scale + odds.offset
        }
        cannot = _cannot(traits, s, float(total[s]))
        owner = None if cannot else float(_probability(total[s : s + 1])[0])
        out.append(Judged(*session, int(traits.n[s]), int(unexplained[s]), owner, cannot, reasons_of(said)))
    return out


def _cannot(traits: Traits, s: int, total: float) -> str:
    """Why a session cannot be judged, "" when it can."""
    session = traits.activity.sessions[s]
    if persons_at(traits.posts, session.first) > 1 or persons_at(traits.posts, session.last) > 1:
        return SHARED
    return LITTLE if traits.n[s] < LITTLE_LOOKS and abs(total) < LITTLE_NATS else ""


def converged(traits: Traits, odds: Odds, span: CaseSpan | None) -> NDArray[np.int64]:
    """Levels after a few rounds of learning the owner's habits from the sessions that seem his; int64[s, traits]."""
    sessions = traits.activity.sessions
    prior = priors(sessions, odds, span)
    first = np.array([session.first for session in sessions])
    owner = np.full(len(sessions), 0.9)
    if span is not None:
        past = first < span.since
        owner = np.where(past, 0.95, 0.0 if np.count_nonzero(past) >= PAST_MIN else 0.5)
    levels = traits.levels(owner)
    for _ in range(ROUNDS):
        evidence = nats_of(levels, odds).sum(axis=1)
        owner = _probability(_total(evidence, neighbours(traits, odds, evidence), prior, odds))
        levels = traits.levels(owner)
    return levels


def nats_of(levels: NDArray[np.int64], odds: Odds) -> NDArray[np.float64]:
    """float64[s, traits]: evidence of each trait, 0 where it says nothing."""
    out = np.zeros(levels.shape)
    for column, name in enumerate(TRAITS):
        table = np.array([*odds.nats[name], 0.0])
        out[:, column] = table[levels[:, column]]
    return out


def priors(sessions: Sequence[Session], odds: Odds, span: CaseSpan | None) -> NDArray[np.float64]:
    """float64[s]: prior log odds that the owner sat there."""
    if span is None:
        return np.full(len(sessions), odds.plain)
    first, last = (np.array([getattr(session, name) for session in sessions]) for name in ("first", "last"))
    return np.where(last < span.since, odds.before, np.where(first > span.until, odds.after, odds.within))


def neighbours(traits: Traits, odds: Odds, evidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[s]: what the sessions beside it on the same device say, by the forward-backward recursion of a two-state chain.

    Args:
        evidence: float64[s], log-likelihood ratio of each session by itself.

    Source: Rabiner 1989, "A tutorial on hidden Markov models", in log odds.
    """
    sessions, codes = traits.activity.sessions, traits.devices
    out = np.zeros(len(sessions))
    for code in np.unique(codes[codes >= 0]).tolist():
        chain = np.flatnonzero(codes == code)
        same = np.array(
            [_same(traits, odds, a, b) for a, b in zip(chain[:-1].tolist(), chain[1:].tolist(), strict=True)]
        )
        forward = backward = 0.0
        for k in range(1, chain.shape[0]):
            forward = _message(evidence[chain[k - 1]] + forward, same[k - 1])
            out[chain[k]] += forward
        for k in range(chain.shape[0] - 2, -1, -1):
            backward = _message(evidence[chain[k + 1]] + backward, same[k])
            out[chain[k]] += backward
    return out


def _message(log_odds: float, same: float) -> float:
    """Log odds that a neighbour passes on, when both have one operator with probability `same`."""
    p = 1.0 / (1.0 + np.exp(-np.clip(log_odds, -NATS_MAX * 4, NATS_MAX * 4)))
    return float(np.log((same * p + (1 - same) * (1 - p)) / ((1 - same) * p + same * (1 - p))))


def _same(traits: Traits, odds: Odds, a: int, b: int) -> float:
    """Probability that two neighbouring sessions of one device have one operator; fades to a half within weeks."""
    sessions = traits.activity.sessions
    row = (traits.around.devices or {}).get(sessions[a].device)
    same = odds.kept if row is None else odds.shared if row.shared else odds.registered
    days = max(0, sessions[b].first - sessions[a].last) / DAY_MS
    return float(0.5 + (same - 0.5) * np.exp(-days / 7.0))


def _total(
    evidence: NDArray[np.float64], beside: NDArray[np.float64], prior: NDArray[np.float64], odds: Odds
) -> NDArray[np.float64]:
    return np.clip(odds.scale * (evidence + beside + prior) + odds.offset, -NATS_MAX, NATS_MAX)


def _probability(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    out: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-log_odds))
    return out


def reasons_of(nats: Mapping[str, float]) -> list[Reason]:
    """Signed reasons in words, the strongest first; what says nothing is left out."""
    out = []
    for trait, value in sorted(nats.items(), key=lambda item: (-abs(item[1]), item[0])):
        if round(value, 2):
            against_en, against_zh, for_en, for_zh = TEXTS[trait]
            out.append(
                Reason(trait, round(value, 3), for_en if value > 0 else against_en, for_zh if value > 0 else against_zh)
            )
    return out


# --- from a home -------------------------------------------------------------------------------------------------------


def operators_of(
    home: Path, account: str, from_ms: int | None = None, to_ms: int | None = None, upto: int | None = None
) -> Operators:
    """Judge the sessions of an account that have a look in [from_ms, to_ms), with `inquiry.past_days` before them to learn from.

    Raises:
        LedgerError: the ledger is damaged, or the height is not reached.
    """
    height = Ledger(home).height if upto is None else upto
    asked = Asked(case_spans(home, height).get(account), Window(from_ms, to_ms))
    return operators_of_all(home, {account: asked}, height)[0].cut_to(from_ms, to_ms)


class Asked(NamedTuple):
    """What is asked of an account: the span of its case, if it has one, and the times asked about."""

    span: CaseSpan | None
    window: Window


def ask_case(span: CaseSpan) -> Asked:
    """Ask about the whole span of a case."""
    return Asked(span, Window(span.since, span.until + 1))


def operators_of_all(home: Path, asked: Mapping[str, Asked], height: int) -> list[Operators]:
    """As `operators_of` for several accounts in one pass over the ledger; the sessions of the past stay among the judged."""
    settings = settings_at(home, height)
    past = int(settings.inquiry.past_days * DAY_MS)
    windows = {
        account: Window(
            None if one.window.from_ms is None else one.window.from_ms - past,
            None if one.window.to_ms is None else one.window.to_ms + AFTER_MS,
        )
        for account, one in asked.items()
    }
    found = read_activity(home, windows, height)
    devices = sorted({session.device for activity in found for session in activity.sessions if session.device})
    around = in_force(home, height, list(asked), devices)
    odds, offset = shipped_odds(), local_offset_ms(settings.time_zone)
    return [
        Operators(a.account, height, judge(a, around, odds, asked[a.account].span, offset_ms=offset), a) for a in found
    ]


def local_offset_ms(zone: str = "Asia/Shanghai") -> int:
    """Local time of a zone less UTC, in winter: habits are by the hour, so an hour of summer time does not matter."""
    moment = datetime(2025, 1, 1, tzinfo=UTC).astimezone(ZoneInfo(zone)).utcoffset()
    return moment // timedelta(milliseconds=1) if moment is not None else 0


def case_spans(home: Path, height: int) -> dict[str, CaseSpan]:
    """The span of each account's cases that were opened below a height, from what the runner last wrote."""
    found: dict[str, CaseSpan] = {}
    for row in case_lines(home):
        span = CaseSpan.around(row["opened"], row["updated"])
        for account in row["accounts"] if row["seq"] < height else ():
            held = found.get(account, span)
            found[account] = CaseSpan(min(held.since, span.since), max(held.until, span.until))
    return found


def case_lines(home: Path) -> list[dict[str, Any]]:
    """The rows of cases.ndjson as the runner last wrote them.

    Raises:
        LedgerError: the file is damaged.
    """
    path = home / "cases.ndjson"
    try:
        lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
        return [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise LedgerError(
            "cannot be read", where=path.name, todo="the runner's next checkpoint writes it anew"
        ) from error


def sessions_of(home: Path, account: str) -> list[tuple[str, float]]:
    """(session id, probability of the owner) of the sessions that can be judged; one id on two devices: the lower one."""
    found: dict[str, float] = {}
    for one in operators_of(home, account).judged:
        if one.session and one.owner is not None:
            found[one.session] = min(one.owner, found.get(one.session, 1.0))
    return sorted(found.items())


def to_json(said: Operators) -> dict[str, Any]:
    """As `watchbill operators --json` prints it."""
    return {"account": said.account, "height": said.height, "sessions": [asdict(one) for one in said.judged]}

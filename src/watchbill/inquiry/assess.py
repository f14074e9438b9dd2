"""First day at a customer: what a day of logs is worth, before anybody is judged by it.

Reads batches once, with the engine's own context and detectors in memory; nothing is written and nobody is stepped on.
What is odd about the data is a finding about the data: an account missing from the roster, or late in it, is no leaver.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from watchbill.context.roster import EARLY, ENDED, UNKNOWN
from watchbill.inquiry.survey import Join, Survey
from watchbill.inquiry.walk import Walk
from watchbill.records.columns import columns_of
from watchbill.records.limits import DEFAULT_LIMITS, RecordLimits
from watchbill.records.validate import stamp_arrival

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pyarrow as pa
    from numpy.typing import NDArray

    from watchbill.core.settings import Settings
    from watchbill.detectors.base import DetectorBase
    from watchbill.records.batch import Batch

DAY_MS: Final = 86_400_000
FAR_KM: Final = 50.0
SILENCE_DAYS: Final = 3
"""An ended account that looks again after so many days without a look came back; before that it worked on."""
SCREEN_LOOKS_MIN: Final = 20
SCREEN_NATS: Final = 11.5
"""Evidence of looks without a reason from which an account's history is not learned from before somebody has looked."""
SCREEN_HOURS: Final = 2
"""Hours of far too many looks from which it is not: one is an export, or a shelf that was cleared."""
SCREEN_SHARE: Final = 0.3
"""Unexplained share over the median of its role from which an account stands out."""
SCREEN_TIMES: Final = 5.0
"""Looks a day, in medians of its role, from which an account stands out."""
SCREEN_PEERS_MIN: Final = 5
OPEN, CLOSED, LITTLE = "open", "closed", "too little"


@dataclass(frozen=True)
class Coverage:
    """Reason coverage of a role (outlet "" = the role as a whole): median over accounts of the explained share.

    `gate` is open, closed (under coverage_min: no step may rest on reasons) or "too little" to say, which keeps it closed.
    """

    role: str
    outlet: str
    accounts: int
    looks: int
    explained: float | None
    gate: str


@dataclass(frozen=True)
class Detector:
    """One detector: `silent` says why it says nothing, "" when it works."""

    id: str
    family: str
    silent: str


@dataclass(frozen=True)
class Screen:
    """An account to look at before its history is learned from, and why."""

    account: str
    role: str
    looks: int
    why: list[str]


@dataclass(frozen=True)
class Finding:
    """Something odd about the data, counted; never an alarm against a person."""

    kind: str
    count: int
    text: str


@dataclass
class Assessment:
    """What `watchbill assess` says. Times are epoch milliseconds; shares are 0-1."""

    records: dict[str, int] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)
    first: int | None = None
    last: int | None = None
    accounts: int = 0
    looks: int = 0
    fields: dict[str, dict[str, float]] = field(default_factory=dict)
    joins: list[Join] = field(default_factory=list)
    detectors: list[Detector] = field(default_factory=list)
    coverage: list[Coverage] = field(default_factory=list)
    roster: dict[str, Any] = field(default_factory=dict)
    shared: dict[str, int] = field(default_factory=dict)
    clock: dict[str, int] = field(default_factory=dict)
    quarantine: dict[str, int] = field(default_factory=dict)
    screen: list[Screen] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain data, as `watchbill assess --json` prints it."""
        return {**asdict(self), "joins": [join.to_json() for join in self.joins]}


def assess(
    batches: Iterable[Batch], reference: dict[str, pa.Table], settings: Settings, *,
    limits: RecordLimits = DEFAULT_LIMITS, progress: Callable[[int], None] = lambda _records: None,
) -> Assessment:  # fmt: skip
    """Assess logs against reference tables (typed by `context.reference.read_table`).

    Args:
        batches: in order of arrival; `arrival` is stamped here, as a replay would.
        reference: table name -> table; what is absent costs power and is said.
        settings: of the engine. limits: of the arrival clock. progress: called with the records read so far.

    Raises:
        LimitError: more accounts or outlets than the settings allow.
    """
    survey, walk, clock, done = Survey(), Walk(settings, reference), 0, 0
    for batch in batches:
        stamped = stamp_arrival(batch.table, clock, live_now=None, limits=limits)
        batch.table = stamped.table
        kept = batch.refuse(stamped.reasons)
        clock = max(clock, stamped.arrival)
        survey.refuse(kept.quarantined)
        columns = columns_of(kept.table.combine_chunks(), done)
        survey.take(columns)
        walk.take(columns)
        done += len(columns)
        progress(done)
    return _concluded(survey, walk, reference, settings)


def _concluded(survey: Survey, walk: Walk, reference: dict[str, pa.Table], settings: Settings) -> Assessment:
    coverage = coverage_of(walk, settings)
    out = Assessment(
        records=survey.by_kind(), sources=dict(survey.sources), first=survey.first or None, last=survey.last or None,
        accounts=int(walk.seen().shape[0]), looks=survey.looks, fields=survey.fields(),
        joins=[*survey.joins(reference), *_walked_joins(walk, reference)], coverage=coverage,
        detectors=detectors_of(survey, walk, coverage, settings), roster=roster_of(survey, walk, reference),
        shared=_shared(walk), clock=survey.clock(), quarantine=dict(survey.reasons.most_common()),
        screen=screened(walk, coverage),
    )  # fmt: skip
    out.findings = _findings(out)
    return out


# --- joins, coverage ---------------------------------------------------------------------------------------------------


def _walked_joins(walk: Walk, reference: dict[str, pa.Table]) -> list[Join]:
    habits = walk.habits[walk.seen()]
    looks, unknown = int(habits["looks"].sum()), int(habits["status"][:, UNKNOWN].sum())
    roster = "" if "accounts" in reference else "no accounts table"
    networks = "" if "networks" in reference else "no networks table"
    return [
        Join("looks' accounts in the roster", looks, 0 if roster else looks - unknown, roster),
        Join("addresses of looks and logins in the networks table", walk.places[0], walk.places[1], networks),
    ]


def coverage_of(walk: Walk, settings: Settings) -> list[Coverage]:
    """Coverage of each role, then of each role at each outlet, as the engine's gate judges it (without its decay)."""
    habits = walk.habits[walk.seen()]
    habits = habits[habits["first"] > 0]
    out: list[Coverage] = []
    roles, outlets = walk.context.roles, walk.context.outlets.names
    for role in np.unique(habits["role"]).tolist():
        mine = habits[habits["role"] == role]
        out.append(_one_coverage(mine, roles[role], "", settings))
    for role, outlet in np.unique(habits[["role", "outlet"]]).tolist():
        if outlet >= 0:
            mine = habits[(habits["role"] == role) & (habits["outlet"] == outlet)]
            out.append(_one_coverage(mine, roles[role], outlets[outlet], settings))
    return out


def _one_coverage(habits: NDArray[np.void], role: str, outlet: str, settings: Settings) -> Coverage:
    gates = settings.gates
    steady = habits[habits["first"] >= _LOOKS_MIN]
    looks = int(habits["first"].sum())
    if steady.shape[0] == 0:
        return Coverage(role, outlet, habits.shape[0], looks, None, LITTLE)
    share = np.sort(steady["explained"] / steady["first"])
    median = float(share[(share.shape[0] - 1) // 2])
    enough = steady.shape[0] >= gates.coverage_accounts_min and int(steady["first"].sum()) >= gates.coverage_looks_min
    gate = (OPEN if median >= gates.coverage_min else CLOSED) if enough else LITTLE
    return Coverage(role, outlet, habits.shape[0], looks, round(median, 4), gate)


_LOOKS_MIN: Final = 5
"""First looks from which an account's own share counts, as in the engine's gate."""


# --- detectors ---------------------------------------------------------------------------------------------------------


def detectors_of(survey: Survey, walk: Walk, coverage: list[Coverage], settings: Settings) -> list[Detector]:
    """Every detector, and why it is silent on these logs."""
    out = [Detector(d.id, d.family, d.silent(walk.around) or _unfed(d, survey, coverage)) for d in walk.detectors]
    out += [Detector(name, "", "switched off (detectors_off)") for name in settings.detectors_off]
    return sorted(out, key=lambda one: one.id)


def _unfed(detector: DetectorBase, survey: Survey, coverage: list[Coverage]) -> str:
    """What the logs lack for a detector ("" when nothing)."""
    if not survey.looks:
        return "no looks (view, search, export, print)"
    kinds = survey.by_kind()
    if not survey.has("account"):
        return "looks name no account"
    if detector.family == "reason":
        if not ({"scan", "ticket"} & kinds.keys()) and not any(one.explained for one in coverage):
            return "no scans, tickets or parcels table: nothing can explain a look"
        if not any(one.gate == OPEN for one in coverage):
            return "reasons explain too few looks of every role, or there are too few looks to tell"
    if detector.family == "login" and not survey.has("ip"):
        return "looks and logins name no address (ip)"
    if detector.family == "canary" and not (survey.has("waybill") or survey.has("subjects")):
        return "looks name no parcel and no customer"
    return ""


# --- roster, shared numbers --------------------------------------------------------------------------------------------


def roster_of(survey: Survey, walk: Walk, reference: dict[str, pa.Table]) -> dict[str, Any]:
    """The roster's age and what of it does not fit the logs; counts of accounts."""
    table = reference.get("accounts")
    if table is None:
        return {"present": False}
    newest = [
        int(value)
        for name in ("from", "until")
        for value in table.column(name).drop_null().to_pylist()
        if value <= survey.last
    ]
    seen = walk.seen()
    habits = walk.habits[seen]
    status, total = habits["status"], int(habits["looks"].sum())
    unknown = status[:, UNKNOWN] > 0
    ended = status[:, ENDED] > 0
    last_active, first_ended = habits["to_day"][:, 0], habits["from_day"][:, ENDED]
    before = (last_active > 0) & (last_active <= first_ended)
    went_on = ended & before & (first_ended - last_active <= SILENCE_DAYS)
    back = ended & before & ~went_on
    return {
        "present": True, "rows": table.num_rows, "newest": max(newest, default=None),
        "age_days": round((survey.last - max(newest)) / DAY_MS, 2) if newest else None,
        "unknown_accounts": int(unknown.sum()),
        "unknown_looks_share": round(int(status[:, UNKNOWN].sum()) / total, 4) if total else 0.0,
        "late_start": int((status[:, EARLY] > 0).sum()),
        "worked_on_after_end": int(went_on.sum()), "back_after_end": int(back.sum()),
        "ended_before_the_logs": int((ended & ~before).sum()),
    }  # fmt: skip


def _shared(walk: Walk) -> dict[str, int]:
    posts, index = walk.context.roster.posts, walk.context.roster.first
    owner = np.repeat(np.arange(index.shape[0]), index[:, 1]) if index.shape[0] else np.zeros(0, np.int64)
    return {
        "several_persons": int(np.unique(owner[posts["persons"] > 1]).shape[0]),
        "far_apart": len(walk.apart(FAR_KM)),
    }


# --- history screening -------------------------------------------------------------------------------------------------


def screened(walk: Walk, coverage: list[Coverage]) -> list[Screen]:
    """Accounts whose logs already look rented: what they did must not become what is usual for them.

    Nothing rests on reasons for roles whose gate is not open, nor on volume where there are too few peers to tell what is usual.
    """
    seen = walk.seen()
    seen = seen[walk.habits["looks"][seen] >= SCREEN_LOOKS_MIN]
    habits = walk.habits[seen]
    trusted = {one.role for one in coverage if one.outlet == "" and one.gate == OPEN}
    roles = walk.context.roles
    why: list[list[str]] = [[] for _ in seen]
    for role in np.unique(habits["role"]).tolist():
        at = np.flatnonzero(habits["role"] == role)
        _screen_role(habits[at], [why[i] for i in at], reasons=roles[role] in trusted)
    out = [
        Screen(walk.context.accounts.names[account], roles[int(row["role"])], int(row["looks"]), said)
        for account, row, said in zip(seen.tolist(), habits, why, strict=True)
        if said
    ]
    return sorted(out, key=lambda one: (-len(one.why), -one.looks, one.account))


def _screen_role(habits: NDArray[np.void], why: list[list[str]], *, reasons: bool) -> None:
    """Note, for each account of one role, why it stands out."""
    a_day = habits["looks"] / np.maximum(habits["days"], 1)
    share = 1.0 - np.minimum(habits["explained"] + habits["late"], habits["first"]) / np.maximum(habits["first"], 1)
    peers = habits.shape[0] >= SCREEN_PEERS_MIN
    usual, open_share = float(np.median(a_day)), float(np.median(share))
    for row, said, looks, wild in zip(habits, why, a_day.tolist(), share.tolist(), strict=True):
        if reasons and row["unexplained_nats"] >= SCREEN_NATS:
            said.append("evidence of looks without a reason")
        if reasons and peers and row["first"] >= SCREEN_LOOKS_MIN and wild >= open_share + SCREEN_SHARE:
            said.append(f"{wild:.0%} of its looks unexplained, {open_share:.0%} is usual for the role")
        if peers and row["volume_hours"] >= SCREEN_HOURS:
            said.append("evidence of volume in several hours")
        if peers and looks >= SCREEN_TIMES * max(usual, 1.0):
            said.append(f"{looks:.0f} looks a day, {usual:.0f} is usual for the role")


# --- findings ----------------------------------------------------------------------------------------------------------


def _findings(out: Assessment) -> list[Finding]:
    roster, shared = out.roster, out.shared
    closed = sorted({one.role for one in out.coverage if one.outlet == "" and one.gate != OPEN})
    candidates = [
        Finding("roster", 0 if roster["present"] else 1, "no roster: roles, outlets and leavers are unknown"),
        Finding("roster", roster.get("unknown_accounts", 0), "accounts with looks that the roster does not hold"),
        Finding("roster", roster.get("late_start", 0), "accounts that look before their roster row begins (late roster)"),
        Finding("roster", roster.get("worked_on_after_end", 0),
                "accounts that work on without a break after their roster row ended (late roster)"),
        Finding("roster", roster.get("ended_before_the_logs", 0), "accounts whose roster row ended before these logs begin"),
        Finding("roster", roster.get("back_after_end", 0), "ended accounts that look again after days of silence: ask who it is"),
        Finding("shared", shared["several_persons"], "numbers that several persons hold at once in the roster"),
        Finding("shared", shared["far_apart"], f"accounts used from two devices over {FAR_KM:.0f} km apart within half an hour"),
        Finding("clock", out.clock["over_an_hour_late"], "records that arrived over an hour after they happened"),
        Finding("clock", out.clock["order_goes_back"], "records out of order of arrival"),
        Finding("quarantine", sum(out.quarantine.values()), "records in quarantine"),
        Finding("coverage", len(closed), f"roles whose looks are not judged by reasons: {', '.join(closed)}"),
        Finding("silent", sum(bool(one.silent) for one in out.detectors), "detectors that are silent"),
        Finding("screen", len(out.screen), "accounts to screen before learning: their history may already be rented"),
    ]  # fmt: skip
    return [one for one in candidates if one.count]

"""The book of cases: opened when an account's standing rises, gathered into, closed by a person's word alone.

Pure: changes of standing and verdicts in, cases out; the same in the same order give the same book, whatever the batches.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from watchbill.cases.kinds import SPOKE_NATS, kind_of
from watchbill.context.lone import device_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchbill.cases.verdicts import Verdict

CONTAINED_AT: Final = 2
"""Standing (index into responses.policy.STEPS) from which an account is held in some way: ask_reason."""
OPEN_AT: Final = 3
"""Standing from which a case is opened: step_up. Being asked for a reason is no file on somebody."""
SUSPENDED: Final = 6
OPEN_BY: Final = frozenset({"canary", "roster"})
"""Families whose word opens a case from ask_reason on: their events are rare enough for a person to look at each."""
TAKES_BACK: Final = "unexplained"
"""The detector whose evidence a late reason takes back."""
WORSE_NATS: Final = float(np.log(10.0))
"""A dismissed case opens again when a detector speaks ten times as strongly as it had, or a higher step is reached."""
CLOSED: Final = frozenset({"dismissed", "closed"})
TOLD_MAX: Final = 10_000


@dataclass(frozen=True)
class Signal:
    """A change of standing with what was known at that event.

    Attributes:
        seq, time, account: of the record. old, new: steps (index). since: epoch ms, first unexplained record of the run.
        records: unexplained records since then. posterior: 0-1. base: the same without what verdicts moved. evidence:
        detector id -> nats. devices: unregistered devices used. persons_of_account: how many hold it. role: name.
        for_person: what speaks for the person, as `scoring.reasons` gives it. shadow: what shadow detectors said, nats.
    """

    seq: int
    time: int
    account: str
    old: int
    new: int
    since: int
    records: int
    posterior: float
    evidence: Mapping[str, float]
    devices: tuple[str, ...] = ()
    persons_of_account: int = 1
    role: str = ""
    taken_back: bool = False
    base: float | None = None
    for_person: tuple[Mapping[str, Any], ...] = ()
    shadow: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Case:
    """One case; `reasons` holds per detector the most nats seen and the records at that moment.

    `status`: open, contained (its step is over), confirmed, dismissed, or closed (confirmed and settled). `bar` is what a
    dismissed case must pass to open again: {"step", "nats"}. `verdicts` are the persons' words, in order, each with the
    `round` (openings so far) and what had spoken. `shadow`: as `reasons`, of shadow detectors; it decides nothing. `unattended`: suspensions that ended because nobody looked in time.
    """

    id: str
    seq: int
    opened: int
    updated: int
    account: str
    kind: str
    posterior: float
    since: int
    until: int
    records: int
    status: str = "open"
    step_worst: int = 0
    running: bool = True
    counted: int = 0
    devices: list[str] = field(default_factory=list)
    reasons: dict[str, tuple[float, int]] = field(default_factory=dict)
    role: str = ""
    base: float = 0.0
    round: int = 1
    unattended: int = 0
    for_person: list[dict[str, Any]] = field(default_factory=list)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    bar: dict[str, Any] = field(default_factory=dict)
    shadow: dict[str, tuple[float, int]] = field(default_factory=dict)


class CaseBook:
    """All cases, by account; at most one open case an account. `families`: detector id -> family."""

    def __init__(self, families: Mapping[str, str] | None = None) -> None:
        self.families = dict(families or {})
        self.cases: dict[str, Case] = {}
        self._open: dict[str, str] = {}
        self.told: dict[str, None] = {}
        """Ids of the last verdicts and proofs from outside the records, so that one that comes twice counts once."""

    def take(self, signal: Signal) -> str | None:
        """Note a change of standing; the id of the case that it belongs to, if any."""
        case = self.cases.get(self._open.get(signal.account, ""))
        if case is None:
            if not self._opens(signal):
                return None
            case = self._start(signal)
        elif case.status in CLOSED:
            if not self._worse(case, signal):
                return case.id
            _reopen(case, signal)
        self._gather(case, signal)
        if case.status != "confirmed":
            if signal.new < CONTAINED_AT <= signal.old and case.status == "open":
                case.status = "contained"
            elif signal.new >= CONTAINED_AT:
                case.status, case.running, case.counted = "open", True, signal.records
        return case.id

    def _gather(self, case: Case, signal: Signal) -> None:
        case.updated = max(case.updated, signal.time)
        case.until = max(case.until, signal.time)
        case.since = min(case.since, signal.since or signal.time)
        case.records = max(case.records, signal.records)
        base = signal.posterior if signal.base is None else signal.base
        case.posterior = signal.posterior if signal.taken_back else max(case.posterior, signal.posterior)
        case.base = base if signal.taken_back else max(case.base, base)
        case.step_worst = max(case.step_worst, signal.new)
        case.unattended += int(signal.old == SUSPENDED and 0 < signal.new < CONTAINED_AT and not signal.taken_back)
        case.devices += [device for device in signal.devices if device not in case.devices]
        case.for_person = [dict(one) for one in signal.for_person]
        for name, nats in signal.evidence.items():
            if nats > case.reasons.get(name, (SPOKE_NATS, 0))[0]:
                case.reasons[name] = (nats, signal.records)
        for name, nats in signal.shadow.items():
            if nats > case.shadow.get(name, (SPOKE_NATS, 0))[0]:
                case.shadow[name] = (nats, signal.records)
        if signal.taken_back:
            left = signal.evidence.get(TAKES_BACK, 0.0)
            case.reasons.pop(TAKES_BACK, None)
            if left > SPOKE_NATS:
                case.reasons[TAKES_BACK] = (left, signal.records)
        if case.status != "confirmed":
            strongest = {name: nats for name, (nats, _) in case.reasons.items()}
            lone = bool(device_of(case.account))
            case.kind = kind_of(strongest, self.families, signal.role, signal.persons_of_account, lone=lone)

    def look(self, account: str, seq: int, time: int, records: int) -> None:
        """An unexplained record of an account that has a case: the case's span grows (nothing for one before it).

        `records` counts since the evidence began; when it begins anew the case's run is over, until standing rises again.
        """
        case = self.cases.get(self._open.get(account, ""))
        if case is None or seq < case.seq or case.status in CLOSED:
            return
        case.running = case.running and records >= case.counted
        if case.running:
            case.counted = records
            case.until = max(case.until, time)
            case.records = max(case.records, records)

    def judge(self, verdict: Verdict, seq: int) -> Case | None:
        """Note a person's verdict, in force from `seq` on; its case, None where it changes none.

        A confirmed account without a case gets one; one that was told before (by id), or that names no case, changes none.
        """
        if not self.hear(verdict.id):
            return None
        case = self.cases.get(verdict.case) or self.cases.get(self._open.get(verdict.account, ""))
        if case is None:
            if verdict.verdict != "confirmed" or not verdict.account:
                return None
            case = self._begin(verdict.account, seq, verdict.time)
        case.verdicts.append({
            **verdict.model_dump(exclude={"case", "account"}), "seq": seq, "round": case.round, "posterior": case.base,
            "detectors": sorted(case.reasons),
        })  # fmt: skip
        case.updated = max(case.updated, verdict.time)
        if verdict.verdict == "confirmed":
            case.status, case.kind = "confirmed", verdict.reason
        elif verdict.verdict == "dismissed":
            nats = {name: most for name, (most, _) in case.reasons.items()}
            case.status, case.running, case.bar = "dismissed", False, {"step": case.step_worst, "nats": nats}
        else:
            case.status, case.running, case.bar = "closed", False, {}
        return case

    def _opens(self, signal: Signal) -> bool:
        """Whether a change of standing is worth a file: a step that stops somebody, or a clue that is nearly proof."""
        spoke = {self.families.get(name, name) for name, nats in signal.evidence.items() if nats > SPOKE_NATS}
        return signal.new >= OPEN_AT or (signal.new >= CONTAINED_AT and bool(spoke & OPEN_BY))

    def _worse(self, case: Case, signal: Signal) -> bool:
        """Whether a case that a person put away opens again: its evidence began anew, so what it had reached is the bar."""
        if not self._opens(signal):
            return False
        if not case.bar or signal.new > case.bar["step"]:
            return True
        nats = case.bar["nats"]
        return any(now > nats.get(name, SPOKE_NATS) + WORSE_NATS for name, now in signal.evidence.items())

    def _start(self, signal: Signal) -> Case:
        case = self._begin(signal.account, signal.seq, signal.time)
        case.posterior, case.since = signal.posterior, signal.since or signal.time
        case.records, case.role = signal.records, signal.role
        return case

    def _begin(self, account: str, seq: int, time: int) -> Case:
        case = Case(
            id=f"c{seq}", seq=seq, opened=time, updated=time, account=account, kind="", posterior=0.0, since=time,
            until=time, records=0,
        )  # fmt: skip
        self.cases[case.id] = case
        self._open[account] = case.id
        return case

    @property
    def accounts(self) -> list[str]:
        """Accounts that have a case, in order of opening."""
        return list(self._open)

    def hear(self, identity: str) -> bool:
        """Note the id of what was said from outside the records; False when it came before."""
        if identity in self.told:
            return False
        self.told[identity] = None
        while len(self.told) > TOLD_MAX:
            del self.told[next(iter(self.told))]
        return True

    def proven(self, account: str, *, over: bool) -> str | None:
        """The account proved presence from outside the records; `over`: its step is. The id of its case, if any."""
        for case in self.of(account):
            if over and case.status == "open":
                case.status = "contained"
            return case.id
        return None

    def of(self, account: str) -> list[Case]:
        """The cases of an account (one at most)."""
        case = self.cases.get(self._open.get(account, ""))
        return [] if case is None else [case]

    def confirmed(self) -> list[str]:
        """Accounts whose misuse a person confirmed, and nobody lifted since."""
        return [case.account for case in self.cases.values() if case.status == "confirmed"]

    def snapshot(self) -> list[dict[str, Any]]:
        """JSON-able cases (`told` apart)."""
        return [asdict(case) for case in self.cases.values()]

    def restore(self, saved: list[dict[str, Any]], told: list[str] | None = None) -> None:
        """The inverse of `snapshot`."""
        self.cases, self._open, self.told = {}, {}, dict.fromkeys(told or [])
        for item in saved:
            pairs = {part: _pairs(item.get(part, {})) for part in ("reasons", "shadow")}
            case = Case(**{**item, **pairs})
            self.cases[case.id] = case
            self._open[case.account] = case.id


def _pairs(saved: Mapping[str, Any]) -> dict[str, tuple[float, int]]:
    return {name: (float(pair[0]), int(pair[1])) for name, pair in saved.items()}


def _reopen(case: Case, signal: Signal) -> None:
    """A new round of a case that a person had put away: what it showed before stays in its verdicts."""
    case.round += 1
    case.status, case.running, case.bar = "open", True, {}
    case.reasons, case.shadow, case.step_worst, case.records, case.counted = {}, {}, 0, 0, 0
    case.posterior, case.base = 0.0, 0.0
    case.since = case.until = signal.since or signal.time

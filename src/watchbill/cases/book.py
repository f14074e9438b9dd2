"""The book of cases: opened when an account's standing rises, gathered into, never silently closed.

Pure: changes of standing in, cases out; the same changes give the same book, whatever the batches.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTAINED_AT: Final = 2
"""Standing (index into responses.policy.STEPS) from which an account is held in some way: ask_reason."""
OPEN_AT: Final = 3
"""Standing from which a case is opened: step_up. Being asked for a reason is no file on somebody."""
OPEN_BY: Final = frozenset({"canary", "roster_status"})
"""Detectors whose word opens a case from ask_reason on: their events are rare enough for a person to look at each."""
SPOKE_NATS: Final = 1.0
TAKES_BACK: Final = "unexplained"
"""The detector whose evidence a late reason takes back."""


@dataclass(frozen=True)
class Signal:
    """A change of standing with what was known at that event.

    Attributes:
        seq, time, account: of the record. old, new: steps (index). since: epoch ms, first unexplained record of the run.
        records: unexplained records since then. posterior: 0-1. evidence: detector id -> nats. devices: unregistered
        devices used. persons_of_account: how many hold it. role: name.
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


@dataclass
class Case:
    """One case; `reasons` holds per detector the most nats seen and the records at that moment."""

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


def kind_of(evidence: Mapping[str, float], role: str, persons_of_account: int) -> str:
    """What the evidence looks like, by the strongest clue (contract/outputs.md lists the kinds)."""
    spoke = {name for name, nats in evidence.items() if nats > SPOKE_NATS}
    if "canary" in spoke:
        return "canary"
    if "roster_status" in spoke:
        return "leaver"
    if role == "robot":
        return "service"
    if "login_place" in spoke:
        return "leased"
    if persons_of_account > 1:
        return "shared"
    return "leased" if "volume" in spoke else "owner"


def opens(signal: Signal) -> bool:
    """Whether a change of standing is worth a file: a step that stops somebody, or a clue that is nearly proof."""
    spoke = any(signal.evidence.get(name, 0.0) > SPOKE_NATS for name in OPEN_BY)
    return signal.new >= OPEN_AT or (signal.new >= CONTAINED_AT and spoke)


class CaseBook:
    """All cases, by account; at most one open case an account."""

    def __init__(self) -> None:
        self.cases: dict[str, Case] = {}
        self._open: dict[str, str] = {}

    def take(self, signal: Signal) -> str | None:
        """Note a change of standing; the id of the case that it belongs to, if any."""
        case = self.cases.get(self._open.get(signal.account, ""))
        if case is None:
            if not opens(signal):
                return None
            case = self._start(signal)
        case.updated = max(case.updated, signal.time)
        case.until = max(case.until, signal.time)
        case.since = min(case.since, signal.since or signal.time)
        case.records = max(case.records, signal.records)
        case.posterior = signal.posterior if signal.taken_back else max(case.posterior, signal.posterior)
        case.step_worst = max(case.step_worst, signal.new)
        case.devices += [device for device in signal.devices if device not in case.devices]
        for name, nats in signal.evidence.items():
            if nats > case.reasons.get(name, (SPOKE_NATS, 0))[0]:
                case.reasons[name] = (nats, signal.records)
        if signal.taken_back:
            left = signal.evidence.get(TAKES_BACK, 0.0)
            case.reasons.pop(TAKES_BACK, None)
            if left > SPOKE_NATS:
                case.reasons[TAKES_BACK] = (left, signal.records)
        strongest = {name: nats for name, (nats, _) in case.reasons.items()}
        case.kind = kind_of(strongest, signal.role, signal.persons_of_account)
        if signal.new < CONTAINED_AT <= signal.old and case.status == "open":
            case.status = "contained"
        elif signal.new >= CONTAINED_AT:
            case.status, case.running, case.counted = "open", True, signal.records
        return case.id

    def look(self, account: str, seq: int, time: int, records: int) -> None:
        """An unexplained record of an account that has a case: the case's span grows (nothing for one before it).

        `records` counts since the evidence began; when it begins anew the case's run is over, until standing rises again.
        """
        case = self.cases.get(self._open.get(account, ""))
        if case is None or seq < case.seq:
            return
        case.running = case.running and records >= case.counted
        if case.running:
            case.counted = records
            case.until = max(case.until, time)
            case.records = max(case.records, records)

    def _start(self, signal: Signal) -> Case:
        case = Case(
            id=f"c{signal.seq}", seq=signal.seq, opened=signal.time, updated=signal.time, account=signal.account,
            kind="", posterior=signal.posterior, since=signal.since or signal.time, until=signal.time, records=signal.records,
            role=signal.role,
        )  # fmt: skip
        self.cases[case.id] = case
        self._open[signal.account] = case.id
        return case

    @property
    def accounts(self) -> list[str]:
        """Accounts that have a case, in order of opening."""
        return list(self._open)

    def snapshot(self) -> list[dict[str, Any]]:
        """JSON-able state."""
        return [asdict(case) for case in self.cases.values()]

    def restore(self, saved: list[dict[str, Any]]) -> None:
        """The inverse of `snapshot`."""
        self.cases, self._open = {}, {}
        for item in saved:
            reasons = {name: (float(pair[0]), int(pair[1])) for name, pair in item["reasons"].items()}
            case = Case(**{**item, "reasons": reasons})
            self.cases[case.id] = case
            self._open[case.account] = case.id

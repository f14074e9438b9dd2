"""The book of cases: opened when an account's standing rises, gathered into, closed by a person's word alone.

Pure: changes of standing and verdicts in, cases out; the same in the same order give the same book, whatever the batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from watchbill.cases.case import (
    CLOSED,
    CONTAINED_AT,
    ENGINE,
    OPEN_AT,
    RUNNING,
    SETTLED,
    SUSPENDED,
    TIES_MAX,
    Case,
    Entries,
    Signal,
    write,
)
from watchbill.cases.clocks import begin, hurry, look_at
from watchbill.cases.fair import correct, settle
from watchbill.cases.gather import Ties, may_join, part, put_together, ring_said
from watchbill.cases.kinds import SPOKE_NATS, kind_of
from watchbill.context.lone import device_of
from watchbill.core.settings import CaseSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchbill.cases.verdicts import Verdict

OPEN_BY: Final = frozenset({"canary", "roster"})
"""Families whose word opens a case from ask_reason on: their events are rare enough for a person to look at each."""
TAKES_BACK: Final = "unexplained"
"""The detector whose evidence a late reason takes back."""
WORSE_NATS: Final = float(np.log(10.0))
"""A dismissed case opens again when a detector speaks ten times as strongly as it had, or a higher step is reached."""
TOLD_MAX: Final = 10_000


class CaseBook:
    """All files, one an account; files that were put together are one case (`whole`), named by its first.

    `families`: detector id -> family. `corrected`: corrections since somebody last took them (`runners.judging`).
    """

    def __init__(self, families: Mapping[str, str] | None = None, settings: CaseSettings | None = None) -> None:
        self.families = dict(families or {})
        self.settings = settings or CaseSettings()
        self.cases: dict[str, Case] = {}
        self._open: dict[str, str] = {}
        self._parts: dict[str, list[str]] = {}
        self.ties = Ties()
        self.told: dict[str, None] = {}
        """Ids of the last things said from outside the records (verdicts, work on cases, proofs): one that comes twice counts once."""
        self.corrected: list[dict[str, Any]] = []

    def take(self, signal: Signal) -> str | None:
        """Note a change of standing; the id of the case that it belongs to, if any."""
        case = self.cases.get(self._open.get(signal.account, ""))
        if case is None:
            if not self._opens(signal):
                return None
            case = self._start(signal)
        elif case.status in CLOSED:
            if not self._worse(case, signal):
                _step(case, signal)
                return self.lead(case).id
            _reopen(case, signal)
            begin(case, signal.time, self.settings)
            self.lead(case).reviewing = False
            write(case, "reopened", signal.seq, signal.time)
        self._gather(case, signal)
        _step(case, signal)
        hurry(case, signal.new, signal.time, self.settings)
        if case.status != "confirmed":
            if signal.new < CONTAINED_AT <= signal.old and case.status == "open":
                case.status = "contained"
            elif signal.new >= CONTAINED_AT:
                case.status, case.running, case.counted = "open", True, signal.records
        self._join(case, signal)
        return self.lead(case).id

    def _join(self, case: Case, signal: Signal) -> None:
        """Put cases together that evidence alone ties (cases/gather.py); the earliest stays the first."""
        self.ties.add(case)
        if not ring_said(case):
            return
        for _, name in self.ties.beside(case):
            other = self.cases[name]
            mine, others = self.whole(case.id), self.whole(name)
            if mine[0] is others[0] or not ring_said(other) or not may_join(mine, others):
                continue
            if (others[0].seq, others[0].id) < (mine[0].seq, mine[0].id):
                mine, others = others, mine
            self.put_together(mine, others, signal.seq, signal.time)

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
        case.lines += [line for line in signal.lines if line not in case.lines][: TIES_MAX - len(case.lines)]
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
        if case is None or seq < case.seq or case.status in SETTLED:
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
        files = self.whole(verdict.case) or self._alone(verdict, seq)
        if not files:
            if verdict.verdict != "confirmed" or not verdict.account:
                return None
            files = [self._begin(verdict.account, seq, verdict.time)]
        look_at(files, verdict.time)
        files[0].reviewing, files[0].due_set = False, False
        for case in files:
            self._word(case, verdict, seq)
        return files[0]

    def _alone(self, verdict: Verdict, seq: int) -> list[Case]:
        """The file of an account that a verdict names: a word about one of several takes it out of their case."""
        files = self.of(verdict.account)
        if files and len(self.whole(files[0].id)) > 1:
            self.part(files[0], seq, verdict.time, verdict.by)
        return files

    def _word(self, case: Case, verdict: Verdict, seq: int) -> None:
        case.verdicts.append({
            **verdict.model_dump(exclude={"case", "account"}), "seq": seq, "round": case.round, "posterior": case.base,
            "detectors": sorted(case.reasons),
        })  # fmt: skip
        case.updated, case.due = max(case.updated, verdict.time), 0
        if verdict.verdict == "confirmed":
            case.status, case.kind = "confirmed", verdict.reason
        elif verdict.verdict == "dismissed":
            self.put_away([case], "dismissed")
            case.step = 0
        else:
            case.status, case.running, case.bar, case.step = "closed", False, {}, 0
        write(case, verdict.verdict, seq, verdict.time, verdict.by, reason=verdict.reason, note=verdict.note)
        if verdict.verdict == "dismissed":
            settle(case, seq, verdict.time)
            self.corrected += correct(case, seq, verdict.time, verdict.by, verdict.reason)

    def put_away(self, files: Sequence[Case], status: str = "archived") -> None:
        """Dismiss or archive files: each opens again when it is worse than now (`_worse`)."""
        files[0].reviewing = False
        for case in files:
            if case.status in RUNNING or status == "dismissed":
                nats = {name: most for name, (most, _) in case.reasons.items()}
                case.status, case.bar, case.due = status, {"step": case.step_worst, "nats": nats}, 0
                case.running = case.running and status == "archived"

    def take_corrected(self) -> list[dict[str, Any]]:
        """Corrections that people are owed since the last call."""
        made, self.corrected = self.corrected, []
        return made

    # -- cases of several files --------------------------------------------------------------------------------

    def lead(self, case: Case) -> Case:
        """The first file of the case that a file belongs to."""
        return self.cases[case.into] if case.into else case

    def whole(self, case: str) -> list[Case]:
        """The files of a case, its first one first; the id of any of them will do. Nothing for an id that is not there."""
        found = self.cases.get(case)
        if found is None:
            return []
        lead = self.lead(found)
        return [lead, *(self.cases[name] for name in self._parts.get(lead.id, ()))]

    def leads(self) -> list[Case]:
        """The first file of each case, in order of opening."""
        return [case for case in self.cases.values() if not case.into]

    def put_together(
        self, mine: Sequence[Case], others: Sequence[Case], seq: int, time: int, by: str = ENGINE, **why: str
    ) -> None:
        """As `gather.put_together`, and the book knows of it."""
        put_together(mine, others, seq, time, by, **why)
        self._index()

    def part(self, leaving: Case, seq: int, time: int, by: str) -> None:
        """As `gather.part`, and the book knows of it."""
        part(self.whole(leaving.id), leaving, seq, time, by)
        self._index()

    def _index(self) -> None:
        self._parts = {}
        for case in self.cases.values():
            if case.into:
                self._parts.setdefault(case.into, []).append(case.id)

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
        begin(case, time, self.settings)
        write(case, "opened", seq, time)
        return case

    @property
    def accounts(self) -> list[str]:
        """Accounts that have a case, in order of opening."""
        return list(self._open)

    def hear(self, identity: str) -> bool:
        """Note the id of what was said from outside the records; False when it came before. Of the oldest nothing is known any more."""
        if identity in self.told:
            return False
        self.told[identity] = None
        while len(self.told) > TOLD_MAX:
            del self.told[next(iter(self.told))]
        return True

    def proven(self, account: str, seq: int, time: int, *, over: bool) -> str | None:
        """The account proved presence from outside the records; `over`: its step is. The id of its case, if any."""
        for case in self.of(account):
            write(case, "proven", seq, time, over=over)
            if over:
                case.step = 0
                case.status = "contained" if case.status == "open" else case.status
            return self.lead(case).id
        return None

    def of(self, account: str) -> list[Case]:
        """The file of an account (one at most)."""
        case = self.cases.get(self._open.get(account, ""))
        return [] if case is None else [case]

    def confirmed(self) -> list[str]:
        """Accounts whose misuse a person confirmed, and nobody lifted since."""
        return [case.account for case in self.cases.values() if case.status == "confirmed"]

    def snapshot(self) -> list[dict[str, Any]]:
        """JSON-able cases (`told` apart)."""
        return [_plain(case) for case in self.cases.values()]

    def restore(self, saved: list[dict[str, Any]], told: list[str] | None = None) -> None:
        """The inverse of `snapshot`."""
        self.cases, self._open, self.told, self.corrected = {}, {}, dict.fromkeys(told or []), []
        for item in saved:
            pairs = {part: _pairs(item.get(part, {})) for part in ("reasons", "shadow")}
            case = Case(**_plain(Case(**{**item, **pairs})))  # what was saved stays as it was
            _inherit(case)
            self.cases[case.id] = case
            self._open[case.account] = case.id
        self._index()
        self.ties = Ties(self.cases.values())


def _plain(case: Case) -> dict[str, Any]:
    """A file as JSON-able parts of its own (dataclasses.asdict takes ten times as long); what never changes is shared."""
    out: dict[str, Any] = {}
    for name, value in vars(case).items():
        out[name] = [*value] if isinstance(value, list) else {**value} if isinstance(value, dict) else value
    out["appeals"] = [{**one} for one in case.appeals]  # the one list whose entries change
    return out | {"history": Entries(case.history)}


def _pairs(saved: Mapping[str, Any]) -> dict[str, tuple[float, int]]:
    return {name: (float(pair[0]), int(pair[1])) for name, pair in saved.items()}


def _reopen(case: Case, signal: Signal) -> None:
    """A new round of a case that a person had put away: what was judged stays in its verdicts, what was not goes on counting."""
    unjudged = case.status == "archived"
    case.round += 1
    case.status, case.running, case.bar = "open", True, {}
    if unjudged:
        return
    case.reasons, case.shadow, case.step_worst, case.records, case.counted = {}, {}, 0, 0, 0
    case.posterior, case.base = 0.0, 0.0
    case.since = case.until = signal.since or signal.time


def _inherit(case: Case) -> None:
    """A file of a release that kept no history: it begins with what is known."""
    case.begun = case.begun or case.opened
    if case.history:
        return
    write(case, "opened", case.seq, case.opened)
    for one in case.verdicts:
        write(case, one["verdict"], one["seq"], one["time"], one["by"], reason=one["reason"], note=one["note"])


def _step(case: Case, signal: Signal) -> None:
    """Note in the history that a step was taken or ended, and which detectors spoke."""
    case.step = signal.new
    spoke = sorted(name for name, nats in signal.evidence.items() if nats > SPOKE_NATS)
    write(
        case, "step", signal.seq, signal.time, old=signal.old, new=signal.new, spoke=spoke, taken_back=signal.taken_back
    )

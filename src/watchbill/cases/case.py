"""A case as the book keeps it, the signals it is made of, and its history, which only grows; pure.

The book keeps one file (`Case`) an account. Files that a person or the evidence put together are one case: all but the first
name it in `into`, and whatever is said of any of them is said of that first one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONTAINED_AT: Final = 2
"""Standing (index into responses.policy.STEPS) from which an account is held in some way: ask_reason."""
OPEN_AT: Final = 3
"""Standing from which a case is opened, and a person interrupted: step_up. Being asked for a reason is neither."""
SUSPENDED: Final = 6
SETTLED: Final = frozenset({"dismissed", "closed"})
"""A person has decided; what the account does is another matter until it is worse."""
CLOSED: Final = SETTLED | {"archived"}
RUNNING: Final = frozenset({"open", "contained"})
"""What evidence alone makes of a case; a person has not decided."""
TIES_MAX: Final = 64
"""Devices and lines of a case by which others are tied to it."""
ENGINE: Final = ""
"""Who says what the engine says."""
AUTO_MAX: Final = 1_000
"""Changes of standing that the history of a file lists; interventions.ndjson has all of them."""
ORDER: Final = ("open", "contained", "confirmed", "archived", "closed", "dismissed")
"""Of files with several statuses the first of these is that of their case."""
HISTORY_MAX: Final = 10_000
"""Entries from which on no more is taken in for a file; what people say of one case never comes near."""


@dataclass(frozen=True)
class Signal:
    """A change of standing with what was known at that event.

    Attributes:
        seq, time, account: of the record. old, new: steps (index). since: epoch ms, first unexplained record of the run.
        records: unexplained records since then. posterior: 0-1. base: the same without what verdicts moved. evidence:
        detector id -> nats. devices: unregistered devices used. lines: addresses used that are no office's, carrier's or
        VPN's. persons_of_account: how many hold it. role: name. for_person: what speaks for the person, as
        `scoring.reasons` gives it. shadow: what shadow detectors said, nats.
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
    lines: tuple[str, ...] = ()


@dataclass
class Case:
    """The file of one account; `reasons` holds per detector the most nats seen and the records at that moment.

    `status`: open, contained (its step is over), confirmed, dismissed, closed (confirmed and settled), or archived (put away
    until it gets worse). `bar` is what a dismissed or archived case must pass to open again: {"step", "nats"}. `verdicts` are
    the persons' words, in order, each with the `round` (openings so far) and what had spoken. `shadow`: as `reasons`, of
    shadow detectors; it decides nothing. `unattended`: suspensions that ended because nobody looked in time.

    Of the whole case, kept in its first file: `reviewing` (taken into review), `assigned` (who), `due` (epoch ms, 0 = none;
    `due_set`: by a person). Of the round: `begun` and `looked` (epoch ms of the opening and of the first look, 0 = not yet).
    Of the person: `notices` (what was told to whom), `delay` (the decision to tell later, or {}), `appeals`, `corrections`.
    `apart`: files that a person parted from this one. `history`: one entry for each thing that happened, see `write`.
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
    lines: list[str] = field(default_factory=list)
    into: str = ""
    apart: list[str] = field(default_factory=list)
    reviewing: bool = False
    assigned: str = ""
    due: int = 0
    due_set: bool = False
    begun: int = 0
    looked: int = 0
    step: int = 0
    notices: list[dict[str, Any]] = field(default_factory=list)
    delay: dict[str, Any] = field(default_factory=dict)
    appeals: list[dict[str, Any]] = field(default_factory=list)
    corrections: list[dict[str, Any]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    steps_listed: int = 0


class Entries(list[dict[str, Any]]):
    """Entries of a history for a snapshot: none changes once it is written, so a copy shares them (a checkpoint must be quick)."""

    def __deepcopy__(self, _memo: dict[int, Any]) -> Entries:
        return Entries(self)


def write(case: Case, what: str, seq: int, time: int, by: str = ENGINE, **more: Any) -> None:  # noqa: ANN401 - JSON-able values
    """Add one entry to the history of a file: {n, seq, time, what, by, round, ...}.

    Args:
        what: opened, reopened, step, merged, split, review, ... seq: of the record that says it. time: epoch ms. by: the
            person's pseudonym, ENGINE for what follows from evidence.
    """
    if len(case.history) >= HISTORY_MAX:
        return
    if what == "step":
        case.steps_listed += 1
        if case.steps_listed > AUTO_MAX:
            return
    case.history.append(
        {"n": len(case.history) + 1, "seq": seq, "time": time, "what": what, "by": by, "round": case.round, **more}
    )


def status_of(files: Sequence[Case]) -> str:
    """The status of a case: that of the file that needs a person most; `in_review` while one is at it."""
    held = {case.status for case in files}
    if files[0].reviewing and held & RUNNING:
        return "in_review"
    return next(status for status in ORDER if status in held)

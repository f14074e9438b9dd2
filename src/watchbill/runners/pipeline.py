"""The whole flow on one page: records > context (reasons) > coverage > detectors > scoring > policy > cases.

`Pipeline.step` is the same for one row (a decision being asked) and for a million (history being replayed). Stages run
forward only, each row by row in order of seq; what one key needs of others is read from tables published at ticks of the
arrival clock. So nothing depends on how batches were cut (tests/runners/test_pipeline.py). Given the state and the batch
the output is fixed: no clock, no randomness, no input but the journal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from watchbill.cases.book import CaseBook, Signal
from watchbill.context.context import Context, grown
from watchbill.context.coverage import COVERAGE_GATED, Coverage, alone_of
from watchbill.context.events import LOOK, RETRACT
from watchbill.context.lone import device_of
from watchbill.context.offices import offices_of
from watchbill.context.roster import post_at
from watchbill.detectors.base import FAMILIES, DetectorBase, Surroundings, load_detectors, surroundings_of
from watchbill.detectors.kernels import LookNotes
from watchbill.responses.policy import CHANGE, CHANGES_MAX, STANDING, STEPS, apply_policy, spans_ms, thresholds
from watchbill.responses.presence import PROOF, Presence, proof_of, span_of, whence_of
from watchbill.rules.ruleset import RuleSet
from watchbill.rules.settings import RuleSettings
from watchbill.runners.learning import learned_prior, suspected, until_of
from watchbill.runners.ruling import name_rules, rule_on
from watchbill.scoring.calibration import calibrate, unshifted
from watchbill.scoring.fuse import fuse, shared_weights
from watchbill.scoring.reasons import clues_of, contribution, for_person
from watchbill.scoring.record import RECORD, forget_devices, keep_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    from watchbill.core.settings import Settings
    from watchbill.records.columns import Columns

_MINUTE_MS: Final = 60_000


@dataclass(slots=True)
class Verdicts:
    """One row a look of a batch, in order of seq: `row` int32 in the batch; the rest as contract/outputs.md says.

    `decision` indexes responses.policy.DECISIONS, `reason` indexes Context.labels.
    """

    row: NDArray[np.int32]
    decision: NDArray[np.uint8]
    reason: NDArray[np.int16]
    score: NDArray[np.float32]
    left: NDArray[np.float32]


@dataclass(slots=True)
class Output:
    """What a step says: verdicts, interventions as rows of interventions.ndjson, findings of users' rules."""

    verdicts: Verdicts
    interventions: list[dict[str, Any]]
    findings: list[dict[str, Any]] = field(default_factory=list)


class Pipeline:
    """The state of the engine, and the step over it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.context = Context(settings)
        self.coverage = Coverage(
            len(self.context.roles), settings.gates, alone_of(self.context.roles, settings.reasons)
        )
        self.detectors = load_detectors(settings)
        self.standing = np.zeros(0, STANDING)
        self.proofs = np.zeros(0, PROOF)
        self.book = CaseBook({detector.id: detector.family for detector in self.detectors})
        self.rules = RuleSet([], RuleSettings())
        self.records = np.zeros(0, RECORD)
        self.frozen = np.zeros(0, np.uint8)  # Surroundings.frozen
        self.shift = 0.0  # nats that verdicts move the posterior's prior
        self._watched = np.zeros(0, np.int32)  # dense accounts that have a case
        self.table_tick = 0
        self.around = Surroundings()
        spoken = [detector.family for detector in self.detectors]
        self._weights = shared_weights(settings.risk.weights, FAMILIES, spoken)
        curve = settings.risk.calibration
        self._raw, self._knots = np.array(curve.raw), np.array(curve.posterior)
        self._limits = thresholds(settings.policy)
        self._spans = spans_ms(settings.policy)
        self.on_scores: Callable[..., None] | None = (
            None  # runners/trace.py: the lab asks what else would have been done
        )
        self.refresh()

    # -- reference ---------------------------------------------------------------------------------------------

    def apply(self, name: str, table: pa.Table | None) -> None:
        """Take a reference table into use from the next record on."""
        self.context.apply(name, table)
        self.refresh()

    def refresh(self) -> None:
        """Renew what detectors know of their surroundings."""
        roles = self.settings.reasons.roles
        self.steps = np.array([roles[name].steps if name in roles else True for name in self.context.roles], np.uint8)
        self.around = surroundings_of(self.context, self.settings)
        places, outlets = self.context.places.names, self.context.tables.get("outlets")
        self.offices = offices_of(places, self.around.place_kind, self.context.outlets, outlets)
        forget_devices(self.records)

    # -- the step ----------------------------------------------------------------------------------------------

    def step(self, columns: Columns) -> Output:
        """Score a batch of records in order of seq; state changes in place."""
        parts: list[Verdicts] = []
        interventions: list[dict[str, Any]] = []
        self._findings: list[dict[str, Any]] = []
        for start, stop in self._cuts(columns):
            piece = columns if stop - start == len(columns) else columns.cut(start, stop)
            verdicts, changes = self._piece(piece)
            verdicts.row = verdicts.row + np.int32(start)
            parts.append(verdicts)
            interventions += changes
        return Output(_joined(parts), interventions, self._findings)

    def _cuts(self, columns: Columns) -> Iterator[tuple[int, int]]:
        """Pieces within one table tick and one UTC hour; tables are published where a new tick begins."""
        if len(columns) == 0:
            return
        length = self.settings.table_minutes * _MINUTE_MS
        ticks = columns.arrival // length
        inner = set((np.flatnonzero(np.diff(ticks)) + 1).tolist()).union(self.context.cuts(columns))
        for start, stop in pairwise(sorted(inner | {0})):
            tick = int(ticks[start])
            if tick > self.table_tick:
                self._publish(tick * length)
                self.table_tick = tick
            yield start, stop

    def _publish(self, arrival: int) -> None:
        self.around.frozen = self.frozen = suspected(self.standing, self.frozen, self.proofs)
        self.coverage.publish(len(self.context.outlets), self.frozen)
        for detector in self.detectors:
            detector.publish(arrival, self.around)

    def _piece(self, columns: Columns) -> tuple[Verdicts, list[dict[str, Any]]]:
        facts = self.context.prepare(columns)
        events = self.context.join(facts, columns.subjects)
        self.around.accounts, self.around.outlets = len(self.context.accounts), len(self.context.outlets)
        self.coverage.habits = grown(self.coverage.habits, self.around.accounts)
        self.standing = grown(self.standing, self.around.accounts)
        self.proofs = grown(self.proofs, self.around.accounts)
        self.around.frozen = self.frozen = grown(self.frozen, self.around.accounts)
        self.coverage.mark(events, self.frozen)
        if "accounts" not in self.around.present:
            # without a roster nobody has a role: what roles declare is no ground for a step
            events["gated"] |= np.where(events["kind"] == RETRACT, 0, COVERAGE_GATED).astype(np.uint8)
        n = events.shape[0]
        evidence = np.zeros((len(FAMILIES), n), np.float32)
        left = np.full(n, 8.0, np.float32)
        said: dict[str, NDArray[np.float32]] = {}
        for detector in self.detectors:
            nats = detector.observe(events, self.around)
            if detector.family == "bound":
                left = nats
            else:
                said[detector.id] = nats
                family = FAMILIES.index(detector.family)
                np.maximum(evidence[family], nats, out=evidence[family])
        guarantee, posterior = np.zeros(n, np.float32), np.zeros(n, np.float32)
        risk = self.settings.risk
        fuse(evidence, self._weights, risk.prior_log_odds, risk.family_cap_nats, guarantee, posterior)
        findings = rule_on(self.rules, self.context, columns, facts, events, guarantee, self._limits)
        decisions, records = np.zeros(n, np.uint8), np.zeros(n, np.int32)
        changes = np.zeros(CHANGES_MAX * n, CHANGE)
        presence = self._presence(events)
        relax = float(np.log(self.settings.policy.relax_factor))
        if self.on_scores is not None:
            self.on_scores(events, guarantee, left, self.steps, presence.whence)
        count = apply_policy(
            events, guarantee, left, self.standing, self._limits, relax, self._spans, self.steps, decisions, records,
            changes, presence,
        )  # fmt: skip
        calibrate(posterior, self._raw, self._knots, self.shift, posterior)
        rows = self._gather(changes[:count], events, records, columns, said, posterior)
        for change, told in zip(changes[:count], rows, strict=True):
            told.update(proof_of(change, events, presence, columns))
        name_rules(findings, rows, self.book)
        self._findings += findings
        looks = events["kind"] == LOOK
        verdicts = Verdicts(
            events["row"][looks], decisions[looks], events["reason"][looks], posterior[looks], left[looks]
        )
        verdicts.left = np.where(verdicts.left < 0, -1 - verdicts.left, verdicts.left)
        return verdicts, rows

    def _presence(self, events: NDArray[np.void]) -> Presence:
        policy = self.settings.policy
        return Presence(self.proofs, whence_of(events, self.around, self.offices, policy), span_of(policy))

    def _note(
        self, change: np.void, events: NDArray[np.void], columns: Columns, said: dict[str, NDArray[np.float32]],
        posterior: NDArray[np.float32], record: np.void,
    ) -> dict[str, Any]:  # fmt: skip
        """One row of interventions.ndjson; the case book hears of it."""
        at = int(change["event"])
        event = events[at]
        account = self.context.accounts.names[int(change["account"])]
        row = int(event["row"])
        proven = int(change["proof"]) or int(change["resumed"])  # neither says anything against anybody
        nats = {} if proven else {name: round(float(values[at]), 3) for name, values in said.items() if values[at] > 0}
        post, _ = post_at(
            self.context.roster.first, self.context.roster.posts, int(change["account"]), int(event["time"])
        )
        device = columns.text("device", row) if event["kind"] == LOOK and int(event["device"]) else ""
        known = np.isin(event["device"], self.around.registered) or bool(event["lone"])
        signal = Signal(
            seq=int(columns.seq[row]), time=int(columns.time[row]), account=account, old=int(change["old"]),
            new=int(change["new"]), since=int(change["since"]), records=int(change["records"]),
            posterior=float(posterior[at]), base=unshifted(float(posterior[at]), self.shift), evidence=nats, devices=(device,) if device and not known else (),
            persons_of_account=int(self.context.roster.posts[post]["persons"]) if post >= 0 else 1,
            role=self.context.roles[int(event["role"])], taken_back=bool(event["kind"] == RETRACT),
            for_person=tuple(self._for_person(event, account, record)),
        )  # fmt: skip
        families = {d.id: d.family for d in self.detectors}
        e_values: dict[str, float] = {}
        for name, value in nats.items():
            e_value = round(float(np.exp(min(value, 700.0))), 3)
            e_values[families[name]] = max(e_value, e_values.get(families[name], 0.0))
        lone = device_of(account)
        return {
            "seq": signal.seq, "id": columns.text("id", row), "time": signal.time,
            **({"device": lone} if lone else {"account": account}), "step": STEPS[signal.new], "until": until_of(int(change["until"])), "case": self.book.take(signal),
            "evidence": e_values,
        }  # fmt: skip

    def _for_person(self, event: np.void, account: str, record: np.void) -> list[dict[str, Any]]:
        """What speaks for the person at an event: the account's record, and what detectors know."""
        clean = all(case.status == "dismissed" for case in self.book.of(account))
        rows = for_person(clues_of(record, event, clean=clean))
        for detector in self.detectors:
            for one in detector.for_person(event, self.around):
                rows.append(contribution(detector.id, one.nats, one.text_en, one.text_zh, one.records))
        return sorted(rows, key=lambda row: (row["nats"], row["detector"]))

    def _gather(
        self, changes: NDArray[np.void], events: NDArray[np.void], records: NDArray[np.int32], columns: Columns,
        said: dict[str, NDArray[np.float32]], posterior: NDArray[np.float32],
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Changes of standing to the book and to rows; between them, in order, further unexplained looks of its accounts."""
        if self._watched.shape[0] != len(self.book.cases):
            self._watched = np.array([self.context.accounts.find(name) for name in self.book.accounts], np.int32)
        watched = np.union1d(self._watched, changes["account"])
        wild = (events["kind"] == LOOK) & (events["weight"] > 0)
        looks = (
            np.flatnonzero(wild & np.isin(events["account"], watched)) if watched.shape[0] else np.zeros(0, np.int64)
        )
        wanted = np.unique(changes["event"]).astype(np.int64)
        captured = np.zeros(wanted.shape[0], RECORD)
        self.records = grown(self.records, self.around.accounts)
        keep_records(events, self.records, self.around.registered, self.around.device_outlet, wanted, captured)
        rows: list[dict[str, Any]] = []
        done = 0
        for change in changes:
            until = int(np.searchsorted(looks, int(change["event"])))
            self._follow(looks[done:until], events, records)
            done = until
            record = captured[int(np.searchsorted(wanted, int(change["event"])))]
            rows.append(self._note(change, events, columns, said, posterior, record))
        self._follow(looks[done:], events, records)
        return rows

    def _follow(self, looks: NDArray[np.int64], events: NDArray[np.void], records: NDArray[np.int32]) -> None:
        for at in looks.tolist():
            name = self.context.accounts.names[int(events["account"][at])]
            self.book.look(name, int(events["seq"][at]), int(events["time"][at]), int(records[at]))

    # -- snapshots ---------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Named arrays and JSON-able parts from which `restore` builds the same pipeline (reference tables apart)."""
        out: dict[str, Any] = {
            "standing": self.standing.copy(), "presence": self.proofs.copy(), "table_tick": self.table_tick, "cases": self.book.snapshot(),
            "told": list(self.book.told), "frozen": self.frozen.copy(), "records": self.records.copy(),
        }  # fmt: skip
        parts: list[tuple[str, Any]] = [("context", self.context), ("coverage", self.coverage)]
        parts += [(f"detector.{detector.id}", detector) for detector in self.detectors]
        for name, part in parts:
            out |= {f"{name}/{key}": value for key, value in part.snapshot().items()}
        return out

    def restore(self, saved: dict[str, Any]) -> None:
        """Take over a snapshot; reference tables are applied afterwards, from the journal's reload records."""
        self.standing = np.asarray(saved["standing"]).copy()
        self.proofs = np.asarray(saved.get("presence", np.zeros(0, PROOF))).copy()  # version 4 knew no proofs
        self.table_tick = int(saved["table_tick"])
        self.book.restore(saved["cases"], saved["told"])
        self.records = np.asarray(saved["records"]).copy()
        self.frozen, self.shift = np.array(saved["frozen"], np.uint8), learned_prior(self.settings, self.book)
        self._watched = np.zeros(0, np.int32)
        parts: list[tuple[str, Any]] = [("context", self.context), ("coverage", self.coverage)]
        parts += [(f"detector.{detector.id}", detector) for detector in self.detectors]
        for name, part in parts:
            prefix = f"{name}/"
            own = {key.removeprefix(prefix): value for key, value in saved.items() if key.startswith(prefix)}
            if own:
                part.restore(own)
        self.refresh()

    def switched(self, settings: Settings) -> Pipeline:
        """This pipeline's state under other settings: what the settings made meaningless begins anew.

        With other roles, what was learned by role (coverage, peers' rates) does.
        """
        saved = self.snapshot()
        fresh = Pipeline(settings)
        fresh.on_scores = self.on_scores
        fresh.rules = self.rules
        if fresh.context.roles != self.context.roles:
            learned = ("coverage/", "detector.volume/", "detector.dormant/")
            saved = {name: value for name, value in saved.items() if not name.startswith(learned)}
        fresh.restore(saved)
        for name, table in self.context.tables.items():
            fresh.context.apply(name, table)
        fresh.refresh()
        return fresh

    def bytes_an_account(self) -> float:
        """State kept for each account, waiting looks and their factors included, on average."""
        fixed = (
            self.standing.itemsize
            + self.proofs.itemsize
            + self.records.itemsize
            + 1
            + self.coverage.habits.itemsize
            + self.context.desk.itemsize
        )
        fixed += sum(detector.bytes_an_account for detector in self.detectors)
        pooled = self.context.pool_used * (self.context.pool.itemsize + 24)
        pooled += sum(notes.held * notes.cells.itemsize for detector in self.detectors for notes in _notes_of(detector))
        return float(fixed + pooled / max(1, len(self.context.accounts)))


def _joined(parts: list[Verdicts]) -> Verdicts:
    if len(parts) == 1:
        return parts[0]
    kinds = {"row": np.int32, "decision": np.uint8, "reason": np.int16, "score": np.float32, "left": np.float32}
    columns: dict[str, NDArray[Any]] = {
        name: np.concatenate([np.zeros(0, kind), *(getattr(part, name) for part in parts)])
        for name, kind in kinds.items()
    }
    return Verdicts(**columns)


def _notes_of(detector: DetectorBase) -> list[LookNotes]:
    return [value for value in vars(detector).values() if isinstance(value, LookNotes)]

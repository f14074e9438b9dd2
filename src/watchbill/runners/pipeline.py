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

from watchbill.cases.book import CaseBook
from watchbill.cases.case import Signal
from watchbill.context.context import Context, grown
from watchbill.context.coverage import COVERAGE_GATED, Coverage, alone_of
from watchbill.context.events import CONFIRM, LOOK, RETRACT
from watchbill.context.lone import device_of
from watchbill.context.offices import offices_of
from watchbill.context.roster import post_at
from watchbill.detectors.base import FAMILIES, DetectorBase, Surroundings, load_detectors, surroundings_of
from watchbill.detectors.kernels import LookNotes
from watchbill.responses.budget import HOURS, WORK_FAMILIES, budget_of, kinds_of, under
from watchbill.responses.policy import (
    CHANGE,
    CHANGES_MAX,
    STANDING,
    STEP_UP,
    STEPS,
    apply_policy,
    enforced_steps,
    spans_ms,
    standing_at,
    thresholds,
    unproven,
)
from watchbill.responses.presence import PROOF, WHENCE, Presence, is_proof, proof_of, span_of, whence_of
from watchbill.rules.ruleset import RuleSet
from watchbill.rules.settings import RuleSettings
from watchbill.runners.answers import Asked, asked_of
from watchbill.runners.learning import learned_prior, suspected, until_of
from watchbill.runners.ruling import name_rules, rule_on, spent_budget
from watchbill.runners.shading import Shade
from watchbill.runners.tied import used
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
_IS_WORK: Final = np.array([family in WORK_FAMILIES for family in FAMILIES])
_HEARD, _MADE, _HINTED = range(3)
"""What a change is: of the ladder that the case book hears of; of the enforced one beside it; a shadow detector's."""


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
    """What a step says: verdicts, interventions as rows of interventions.ndjson, findings, shadow rows, answers to asks."""

    verdicts: Verdicts
    interventions: list[dict[str, Any]]
    findings: list[dict[str, Any]] = field(default_factory=list)
    shadow: list[dict[str, Any]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)


class Pipeline:
    """The state of the engine, and the step over it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.context = Context(settings)
        self.coverage = Coverage(
            len(self.context.roles), settings.gates, alone_of(self.context.roles, settings.reasons)
        )
        self.detectors = load_detectors(settings)
        self.standing, self.proofs = np.zeros(0, STANDING), np.zeros(0, PROOF)
        self.book = CaseBook({detector.id: detector.family for detector in self.detectors}, settings.cases)
        self.rules = RuleSet([], RuleSettings())
        self.records = np.zeros(0, RECORD)
        self.frozen = np.zeros(0, np.uint8)  # Surroundings.frozen
        self.shift = 0.0  # nats that verdicts move the posterior's prior
        self._watched = np.zeros(0, np.int32)  # dense accounts that have a case
        self.table_tick = 0
        self.around = Surroundings()
        spoken = [detector.family for detector in self.detectors if detector.id not in settings.detectors_shadow]
        self.enforced = enforced_steps(settings.policy)
        self.budget, self.hours = budget_of(settings.policy), np.zeros(0, HOURS)
        self.shade = Shade(settings, self.detectors)
        self._weights = shared_weights(settings.risk.weights, FAMILIES, spoken)
        curve = settings.risk.calibration
        self._raw, self._knots = np.array(curve.raw), np.array(curve.posterior)
        self._limits = thresholds(settings.policy)
        self.spans, self._span = spans_ms(settings.policy), span_of(settings.policy)
        self._whence = np.zeros(0, WHENCE)  # of the events of the running piece
        self.on_scores: Callable[..., None] | None = None  # runners/trace.py: what else would have been done
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
        self._shadow: list[dict[str, Any]] = []
        self._asked: list[Asked] = []
        answered = 0
        for start, stop in self._cuts(columns):
            piece = columns if stop - start == len(columns) else columns.cut(start, stop)
            verdicts, changes = self._piece(piece)
            verdicts.row = verdicts.row + np.int32(start)
            for asked in self._asked[answered:]:
                asked.row = asked.row + np.int32(start)
            answered = len(self._asked)
            parts.append(verdicts)
            interventions += changes
        self._findings.sort(key=lambda row: int(row["seq"]))
        return Output(_joined(parts), interventions, self._findings, self._shadow, self._asked)

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
        proofs = self.shade.proofs if self.shade.ladder else self.proofs
        self.around.frozen = self.frozen = suspected(self.whole_standing, self.frozen, proofs)
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
        self.hours = grown(self.hours, self.around.accounts)
        self.shade.grow(self.around.accounts)
        self.around.frozen = self.frozen = grown(self.frozen, self.around.accounts)
        self.coverage.mark(events, self.frozen)
        if "accounts" not in self.around.present:
            # without a roster nobody has a role: what roles declare is no ground for a step
            events["gated"] |= np.where(events["kind"] == RETRACT, 0, COVERAGE_GATED).astype(np.uint8)
        evidence, left, said = self._observe(events)
        n = events.shape[0]
        guarantee, posterior = np.zeros(n, np.float32), np.zeros(n, np.float32)
        risk = self.settings.risk
        fuse(evidence, self._weights, risk.prior_log_odds, risk.family_cap_nats, guarantee, posterior)
        sure = self._sure(evidence)
        joined = self.shade.joined(evidence, self.book.families, guarantee)
        findings = rule_on(self.rules, self.context, columns, facts, events, guarantee, self._limits)
        kinds = kinds_of(evidence, self._weights, _IS_WORK, guarantee, float(self._limits[STEP_UP]))
        self._whence = whence_of(events, self.around, self.offices, self.settings.policy)
        if self.on_scores is not None:
            self.on_scores(events, guarantee, left, self.steps, sure, joined, kinds, self._whence)
        changes, decisions, records = self._climb(events, guarantee, left, sure, kinds, joined, columns)
        calibrate(posterior, self._raw, self._knots, self.shift, posterior)
        rows, shadow = self._gather(changes, events, records, columns, said, posterior)
        name_rules(findings, [*rows, *shadow], self.book)
        self._findings += findings
        self._shadow += shadow
        if columns.asked.any():
            asked = asked_of(columns, events, decisions, self.standing)
            self._asked.append(asked)
            self.context.given.withhold(columns, facts["account"].copy(), asked.withheld)
        looks = (events["kind"] == LOOK) | (events["kind"] == CONFIRM)
        verdicts = Verdicts(
            events["row"][looks], decisions[looks], events["reason"][looks], posterior[looks], left[looks]
        )
        verdicts.left = np.where(verdicts.left < 0, -1 - verdicts.left, verdicts.left)
        return verdicts, rows

    def _observe(
        self, events: NDArray[np.void]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        """(evidence float32[families, n], tokens left, nats by detector); what shadow detectors say is put aside."""
        n = events.shape[0]
        evidence, left = np.zeros((len(FAMILIES), n), np.float32), np.full(n, 8.0, np.float32)
        said: dict[str, NDArray[np.float32]] = {}
        self.shade.said = {}
        for detector in self.detectors:
            nats = detector.observe(events, self.around)
            if detector.family == "bound":
                left = nats
            elif detector.id in self.shade.detectors:
                self.shade.said[detector.id] = nats
            else:
                said[detector.id] = nats
                family = FAMILIES.index(detector.family)
                np.maximum(evidence[family], nats, out=evidence[family])
        return evidence, left, said

    def _sure(self, evidence: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log guarantee number of canaries alone: what no budget of steps holds back."""
        family = FAMILIES.index("canary")
        weight = float(self._weights[family])
        nats = evidence[family]
        sure = np.where(nats > 0, nats + np.log(weight), 0.0) if weight > 0 else np.zeros_like(nats)
        return np.asarray(sure, np.float32)

    def _climb(
        self, events: NDArray[np.void], guarantee: NDArray[np.float32], left: NDArray[np.float32],
        sure: NDArray[np.float32], kinds: NDArray[np.uint8], joined: NDArray[np.float32], columns: Columns,
    ) -> tuple[list[tuple[int, NDArray[np.void]]], NDArray[np.uint8], NDArray[np.int32]]:  # fmt: skip
        """The ladder, and beside it what would have been done: ((what, CHANGE rows), decisions, records)."""
        n = events.shape[0]
        relax = float(np.log(self.settings.policy.relax_factor))
        decisions, records, alerts = np.zeros(n, np.uint8), np.zeros(n, np.int32), np.zeros(n, np.int32)
        made = np.zeros(CHANGES_MAX * n, CHANGE)
        count = apply_policy(
            events, guarantee, left, self.standing, self._limits, relax, self.spans, self.steps, decisions, records,
            made, self.enforced, sure, kinds, self.budget, self.hours, alerts,
            Presence(self.proofs, self._whence, self._span),
        )  # fmt: skip
        made, alerts = made[:count], alerts[: int(self.budget["alerts"][0])]
        hints = self.shade.hints(events, guarantee, joined, self._limits, self.steps, int(self.spans[0]))
        if self.shade.ladder:
            whole = self.shade.climb(
                events, guarantee, left, sure, kinds, self.steps, self._limits, relax, self.spans, self._whence
            )
            alerts = self.shade.alerts
            changes = [(_HEARD, whole), (_MADE, made), (_HINTED, hints)]
        else:
            changes = [(_HEARD, made), (_HINTED, hints)]
        self._findings += spent_budget(alerts, events, columns)
        return changes, decisions, records

    @property
    def whole_standing(self) -> NDArray[np.void]:
        """Standing by evidence, steps in shadow included."""
        return self.shade.standing if self.shade.ladder else self.standing

    def standing_of(self, account: int, now: int) -> NDArray[np.void]:
        """STANDING[1] of a dense account as it is at `now` (epoch ms of arrival), also without a further record of it."""
        if not 0 <= account < self.standing.shape[0]:
            return np.zeros(1, STANDING)
        return standing_at(self.standing[account : account + 1], now, self.spans, self.enforced)

    def _note(
        self, what: int, change: np.void, events: NDArray[np.void], columns: Columns,
        said: dict[str, NDArray[np.float32]], posterior: NDArray[np.float32], record: np.void,
    ) -> dict[str, Any]:  # fmt: skip
        """One row of interventions.ndjson (or of shadow.ndjson); the case book hears of what it is to hear of."""
        at = int(change["event"])
        event = events[at]
        account = self.context.accounts.names[int(change["account"])]
        spoken = self.shade.said if what == _HINTED else said
        nats = {} if is_proof(change) else _nats(spoken, at)
        if what == _HEARD:
            case = self.book.take(self._signal(change, events, columns, said, posterior, record))
        else:
            case = next((self.book.lead(one).id for one in self.book.of(account)), None)
        e_values: dict[str, float] = {}
        for name, value in nats.items():
            e_value = round(float(np.exp(min(value, 700.0))), 3)
            family = self.book.families[name]
            e_values[family] = max(e_value, e_values.get(family, 0.0))
        lone, row = device_of(account), int(event["row"])
        return {
            "seq": int(columns.seq[row]), "id": columns.text("id", row), "time": int(columns.time[row]),
            **({"device": lone} if lone else {"account": account}), "step": STEPS[int(change["new"])],
            "until": until_of(int(change["until"])), "case": case, "evidence": e_values,
            **proof_of(change, events, self._whence, self._span, columns),
        }  # fmt: skip

    def _signal(
        self, change: np.void, events: NDArray[np.void], columns: Columns, said: dict[str, NDArray[np.float32]],
        posterior: NDArray[np.float32], record: np.void,
    ) -> Signal:  # fmt: skip
        """What the case book hears of a change of standing."""
        at, proven = int(change["event"]), is_proof(change)
        event = events[at]
        account, row = self.context.accounts.names[int(change["account"])], int(event["row"])
        post, _ = post_at(
            self.context.roster.first, self.context.roster.posts, int(change["account"]), int(event["time"])
        )
        devices, lines = used(event, columns, self.around)
        return Signal(
            seq=int(columns.seq[row]), time=int(columns.time[row]), account=account, old=int(change["old"]),
            new=int(change["new"]), since=int(change["since"]), records=int(change["records"]),
            posterior=float(posterior[at]), base=unshifted(float(posterior[at]), self.shift), evidence={} if proven else _nats(said, at),
            devices=devices, lines=lines, shadow={} if proven else _nats(self.shade.said, at),
            persons_of_account=int(self.context.roster.posts[post]["persons"]) if post >= 0 else 1,
            role=self.context.roles[int(event["role"])], taken_back=bool(event["kind"] == RETRACT),
            for_person=tuple(self._for_person(event, account, record)),
        )  # fmt: skip

    def _for_person(self, event: np.void, account: str, record: np.void) -> list[dict[str, Any]]:
        """What speaks for the person at an event: the account's record, and what detectors know."""
        clean = all(case.status == "dismissed" for case in self.book.of(account))
        rows = for_person(clues_of(record, event, clean=clean))
        for detector in self.detectors:
            for one in () if detector.id in self.shade.detectors else detector.for_person(event, self.around):
                rows.append(contribution(detector.id, one.nats, one.text_en, one.text_zh, one.records))
        return sorted(rows, key=lambda row: (row["nats"], row["detector"]))

    def _gather(
        self, made: list[tuple[int, NDArray[np.void]]], events: NDArray[np.void], records: NDArray[np.int32],
        columns: Columns, said: dict[str, NDArray[np.float32]], posterior: NDArray[np.float32],
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:  # fmt: skip
        """Changes of standing to the book and to rows (interventions, shadow), in order of their events.

        Between them, in order, further unexplained looks of the book's accounts.
        """
        changes = np.concatenate([rows for _, rows in made])
        kinds = np.concatenate([np.full(rows.shape[0], what, np.uint8) for what, rows in made])
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
        shadow: list[dict[str, Any]] = []
        done = 0
        # by event, then by kind; most steps of one record change nothing
        order = np.lexsort((kinds, changes["event"])).tolist() if kinds.shape[0] else []
        for number in order:
            change, what = changes[number], int(kinds[number])
            until = int(np.searchsorted(looks, int(change["event"])))
            self._follow(looks[done:until], events, records)
            done = until
            record = captured[int(np.searchsorted(wanted, int(change["event"])))]
            row = self._note(what, change, events, columns, said, posterior, record)
            self._file(what, change, row, rows, shadow)
        self._follow(looks[done:], events, records)
        return rows, shadow

    def _file(
        self, what: int, change: np.void, row: dict[str, Any], rows: list[dict[str, Any]], shadow: list[dict[str, Any]]
    ) -> None:
        """Put a row where it belongs: what a person meets, or what would have been."""
        if what == _MADE or (what == _HEARD and not self.shade.ladder):
            rows.append(row)
        elif what == _HINTED or self.shade.tells(int(change["old"]), int(change["new"])):
            by = "detectors" if what == _HINTED else "steps"
            self.shade.rows[by] += 1
            spoke = {"detectors": sorted(_nats(self.shade.said, int(change["event"])))} if what == _HINTED else {}
            shadow.append(row | {"by": by} | spoke)

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
            "budget": self.budget.copy(), "hours": self.hours.copy(),
        }  # fmt: skip
        parts: list[tuple[str, Any]] = [
            ("context", self.context), ("coverage", self.coverage), ("shade", self.shade),
        ]  # fmt: skip
        parts += [(f"detector.{detector.id}", detector) for detector in self.detectors]
        for name, part in parts:
            out |= {f"{name}/{key}": value for key, value in part.snapshot().items()}
        return out

    def restore(self, saved: dict[str, Any]) -> None:
        """Take over a snapshot; reference tables are applied afterwards, from the journal's reload records."""
        self.standing = np.asarray(saved["standing"]).copy()
        older = unproven(self.standing, self.settings.policy)  # version 4 of a checkpoint has no proofs
        self.proofs = np.asarray(saved.get("presence", older)).copy()
        self.table_tick = int(saved["table_tick"])
        self.book.restore(saved["cases"], saved["told"])
        self.records = np.asarray(saved["records"]).copy()
        self.frozen, self.shift = np.array(saved["frozen"], np.uint8), learned_prior(self.settings, self.book)
        self._watched = np.zeros(0, np.int32)
        if "budget" in saved:  # a checkpoint of an older release has none
            self.budget = under(np.asarray(saved["budget"]).copy(), self.settings.policy)
            self.hours = np.asarray(saved["hours"]).copy()
        shade = {name.removeprefix("shade/"): value for name, value in saved.items() if name.startswith("shade/")}
        self.shade.restore(shade, self.standing, self.proofs)
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
            + self.hours.itemsize
            + self.shade.bytes_an_account
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


def _nats(said: dict[str, NDArray[np.float32]], at: int) -> dict[str, float]:
    """What speaks at an event: detector -> nats."""
    return {name: round(float(values[at]), 3) for name, values in said.items() if values[at] > 0}


def _notes_of(detector: DetectorBase) -> list[LookNotes]:
    return [value for value in vars(detector).values() if isinstance(value, LookNotes)]

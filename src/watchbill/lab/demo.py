"""The demo's world and its closed loop: a small carrier with one rented number, whose systems obey what Watchbill answers.

The records are the lab's. Before the rented number's next look is recorded, its standing is asked: refused looks are
written as denied, masked ones as masked, so that the ledger holds what was really shown. A look that brings the account
to a stop counts as shown. Everything else runs through the engine as a live source would.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from watchbill.core.hashing import hash_text
from watchbill.core.settings import Settings
from watchbill.lab.attacks.base import AttackSpec
from watchbill.lab.simulator.world import build_world
from watchbill.ledger.sealing import Sealer
from watchbill.records.batch import Batch
from watchbill.records.schema import LOOKS
from watchbill.responses.policy import DO_ASK, DO_STEP_UP, END_SESSION, MASK, STEP_UP, STEPS, SUSPEND
from watchbill.runners.engine import Engine
from watchbill.runners.local import publish
from watchbill.sources.base import open_source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from watchbill.records.columns import Columns
    from watchbill.runners.clock import Clock
    from watchbill.runners.pipeline import Output

OUTLETS: Final = 8
SCALE: Final = 0.2
PIECE_ROWS: Final = 1024
"""Records stepped over between two looks at the screen."""
LEASE_DAY: Final = 6
LEASE_DAYS: Final = 2
RENT_YUAN_A_DAY: Final = 500.0
"""What the owners of rented numbers got (shared/domain.md)."""
YUAN_A_RECORD: Final = 1.0
"""What a record was sold for (shared/domain.md)."""
DAYS_MIN: Final = 4
_SEAL_SECONDS_MAX: Final = 600.0


@dataclass(frozen=True)
class Lease:
    """The truth about the rented number, which only the lab knows; `persons` would have been seen without a watch."""

    account: str
    since: int
    until: int
    ids: frozenset[str]
    looks: int
    persons: int
    days: int


@dataclass
class Tally:
    """What has happened so far. Times in epoch ms; `renter_*` count the renter's looks, `owner_*` the owner's own."""

    records: int = 0
    looks: int = 0
    explained: int = 0
    clock: int = 0
    standing: str = "none"
    renter_shown: int = 0
    renter_refused: int = 0
    shown_before_stop: int | None = None
    stopped_at: int | None = None
    stopped_as: str = ""
    owner_refused: int = 0
    honest_asked: int = 0
    honest_stopped: set[str] = field(default_factory=set)
    events: list[tuple[int, str, str, bool]] = field(
        default_factory=list
    )  # time, account, what, about the rented number

    @property
    def share_explained(self) -> float:
        """Looks with a declared reason, of all looks."""
        return self.explained / self.looks if self.looks else 0.0


class Demo:
    """One showing: `build`, `play`, `close`, then `story`."""

    def __init__(self, folder: Path, clock: Clock, *, seed: int, days: int) -> None:
        self.world, self.home, self.out = folder / "world", folder / "home", folder / "out"
        self.clock, self.seed, self.days = clock, seed, days
        self.tally = Tally()
        self.began = clock.monotonic()
        self.first_verdict_seconds: float | None = None
        self.accounts = 0
        self.lease = Lease("", 0, 0, frozenset(), 0, 0, 0)
        self.summary: dict[str, Any] = {}

    def build(self) -> None:
        """Make the carrier and read the truth about its rented number."""
        day = min(LEASE_DAY, self.days - 2)
        span = min(LEASE_DAYS, self.days - day)
        build_world(
            self.world, seed=self.seed, days=self.days, outlets=OUTLETS, scale=SCALE,
            attacks=[AttackSpec("blatant_lease", day=day, days=span)],
        )  # fmt: skip
        attack = json.loads((self.world / "truth" / "attacks.json").read_text(encoding="utf-8"))[0]
        looks = pq.read_table(self.world / "truth" / "looks.parquet", columns=["id", "attack"])
        ids = looks.filter(looks.column("attack").is_valid()).column("id").to_pylist()
        self.lease = Lease(
            attack["accounts"][0],
            attack["from"],
            attack["until"],
            frozenset(ids),
            attack["looks"],
            attack["persons"],
            span,
        )

    def records_unwatched(self) -> int:
        """Records that the renter would have got: his looks that found somebody."""
        count, account = 0, f'"account":"{self.lease.account}"'.encode()
        for path in sorted((self.world / "records").iterdir()):
            with path.open("rb") as lines:
                found = [json.loads(line) for line in lines if account in line and b'"subjects"' in line]
            count += sum(one["id"] in self.lease.ids and one["outcome"] == "success" for one in found)
        return count

    def play(self, tell: Callable[[Tally], None]) -> None:
        """Replay all of it; `tell` is called after each piece that was stepped over."""
        engine = Engine(self.home, Settings(), self.clock)
        engine.on_step = self._listen
        child = Sealer.start(self.home)
        try:
            engine.reload(self.world / "reference")
            source = open_source("carrier", {"kind": "files", "paths": [str(self.world / "records")]})
            for batch in source.read(None, stop=lambda: False):
                self._feed(engine, batch, tell)
            engine.checkpoint()
        finally:
            engine.close()
            report = child.finish(_SEAL_SECONDS_MAX)
        self.summary = publish(engine, self.out, self.clock.monotonic() - self.began, report)
        self.accounts = self.summary["accounts"]

    # -- the carrier obeys -------------------------------------------------------------------------------------

    def _feed(self, engine: Engine, batch: Batch, tell: Callable[[Tally], None]) -> None:
        """Hand a batch over in pieces, so that no look of the rented number is recorded before its standing is known."""
        table = batch.table
        own = np.flatnonzero(np.asarray(pc.fill_null(pc.equal(table.column("account"), self.lease.account), False)))
        renter = np.asarray(pc.is_in(table.column("id"), pa.array(sorted(self.lease.ids), pa.string())))
        times = np.asarray(pc.coalesce(table.column("received"), table.column("time")))
        at = 0
        while at < table.num_rows:
            ahead = own[own >= at]
            how, until = self._answer(engine, int(times[ahead[0]]) if ahead.shape[0] else None)
            stop = table.num_rows
            if how == "allow":
                looks = ahead[renter[ahead]]
                stop = int(looks[0]) + 1 if looks.shape[0] else stop
            elif ahead.shape[0]:
                later = ahead[times[ahead] >= until]
                stop = max(at + 1, int(later[0])) if later.shape[0] else stop
            stop = min(stop, at + PIECE_ROWS)
            self._take(engine, batch, np.arange(at, stop), how, renter)
            tell(self.tally)
            at = stop

    def _answer(self, engine: Engine, when: int | None) -> tuple[str, int]:
        """(allow, mask, prove or deny; until) for the rented number's next look at `when`."""
        account = engine.pipeline.context.accounts.find(self.lease.account)
        if when is None or not 0 <= account < engine.pipeline.standing.shape[0]:
            return "allow", 0
        standing = engine.pipeline.standing[account]
        step, until = int(standing["step"]), int(standing["until"])
        if step == SUSPEND and when >= until:
            return "mask", when + 1  # the suspension ends with this look; everything is masked from then on
        rest = int(engine.pipeline.proofs[account]["rest_until"])
        if step < STEP_UP and when < rest:
            return "prove", rest  # the owner proved presence; that frees the owner's place, not the renter's
        if step < MASK or when >= until:
            return "allow", 0
        if step >= END_SESSION:
            return "deny", until
        if step >= STEP_UP:
            return "prove", until
        return ("mask", until) if step == MASK and standing["whole"] else ("allow", 0)

    def _take(self, engine: Engine, batch: Batch, rows: NDArray[np.int64], how: str, renter: NDArray[np.bool_]) -> None:
        table = batch.table.slice(int(rows[0]), rows.shape[0])
        if how != "allow":
            table = self._obeyed(table, how, renter[rows])
        piece = Batch(
            table.combine_chunks(), batch.source, batch.position, batch.quarantined if rows[0] == 0 else [],
            None if batch.derived is None else batch.derived[rows],
            None if batch.origin is None else batch.origin.take(rows),
        )  # fmt: skip
        engine.take(piece)
        self.tally.clock = engine.arrival
        account = engine.pipeline.context.accounts.find(self.lease.account)
        if 0 <= account < engine.pipeline.standing.shape[0]:
            self.tally.standing = STEPS[int(engine.pipeline.standing[account]["step"])]

    def _obeyed(self, table: pa.Table, how: str, renter: NDArray[np.bool_]) -> pa.Table:
        """The piece as the carrier's systems would record it: a renter cannot prove presence, the owner can."""
        own = np.asarray(pc.fill_null(pc.equal(table.column("account"), self.lease.account), False))
        look = np.asarray(pc.is_in(table.column("kind"), pa.array(LOOKS)))
        hit = own & look & (renter if how == "prove" else True)
        self.tally.owner_refused += int(np.sum(hit & ~renter))
        name, value = ("masked", pa.scalar(True)) if how == "mask" else ("outcome", pa.scalar("denied"))
        at = table.schema.get_field_index(name)
        changed = pc.if_else(pa.array(hit), value, table.column(name))
        return table.set_column(at, table.schema.field(name), changed.cast(table.schema.field(name).type))

    # -- counting ----------------------------------------------------------------------------------------------

    def _listen(self, columns: Columns, output: Output) -> None:
        tally, verdicts = self.tally, output.verdicts
        if self.first_verdict_seconds is None and verdicts.row.shape[0]:
            self.first_verdict_seconds = round(self.clock.monotonic() - self.began, 2)
        tally.records += len(columns)
        tally.looks += int(verdicts.row.shape[0])
        tally.explained += int(np.sum(verdicts.reason > 0))
        leased = columns.account[verdicts.row] == np.uint64(hash_text(self.lease.account))
        honest = verdicts.decision * ~leased
        tally.honest_asked += int(np.sum((honest > 0) & (honest <= DO_ASK)))
        stopped = verdicts.row[honest >= DO_STEP_UP]
        tally.honest_stopped |= {columns.text("account", int(row)) for row in stopped}
        for row in verdicts.row[leased].tolist():
            if columns.text("id", row) in self.lease.ids:
                self._renter_look(columns, row)
        for change in output.interventions:
            self._intervention(change)

    def _renter_look(self, columns: Columns, row: int) -> None:
        refused = columns.text("outcome", row) == "denied" or bool(columns.masked[row])
        self.tally.renter_refused += refused
        if not refused and columns.text("outcome", row) != "failure":
            self.tally.renter_shown += 1

    def _intervention(self, change: dict[str, Any]) -> None:
        who = change.get("account") or f"device {change['device']}"
        tally, mine = self.tally, who == self.lease.account
        step = STEPS.index(change["step"])
        if mine and step >= STEP_UP and change["time"] >= self.lease.since and tally.stopped_at is None:
            tally.stopped_at, tally.shown_before_stop = int(change["time"]), tally.renter_shown
            tally.stopped_as = change["step"]
        why = ", ".join(f"{family} e={value:,.0f}" for family, value in change["evidence"].items() if value > 1)
        tally.events.append((int(change["time"]), who, f"{change['step']}" + (f" ({why})" if why else ""), mine))

    # -- the end -----------------------------------------------------------------------------------------------

    def story(self) -> dict[str, Any]:
        """What happened, as one JSON-able document; money is an estimate from shared/domain.md's figures."""
        tally, lease = self.tally, self.lease
        unwatched = self.records_unwatched()
        seconds = None if tally.stopped_at is None else (tally.stopped_at - lease.since) / 1000
        return {
            "seed": self.seed, "days": self.days, "records": tally.records, "looks": tally.looks,
            "looks_explained": round(tally.share_explained, 4), "accounts": self.accounts,
            "first_verdict_seconds": self.first_verdict_seconds, "leased_account": lease.account,
            "lease_from": lease.since, "lease_until": lease.until, "stopped": tally.stopped_at is not None,
            "stopped_at": tally.stopped_at, "stopped_as": tally.stopped_as, "seconds_to_stop": seconds,
            "records_before_stop": tally.shown_before_stop, "records_in_all": tally.renter_shown, "looks_refused": tally.renter_refused,
            "owner_looks_refused": tally.owner_refused,
            "unwatched": {
                "records": unwatched, "persons": lease.persons, "rent_yuan_estimate": lease.days * RENT_YUAN_A_DAY,
                "worth_yuan_estimate": unwatched * YUAN_A_RECORD,
            },
            "watched": {"records": tally.renter_shown, "worth_yuan_estimate": tally.renter_shown * YUAN_A_RECORD},
            "honest": {
                "stepped_up_or_worse": len(tally.honest_stopped), "looks_masked_or_asked": tally.honest_asked,
            },
        }  # fmt: skip

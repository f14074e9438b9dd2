"""The dry run of a policy: the ledger of a home through two pipelines, under the settings in force and under proposed ones.

Read-only for the home. Reference tables, rules, what people decide and do with cases and keys' proofs of presence change where the journal says
they did; settings of the past do not: both sides run under one setting from the first record on, so that the difference is that of the settings.
What a stop would have changed in what came after it (a renter who gives up) is not in it, as in any replay.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from watchbill.cases.acts import ACTS
from watchbill.context.lone import device_of
from watchbill.ledger.reader import Ledger
from watchbill.records.columns import columns_of
from watchbill.records.schema import CONTROL_PREFIX
from watchbill.rules.bundle import ruleset_of
from watchbill.runners.backtest import runs_of
from watchbill.runners.checkpoint import load_checkpoint, save_checkpoint
from watchbill.runners.judging import act_on, judge
from watchbill.runners.kept import digest_of
from watchbill.runners.pipeline import Pipeline
from watchbill.runners.proving import PRESENCE, prove
from watchbill.runners.references import References
from watchbill.runners.ruleskept import RulesKept
from watchbill.runners.trytally import DIFFER_MAX, Side, changed_settings, differing, sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pyarrow as pa

    from watchbill.core.settings import Settings
    from watchbill.runners.clock import Clock

NOW: Final = "now"
NEW: Final = "new"
PIECE_ROWS: Final = 50_000
"""Records between two looks at whether somebody wants it to stop."""
SAVE_SECONDS: Final = 60.0
LATE_MS: Final = 7 * 86_400_000
"""How long after the asked span its records may still arrive."""
_FOREVER: Final = 1 << 62


@dataclass(frozen=True)
class Wanted:
    """What is tried: settings in force and proposed, times [begin, end) that count (epoch ms), and whose case is whose.

    `accounts`: case id -> account, from cases.ndjson of the home; verdicts name cases.
    """

    now: Settings
    new: Settings
    begin: int = 0
    end: int = _FOREVER
    accounts: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """By which saved work is known to be of the same question."""
        texts = [self.now.model_dump_json(), self.new.model_dump_json(), str(self.begin), str(self.end)]
        return digest_of("\n".join(texts))


class _Half:
    """One side: a pipeline, its counts, and the tables and rules in force in it."""

    def __init__(self, home: Path, settings: Settings) -> None:
        self.pipeline = Pipeline(settings)
        self.side = Side()
        self.references: dict[str, str] = {}
        self.rules: dict[str, Any] = {}
        self._tables, self._kept = References(home), RulesKept(home)

    def obey(self, kind: str, told: dict[str, Any], seq: int) -> None:
        """Put a control record into force; settings of the past are passed over."""
        if kind == "wb.reload":
            self.references[told["table"]] = told["digest"]
            self.pipeline.apply(told["table"], self._tables.take(told["table"], told["digest"]))
        elif kind == "wb.rules":
            self.rules = told
            self.pipeline.rules = ruleset_of(self._kept.take(told), self.pipeline.rules)
        elif kind == "wb.verdict":
            known = told["case"] in self.pipeline.book.cases
            for change in judge(self.pipeline, told if known else told | {"case": ""}, seq):
                self.side.change(change, counts=False)  # a person's word, no step of the policy
        elif kind in ACTS:
            for change in act_on(self.pipeline, kind, told, seq):
                self.side.change(change, counts=False)
        elif kind == PRESENCE:  # it frees what is stopped under these settings, and nothing where nothing is
            for change in prove(self.pipeline, told, seq):
                self.side.change(change, counts=False)

    def save(self, folder: Path, height: int, more: dict[str, Any]) -> None:
        """Write everything to `folder`, so that it can go on at `height`."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = self.pipeline.snapshot() | {
            "try": {"references": self.references, "rules": self.rules, "side": self.side.to_json(), **more},
            "try_rules": self.pipeline.rules.snapshot(),
        }
        save_checkpoint(folder, height, state)

    def load(self, state: dict[str, Any]) -> None:
        """The inverse of `save`."""
        kept = state["try"]
        self.pipeline.restore(state)
        for name, key in kept["references"].items():
            self.obey("wb.reload", {"table": name, "digest": key}, 0)
        if kept["rules"]:
            self.obey("wb.rules", kept["rules"], 0)
            self.pipeline.rules.restore(state["try_rules"])
        self.side = Side.from_json(kept["side"])


@dataclass
class Tried:
    """What came of it; `finished` False when it was stopped before the end."""

    report: dict[str, Any]
    finished: bool


class Tryout:
    """A dry run; `run` goes through the ledger, and on where an earlier one with the same question stopped (`work`)."""

    def __init__(self, home: Path, wanted: Wanted, clock: Clock, *, work: Path | None = None) -> None:
        """Open it.

        Raises:
            LedgerError: the ledger or a kept table is damaged.
        """
        self.home, self.wanted, self.clock, self.work = home, wanted, clock, work
        self.ledger = Ledger(home)
        self.halves = {NOW: _Half(home, wanted.now), NEW: _Half(home, wanted.new)}
        self.judged: dict[str, str] = {}
        self.done = self.records = 0
        self._resume()

    def run(
        self, told: Callable[[int, int], None] = lambda _done, _height: None, stop: Callable[[], bool] = lambda: False
    ) -> Tried:
        """Go through the ledger; `told` hears (seq, height)."""
        last, finished = self.clock.monotonic(), True
        for first, part in self._pieces():
            if stop():
                finished = False
                break
            if int(part.column("arrival")[0].as_py()) > self.wanted.end + LATE_MS:
                break
            self._take(first, part)
            self.done = first + part.num_rows
            told(self.done, self.ledger.height)
            if self.clock.monotonic() - last > SAVE_SECONDS:
                self._save()
                last = self.clock.monotonic()
        if not finished:
            self._save()
        return Tried(self._report(finished=finished), finished)

    def _pieces(self) -> Iterator[tuple[int, pa.Table]]:
        """(first seq, rows) from `done` on, control records apart."""
        for table in self.ledger.in_order():
            if table.num_rows and int(table.column("seq")[-1].as_py()) >= self.done:
                yield from self._cut(table)

    def _cut(self, table: pa.Table) -> Iterator[tuple[int, pa.Table]]:
        for first, part in runs_of(table):
            for start in range(max(0, self.done - first), part.num_rows, PIECE_ROWS):
                yield first + start, part.slice(start, PIECE_ROWS).combine_chunks()

    def _take(self, first: int, part: pa.Table) -> None:
        if part.column("kind")[0].as_py().startswith(CONTROL_PREFIX):
            for at, (kind, extra) in enumerate(
                zip(part.column("kind").to_pylist(), part.column("extra").to_pylist(), strict=True)
            ):
                told = json.loads(extra or "{}")
                if told:  # an erased record says nothing
                    self._obey(kind, told, first + at)
            return
        columns = columns_of(part, first)
        self.records += len(columns)
        for half in self.halves.values():
            half.side.hear(columns, half.pipeline.step(columns), self.wanted.begin, self.wanted.end)

    def _obey(self, kind: str, told: dict[str, Any], seq: int) -> None:
        if kind == "wb.verdict":
            account = told.get("account") or self.wanted.accounts.get(told.get("case", ""), "")
            if not account:
                return  # of a case that the home does not list any more
            told = told | {"account": account, "case": told.get("case", "")}
            if told["verdict"] in {"dismissed", "confirmed"}:
                self.judged[device_of(account) or account] = told["verdict"]
        for half in self.halves.values():
            half.obey(kind, told, seq)

    def _save(self) -> None:
        if self.work is None:
            return
        more = {"digest": self.wanted.digest, "judged": self.judged, "records": self.records}
        for name, half in self.halves.items():
            half.save(self.work / name, self.done, more)

    def _resume(self) -> None:
        """Go on from saved work of the same question, if both sides have it at one height."""
        if self.work is None:
            return
        # each side keeps its last two: a run killed between them goes on at the one that both have
        highest = self.ledger.height
        for _ in range(2):
            found = {name: load_checkpoint(self.work / name, highest) for name in self.halves}
            heights = {-1 if saved is None else saved[0] for saved in found.values()}
            highest = min(heights)
        same = all(saved and saved[1]["try"]["digest"] == self.wanted.digest for saved in found.values())
        if len(heights) > 1 or not same:
            return
        for name, half in self.halves.items():
            saved = found[name]
            if saved is not None:
                half.load(saved[1])
                self.done, kept = saved[0], saved[1]["try"]
                self.judged, self.records = dict(kept["judged"]), int(kept["records"])

    def _report(self, *, finished: bool) -> dict[str, Any]:
        now, new = self.halves[NOW].side, self.halves[NEW].side
        rows = differing(now, new, self.judged)
        sides = {name: half.side.report(self.judged, half.pipeline.settings) for name, half in self.halves.items()}
        for name, half in self.halves.items():
            purse = half.pipeline.shade.budget if half.pipeline.shade.ladder else half.pipeline.budget
            sides[name]["budget"] = {
                "hours_spent": int(purse["hours_spent"].sum()), "refused": int(purse["refused_ever"].sum()),
            }  # fmt: skip
        return {
            "height": self.ledger.height, "done": self.done, "finished": finished, "records": self.records,
            "from": self.wanted.begin or None, "to": self.wanted.end if self.wanted.end < _FOREVER else None,
            "settings": changed_settings(self.wanted.now, self.wanted.new), **sides, "differ_count": len(rows),
            "differ": rows[:DIFFER_MAX], "summary": sentence(sides[NOW], sides[NEW]),
        }  # fmt: skip

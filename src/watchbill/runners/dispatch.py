"""From changes of standing to other systems: what each change means for each action, and one thread an action that sends.

The engine's thread calls `hear` (a change, once durable) and `sweep` (each second: steps whose time is over though no record
of that account came since, suspensions that nobody looked at). Both only write the outbox; the actions' threads send from it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from watchbill.core.errors import ActionError, WatchbillError
from watchbill.responses.base import Order
from watchbill.responses.policy import STEPS
from watchbill.runners.outbox import Entry, Outbox, Standing

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from watchbill.responses.base import Action
    from watchbill.runners.clock import Clock

TAIL_BYTES: Final = 4 << 20
"""How much of interventions.ndjson a start looks at for changes that the last run could not write down."""
MISSED_MAX: Final = 100_000
IDLE_SECONDS: Final = 0.5
PRUNE_SECONDS: Final = 3_600.0
SAID_SECONDS: Final = 60.0
_HOUR_MS: Final = 3_600_000
_RANK: Final = {step: rank for rank, step in enumerate(STEPS)}
_SUSPEND: Final = "suspend"
_LAPSES_TO: Final = "mask"
"""What a suspension gives way to when nobody looked (responses/policy.py); evidence taken back never leads there."""


@dataclass(frozen=True, slots=True)
class Now:
    """What the engine holds of somebody at this moment, also without a further record: step, and until when (None = no end)."""

    step: str
    until: int | None


class Dispatcher:
    """The actions of one home. `on_call`: names of actions that page people, in order."""

    def __init__(
        self, actions: Mapping[str, Action], outbox: Outbox, clock: Clock, rng: random.Random, *,
        on_call: Iterable[str] = (), tell: Callable[[str], None] = lambda _text: None,
    ) -> None:  # fmt: skip
        self.actions, self.outbox, self.clock = dict(actions), outbox, clock
        self.on_call = tuple(on_call)
        self._rng, self._tell = rng, tell
        self._told_of = {_SUSPEND, *(step for action in self.actions.values() for step in action.settings.on)}
        self._said: dict[str, float] = {}
        self._age_ms = int(outbox.settings.age_minutes * 60_000)
        self._missed: list[dict[str, Any]] = []
        self._threads: list[threading.Thread] = []
        self._end = threading.Event()
        self._pruned = float("-inf")
        self._swept = False

    def _say(self, text: str) -> None:
        """Tell the operator; the same words once a minute at most."""
        now = self.clock.monotonic()
        self._said = {said: at for said, at in self._said.items() if now - at < SAID_SECONDS}
        if text not in self._said:
            self._said[text] = now
            self._tell(text)

    # -- hearing (the engine's thread) -------------------------------------------------------------------------

    def hear(self, rows: Iterable[dict[str, Any]]) -> None:
        """Note changes of standing, rows of interventions.ndjson in order; one that came before changes nothing.

        When the disk does not take it, they are kept and tried again with the next call or sweep.
        """
        self._missed += rows
        if not self._missed:
            return
        try:
            with self.outbox.writing():
                for row in self._missed:
                    self._take(row, self.clock.now_ms())
            self._missed.clear()
        except sqlite3.Error as error:
            self._say(f"the outbox does not take changes of standing ({type(error).__name__}); they are kept and wait")
            if len(self._missed) > MISSED_MAX:
                del self._missed[:-MISSED_MAX]
                self._say(f"more than {MISSED_MAX} changes of standing wait for the outbox: the oldest are not told")

    def hearer(self, path: Path) -> Callable[[list[dict[str, Any]]], None]:
        """`hear`, after catching up at the first call: an engine that opens calls only once the home is its own."""
        left = [path]

        def said(rows: list[dict[str, Any]]) -> None:
            while left:
                self.catch_up(left.pop())
            self.hear(rows)

        return said

    def catch_up(self, path: Path) -> None:
        """Hear what stands at the end of interventions.ndjson and is young, or ends an open step."""
        if not path.exists():
            return
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read(TAIL_BYTES).split(b"\n")
        young = self.clock.now_ms() - self._age_ms
        for line in lines[1 if size > TAIL_BYTES else 0 : -1]:
            try:
                row = json.loads(line)
            except ValueError:
                continue  # a torn line: the engine makes it again
            if row["time"] >= young or self.outbox.opened(_who(row)):
                self.hear([row])

    def _take(self, row: Mapping[str, Any], now: int) -> None:
        who, step = _who(row), str(row["step"])
        before = self.outbox.standing(who)
        if before is not None and before.heard(row["seq"], step):
            return
        was_suspended = before is not None and before.step == _SUSPEND
        if step not in self._told_of and not was_suspended and not self.outbox.opened(who):
            return  # nobody is told of it: nothing is written, and the engine waits for no disk
        order = order_of(row, self.outbox.salt)
        if before is not None and before.step == _SUSPEND and _ran_out(before, row, now):
            self._nobody_looked(before, now)
        self._step(who, order, now)
        if step == _SUSPEND and (before is None or before.step != _SUSPEND):
            self._page(self.on_call[:1], who, order, "page", now, fresh=now - order.time <= self._age_ms)
        same = before is not None and before.seq == row["seq"]
        steps = (*before.steps, step) if before is not None and same else (step,)
        self.outbox.stand(Standing(who, row["seq"], steps, step, row.get("until"), order.to_json()), now)

    def _step(self, who: str, order: Order, now: int) -> None:
        """Undo what stands higher than the new step, then apply the new one where it is asked for."""
        opened = self._undo_over(who, order.step, order.txn, now)
        for name, action in self.actions.items():
            if order.step not in action.settings.on:
                continue
            again = [entry for entry in opened if entry.action == name and entry.step == order.step]
            for entry in again:
                self.outbox.prolong(entry, order.until)
            if not again:
                self._apply(name, action, who, order, now)

    def _undo_over(self, who: str, step: str, txn: str, now: int) -> list[Entry]:
        """Take back what is higher than a step, the highest first; what stays open."""
        stays = []
        for entry in sorted(self.outbox.opened(who), key=lambda one: (-_RANK[one.step], one.id)):
            if _RANK[entry.step] <= _RANK[step]:
                stays.append(entry)
            elif self.outbox.finish(entry, now):
                was = entry.order
                undo = replace(was, id=_id(entry.delivery, "undo"), verb="undo", undoes=was.id, until=None, txn=txn)
                self.outbox.add(entry.action, who, undo, now, undoes=entry.id)
        return stays

    def _apply(self, name: str, action: Action, who: str, order: Order, now: int) -> None:
        told = replace(order, id=_id(name, order.txn, "apply"))
        why_not = action.suits(told)
        if now - order.time > self._age_ms:
            why_not = f"older than {self.outbox.settings.age_minutes:g} minutes when it was heard: history"
        elif not why_not and self.outbox.is_full():
            why_not = f"more than {self.outbox.settings.waiting_max} entries wait already"
            self._say(f"the outbox is full; a step is not told to {name}")
        asks, note = action.settings.approve, why_not
        if (
            not why_not
            and not asks
            and self.outbox.applied(name, now - _HOUR_MS) >= action.settings.applies_an_hour_max
        ):
            asks, note = True, f"more than {action.settings.applies_an_hour_max} in an hour: a person has to say"
        state = "skipped" if why_not else "awaiting_approval" if asks else "waiting"
        if self.outbox.add(name, who, told, now, state=state, note=note) and state == "awaiting_approval":
            self._say(
                f"{name} waits for a person: `watchbill actions` lists what, `watchbill actions approve` sends it"
            )

    # -- on call -----------------------------------------------------------------------------------------------

    def _page(self, names: Iterable[str], who: str, order: Order, why: Any, now: int, *, fresh: bool = True) -> None:  # noqa: ANN401 - one of Why
        for name in names:
            told = replace(order, id=_id(name, order.txn, why), why=why)
            state, note = ("waiting", "") if fresh else ("skipped", "history: nobody is paged for it")
            self.outbox.add(name, who, told, now, state=state, note=note)

    def _nobody_looked(self, standing: Standing, now: int) -> None:
        """A suspension ran out: page the next on call, and write down whose failure it was."""
        order = standing.order
        next_one = self.on_call[1:2] or self.on_call[:1]
        fresh = now - (standing.until or 0) <= self._age_ms
        if self.outbox.unattended(order, now, next_one[0] if next_one and fresh else ""):
            self._page(next_one, standing.who, order, "unattended", now, fresh=fresh)
            self._say("a suspension ended because nobody looked in time: the firm's failure, not the person's")

    def _page_after(self, entry: Entry, now: int) -> None:
        """A page that did not arrive goes to the next on call."""
        if entry.why == "step" or entry.action not in self.on_call:
            return
        at = self.on_call.index(entry.action)
        self._page(self.on_call[at + 1 : at + 2], entry.who, entry.order, entry.why, now)

    # -- time (the engine's thread) ----------------------------------------------------------------------------

    def sweep(self, standing_of: Callable[[str, str, int], Now | None]) -> None:
        """Undo what is over by the clock. `standing_of(account, device, now)` is what the engine holds (None = nothing)."""
        try:
            self.hear(())
            now = self.clock.now_ms()
            # the first time all are held against the engine: what ended a step may have been lost with a disk
            suspended = self.outbox.suspended(now if self._swept else None)
            over = self.outbox.lapsing(now if self._swept else None)
            if suspended or over:
                with self.outbox.writing():
                    for standing in suspended:
                        self._suspension_over(standing, standing_of, now)
                    for entry in over:
                        self._entry_over(entry, standing_of, now)
            self._swept = True
            if self.clock.monotonic() - self._pruned > PRUNE_SECONDS:
                self._pruned = self.clock.monotonic()
                self.outbox.prune(now)
        except sqlite3.Error as error:
            self._say(f"the outbox cannot be used now ({type(error).__name__}); it is tried again")

    def _suspension_over(
        self, standing: Standing, standing_of: Callable[[str, str, int], Now | None], now: int
    ) -> None:
        order = standing.order
        held = standing_of(order.account, order.device, now)
        if held is not None and held.step == _SUSPEND:  # still on, or a person confirmed it meanwhile
            self.outbox.stand(replace(standing, until=held.until), now)
            return
        if held is not None and standing.until is not None and standing.until <= now:
            self._nobody_looked(standing, now)
        self.outbox.stand(replace(standing, until=None), now)  # what follows is said by the engine, at the next record

    def _entry_over(self, entry: Entry, standing_of: Callable[[str, str, int], Now | None], now: int) -> None:
        order = entry.order
        held = standing_of(order.account, order.device, now) or Now("none", None)
        if _RANK[held.step] >= _RANK[entry.step]:
            self.outbox.prolong(entry, held.until)
        else:
            self._undo_over(entry.who, held.step, order.txn, now)

    # -- sending (one thread an action) ------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to send."""
        for name in self.actions:
            thread = threading.Thread(target=self._run, args=(name,), name=f"action-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, seconds: float = 5.0) -> None:
        """Send no more; what waits is sent after the next start."""
        self._end.set()
        until = self.clock.monotonic() + seconds
        for thread in self._threads:
            thread.join(timeout=max(0.1, until - self.clock.monotonic()))
        for action in self.actions.values():
            action.close()

    def _run(self, name: str) -> None:
        while not self._end.is_set():
            try:
                while not self._end.is_set() and self.work(name):
                    pass
                self._tend(name)
            except sqlite3.Error as error:
                self._say(f"{name}: the outbox cannot be used now ({type(error).__name__}); it is tried again")
            self._end.wait(IDLE_SECONDS)

    def _tend(self, name: str) -> None:
        try:
            self.actions[name].tend()
        except WatchbillError as error:
            self._say(str(error))
        except Exception as error:  # noqa: BLE001 - an action's bug must not end its thread
            self._say(f"[actions.{name}]: failed ({type(error).__name__})")

    def work(self, name: str) -> bool:
        """Send the next entry of an action that is due; whether there was one."""
        entry = self.outbox.claim(name, self.clock.now_ms())
        if entry is None:
            return False
        action, order = self.actions[name], entry.order
        try:
            (action.undo if order.verb == "undo" else action.apply)(order)
        except ActionError as error:
            self._failed(action, entry, error)
        except Exception as error:  # noqa: BLE001 - an action's bug is a failure like any other; its text may hold data
            self._failed(action, entry, ActionError(f"failed ({type(error).__name__})", where=f"[actions.{name}]"))
        else:
            self.outbox.sent(entry, self.clock.now_ms())
        return True

    def _failed(self, action: Action, entry: Entry, error: ActionError) -> None:
        now, settings = self.clock.now_ms(), action.settings
        if error.final or entry.tries >= settings.attempts_max:
            with self.outbox.writing():
                self.outbox.failed(entry, now, str(error), next_at=None)
                self._page_after(entry, now)
            self._say(f"{action.name}: given up after {entry.tries} attempts ({error.what}); `watchbill actions dead`")
            return
        pause = min(settings.retry_seconds * 2.0 ** min(entry.tries - 1, 40), settings.retry_seconds_max)
        pause = max(pause * (0.5 + self._rng.random() / 2), error.retry_seconds)
        self.outbox.failed(entry, now, str(error), next_at=now + int(pause * 1000))


def order_of(row: Mapping[str, Any], salt: str) -> Order:
    """A row of interventions.ndjson as an order; its `txn` is the key of that change: seq, who and step.

    `salt` is a secret of the home: without it the key could be guessed from a list of accounts.
    """
    key = _id(salt, str(row["seq"]), _who(row), str(row["step"]))
    return Order(
        id=key, verb="apply", why="step", step=str(row["step"]), time=int(row["time"]), until=row.get("until"),
        case=row.get("case"), account=str(row.get("account", "")), device=str(row.get("device", "")),
        families=tuple(sorted(row.get("evidence", {}))), txn=key,
    )  # fmt: skip


def _ran_out(before: Standing, row: Mapping[str, Any], now: int) -> bool:
    """Whether a suspension ended because nobody looked: it falls to the mask, which evidence taken back never does."""
    if "verdict" in row or _RANK[row["step"]] >= _RANK[_SUSPEND]:
        return False
    return row["step"] == _LAPSES_TO or (before.until is not None and now >= before.until)


def _who(row: Mapping[str, Any]) -> str:
    return f"device:{row['device']}" if "device" in row else f"account:{row['account']}"


def _id(*parts: str) -> str:
    """An id that is the same each time."""
    return "msg_" + hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()

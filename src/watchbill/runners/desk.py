"""Where decisions are asked for: a bounded queue between callers and the engine, and the word that each caller gets.

An answer that reveals goes out only after its look is durable and judged. A caller who waits longer than `answer_ms_max` is
told to mask, and what is decided afterwards is recorded as late: it showed nothing. Who asks past `waiting_max` is sent away.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field, SecretStr

from watchbill.core.settings import Section
from watchbill.responses.asks import Ask, Decided, closed, identity_of
from watchbill.responses.masks import PLAIN
from watchbill.runners.askrecords import DECISION, decision_of, look_of

if TYPE_CHECKING:
    from watchbill.runners.engine import Engine

RETRY_SECONDS: Final = 60
"""When a throttled account may ask again."""


class CallerSettings(Section):
    """One system that asks: its token, how much it may ask, and whether it obeys."""

    token: SecretStr | None = None
    token_env: str | None = None
    requests_per_second_max: float = Field(default=5_000.0, gt=0)
    enforce: bool = True
    """False: shadow mode; everything is allowed, and what would have been decided is recorded."""


class DeskSettings(Section):
    """The decision service (`[decisions]` of the settings file)."""

    callers: dict[str, CallerSettings] = Field(default_factory=dict)
    waiting_max: int = Field(default=1_024, ge=1, le=100_000)
    answer_ms_max: int = Field(default=1_000, ge=1, le=60_000)
    batch_max: int = Field(default=256, ge=1, le=10_000)
    body_bytes_max: int = Field(default=1 << 20, ge=1024, le=1 << 26)
    base_url: str = ""


class DeskFull(Exception):
    """More asks wait than may; nothing was taken."""


Deliver = Callable[[list[tuple["Waiting", Decided]]], None]


@dataclass(slots=True, eq=False)
class Waiting:
    """An ask between its caller and the engine. `deliver` gets it back with its answer, several at once, in the engine's thread."""

    ask: Ask
    caller: str
    enforce: bool
    identity: str
    deliver: Deliver
    reply: Any = None
    claimed: bool = False
    lost: bool = False


@dataclass
class Desk:
    """The queue. `put` and `give_up` may be called from any thread; `drain`, `looks` and `settle` by the engine's."""

    settings: DeskSettings = field(default_factory=DeskSettings)
    wake: Callable[[], None] = lambda: None
    shut: bool = False
    """True while nothing can be written: whoever asks is told at once."""
    bridge: str = ""
    """`bridge_url` of [policy]: whatever is decided, the recipient can be called through it."""
    proving: bool = False
    """Whether keys can prove presence at the same door ([presence])."""
    shed: int = 0

    def __post_init__(self) -> None:
        self._waiting: deque[Waiting] = deque()
        self._lock = threading.Lock()
        self._awake = False

    def put(self, ask: Ask, caller: str, deliver: Deliver, *, reply: Any = None, enforce: bool = True) -> Waiting:  # noqa: ANN401 - the deliverer's own
        """Ask; `deliver` is called once, unless `give_up` came first.

        Raises:
            DeskFull: too many wait.
        """
        if len(self._waiting) >= self.settings.waiting_max:
            self.shed += 1
            raise DeskFull
        waiting = Waiting(ask, caller, enforce, identity_of(caller, ask), deliver, reply)
        self._waiting.append(waiting)
        if not self._awake:
            self._awake = True
            self.wake()
        return waiting

    def give_up(self, waiting: Waiting) -> Decided | None:
        """The caller waits no longer: the closed answer, or None when the true one is on its way already."""
        with self._lock:
            if waiting.claimed:
                return None
            waiting.lost = True
        return closed(waiting.ask, waiting.identity, "late")

    def drain(self) -> list[Waiting]:
        """Who waits now, in order, at most `batch_max`."""
        self._awake = False
        out: list[Waiting] = []
        while self._waiting and len(out) < self.settings.batch_max:
            out.append(self._waiting.popleft())
        if self._waiting:
            self._awake = True
            self.wake()
        return out

    def looks(self, asked: Sequence[Waiting], engine: Engine, now: int) -> dict[str, dict[str, Any]]:
        """The looks of those whose answer is not known yet, by identifier; the same ask twice is one look."""
        rows: dict[str, dict[str, Any]] = {}
        for one in asked:
            if not one.lost and one.identity not in rows and one.identity not in engine.decisions.remembered:
                rows[one.identity] = look_of(one.ask, one.identity, one.caller, now, enforced=one.enforce)
        return rows

    def settle(self, asked: Sequence[Waiting], rows: dict[str, dict[str, Any]], engine: Engine) -> None:
        """Answer: what stands in the journal and was judged by the engine goes out, and is told to the journal."""
        with self._lock:
            for one in asked:
                one.claimed = not one.lost
        groups: dict[Deliver, list[tuple[Waiting, Decided]]] = {}
        for one in asked:
            decided = self._answer(one, rows.pop(one.identity, None), engine)
            if not one.lost:
                groups.setdefault(one.deliver, []).append((one, decided))
        for deliver, answers in groups.items():
            deliver(answers)

    def refuse(self, asked: Sequence[Waiting]) -> None:
        """Nothing could be written: everybody is told to mask."""
        with self._lock:
            for one in asked:
                one.claimed = not one.lost
        for one in asked:
            if not one.lost:
                one.deliver([(one, closed(one.ask, one.identity, "unavailable"))])

    def _answer(self, one: Waiting, look: dict[str, Any] | None, engine: Engine) -> Decided:
        decisions, roles = engine.decisions, engine.pipeline.context.roles
        decided = decisions.remembered.answer(one.identity, one.ask.fields, roles, engine.pipeline.settings.masks)
        if decided is None:  # the ledger refused the look
            return closed(one.ask, one.identity, "refused")
        told: dict[str, Any] = {"caller": one.caller, "request": one.ask.request, "enforced": one.enforce}
        if one.lost:
            decisions.remembered.withdraw(one.identity)
            decided = closed(one.ask, one.identity, "late")
        elif not one.enforce:
            told["would"] = decided.decision
            decided = Decided(one.identity, "allow", dict.fromkeys(one.ask.fields, PLAIN), decided.step, why="shadow")
        elif decided.decision == "throttle":
            decided = replace(decided, retry_seconds=RETRY_SECONDS)
        if look is not None:
            engine.control(DECISION, decision_of(look, decided, decisions.more(engine.digest, **told)))
        return decided


class Calls:
    """Asking from the same process: blocks until the answers are there."""

    def __init__(self, desk: Desk, caller: str = "python") -> None:
        self._desk, self._caller = desk, caller

    def decide(self, asks: Sequence[Ask]) -> list[Decided]:
        """One answer an ask, in order. Masked where the engine does not answer in time, or does not run."""
        if self._desk.shut:
            return [closed(ask, identity_of(self._caller, ask), "unavailable") for ask in asks]
        entries: list[Waiting | Decided] = []
        for ask in asks:
            try:
                entries.append(self._desk.put(ask, self._caller, _deliver, reply=_Reply()))
            except DeskFull:
                entries.append(closed(ask, identity_of(self._caller, ask), "unavailable"))
        return [one if isinstance(one, Decided) else self._wait(one) for one in entries]

    def _wait(self, waiting: Waiting) -> Decided:
        reply: _Reply = waiting.reply
        if not reply.there.wait(self._desk.settings.answer_ms_max / 1000):
            given_up = self._desk.give_up(waiting)
            if given_up is not None:
                return given_up
            reply.there.wait()
        return reply.decided or closed(waiting.ask, waiting.identity, "unavailable")


@dataclass(slots=True)
class _Reply:
    there: threading.Event = field(default_factory=threading.Event)
    decided: Decided | None = None


def _deliver(answers: list[tuple[Waiting, Decided]]) -> None:
    for waiting, decided in answers:
        reply: _Reply = waiting.reply
        reply.decided = decided
        reply.there.set()

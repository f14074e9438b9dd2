"""What every action is: settings, apply, undo, and a dry run that says what would be sent; a file here is a kind of action.

An action tells another system of a step of the ladder: it applies it there, and undoes it when the step is over. The outbox
(runners/outbox.py) calls it, again and again until it succeeds, so the same order may come twice: `Order.id` is then the
same, and the other side counts it once. An action reads no clock of its own; `Around` hands it in.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from watchbill.core.errors import SettingsError
from watchbill.core.settings import fault_of

SHARED: Final = frozenset(
    {"base", "budget", "policy", "masks", "asks", "presence", "offline", "sending", "setkeys", "streams"}
)
"""Files of this folder that are no kind of action."""
StepName = Literal["mask", "ask_reason", "step_up", "throttle", "end_session", "suspend"]
Verb = Literal["apply", "undo"]
Why = Literal["step", "page", "unattended"]
_TYPES: Final = {
    ("apply", "step"): "step.applied", ("undo", "step"): "step.undone", ("apply", "page"): "page",
    ("apply", "unattended"): "page.unattended",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Order:
    """One thing to tell. `time` and `until` are epoch milliseconds; exactly one of account and device is not empty.

    `id` stays the same however often it is tried. `why`: a step of the ladder, a page to whoever is on call because a
    suspension began, or one because nobody looked in time. `undoes` is the id of what an undo takes back; `txn` is common
    to everything that follows from one change of standing.
    """

    id: str
    verb: Verb
    why: Why
    step: str
    time: int
    until: int | None = None
    case: str | None = None
    account: str = ""
    device: str = ""
    families: tuple[str, ...] = ()
    undoes: str = ""
    txn: str = ""

    def to_json(self) -> str:
        """As the outbox keeps it."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Order:
        """What `to_json` wrote."""
        told = json.loads(text)
        return cls(**{**told, "families": tuple(told["families"])})


@dataclass(frozen=True, slots=True)
class Around:
    """What an action may know of where it runs: the home, the clock (epoch ms) and seconds that never go back."""

    home: Path
    now_ms: Callable[[], int]
    monotonic: Callable[[], float]


class ActionSettings(BaseModel):
    """What every action may be told (`[actions.NAME]`); each file of this room adds its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    on: tuple[StepName, ...] = ("end_session", "suspend")
    """Steps that it is told of. Empty: only pages of `[on_call]`."""
    approve: bool = False
    """Wait for a person (`watchbill actions approve`) before a step is applied. An undo and a page never wait."""
    applies_an_hour_max: int = Field(default=200, ge=1, le=1_000_000)
    """Steps told of in an hour; a further one waits for a person. Our own mistake must not lock everybody out."""
    attempts_max: int = Field(default=12, ge=1, le=100)
    retry_seconds: float = Field(default=5.0, gt=0, le=3_600)
    """Pause after the first failure; it doubles with each further one, less a random part of up to a half."""
    retry_seconds_max: float = Field(default=600.0, gt=0, le=86_400)
    timeout_seconds: float = Field(default=10.0, gt=0, le=60)
    account: bool = True
    """Whether the account (or device) itself may be sent. The case's id is sent always, a name or waybill never."""
    link: str = Field(default="", max_length=1_000)
    """Address of the case for people, with {case} where its id belongs."""

    @field_validator("link")
    @classmethod
    def _link(cls, value: str) -> str:
        if value and not value.startswith(("https://", "http://")):
            raise ValueError("is no address")
        return value


class Action(Protocol):
    """One other system that is told of steps."""

    name: str

    @property
    def settings(self) -> ActionSettings:
        """What it was told."""

    def suits(self, order: Order) -> str:
        """Empty when the order can be told there at all, else why not; it is then kept as skipped."""

    def apply(self, order: Order) -> None:
        """Tell that a step was taken (or page). The same order may come twice.

        Raises:
            ActionError: it did not arrive, or that is not known.
        """

    def undo(self, order: Order) -> None:
        """Tell that the step is over. As `apply`."""

    def describe(self, order: Order) -> dict[str, Any]:
        """What would be sent, without secrets; touches nothing."""

    def tend(self) -> None:
        """Do what waits apart from orders; called about twice a second, and must return soon.

        Raises:
            ActionError: it did not work this time.
        """

    def close(self) -> None:
        """Let go of connections and files; what is asked later opens them anew."""


class _Module(Protocol):
    Settings: ClassVar[type[ActionSettings]]

    def open_action(self, name: str, settings: ActionSettings, around: Around) -> Action: ...


def kinds() -> list[str]:
    """The ids of all kinds of action: the files of this folder."""
    package = importlib.import_module("watchbill.responses")
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name not in SHARED)


def load(kind: str) -> _Module:
    """The module of a kind of action: it has `Settings` and `open_action(name, settings, around)`.

    Raises:
        SettingsError: there is no such kind.
    """
    if kind not in kinds():
        todo = f"Choose one of: {', '.join(kinds())}"
        raise SettingsError("there is no such kind of action", where=f"kind = {kind[:40]!r}", todo=todo)
    module: _Module = importlib.import_module(f"watchbill.responses.{kind}")  # type: ignore[assignment]
    return module


def open_action(name: str, table: Mapping[str, object], around: Around) -> Action:
    """The action that a settings table `[actions.NAME]` describes. Opening one sends nothing.

    Raises:
        SettingsError: an unknown kind, or a setting that is wrong.
    """
    where = f"[actions.{name}]"
    if not isinstance(table.get("kind"), str):
        raise SettingsError("kind is missing", where=where, todo=f"Choose one of: {', '.join(kinds())}")
    module = load(str(table["kind"]))
    try:
        settings = module.Settings.model_validate(dict(table))
    except ValidationError as error:
        raise SettingsError(fault_of(error), where=where, todo="See docs/actions.md") from None
    return module.open_action(name, settings, around)


def event_of(order: Order, settings: ActionSettings) -> dict[str, Any]:
    """An order as other programs read it: pseudonymous, and the same bytes at each attempt."""
    return {
        "id": order.id,
        "type": f"watchbill.{_TYPES[order.verb, order.why]}",
        "timestamp": rfc3339(order.time),
        "data": {
            "step": order.step, "case": order.case, "until": order.until, "evidence": list(order.families),
            **({"undoes": order.undoes} if order.undoes else {}), **who_of(order, settings),
            **({"link": link_of(order, settings)} if settings.link and order.case else {}),
        },
    }  # fmt: skip


def who_of(order: Order, settings: ActionSettings) -> dict[str, str]:
    """{"account": ...} or {"device": ...} where settings let it be sent, else nothing."""
    if not settings.account:
        return {}
    return {"device": order.device} if order.device else {"account": order.account}


def link_of(order: Order, settings: ActionSettings) -> str:
    """Where people find the case."""
    return settings.link.replace("{case}", order.case or "")


def rfc3339(ms: int) -> str:
    """Epoch milliseconds as text in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""What a detector is: a class named `Detector` in a file of this folder; the file's name is its id.

A detector reads account events (`context.events.EVENT`) in order and says, after each, the log of its e-value for that
account (nats; 0 = nothing against it). It scores before it learns, keeps a fixed number of bytes an account, and reads
what it needs of others only from tables published at table ticks.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from watchbill.core.settings import Role

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.context.context import Context
    from watchbill.core.settings import Settings

FAMILIES: Final = (
    "reason", "volume", "login", "roster", "canary", "trace", "harvest", "graph", "habit", "service", "slow",
)  # fmt: skip
"""Families of evidence, each with a weight in settings; `habit` (masquerade models) is weak: its weight is 0, so it moves
the posterior and takes no step (shared/detection.md 3)."""
SUSPECTED: Final = 1
"""Bit of `Surroundings.frozen`: under a step since the last table tick. Nothing is learned from it, of itself or of peers."""
CONFIRMED: Final = 2
"""Bit of `Surroundings.frozen`: a person confirmed the misuse. Its looks never feed what peers are compared with."""
_NOT_DETECTORS: Final = frozenset({"base", "kernels", "habit_kernels", "share_kernels"})


@dataclass(frozen=True)
class Example:
    """Events of one account that a detector must, or must not, find; replayed by the law suite and shown in the docs.

    Attributes:
        name: what happens, in a few words. found: whether the evidence must pass `nats_min` at the end.
        events: EVENT rows of account 0, in order.
        before: EVENT rows of any accounts that come first, in order; tables are published after them.
    """

    name: str
    events: NDArray[np.void]
    found: bool
    nats_min: float = 5.0
    before: NDArray[np.void] | None = None


@dataclass
class Surroundings:
    """What detectors may know beside events: sizes, roles, places; the same object for all of them.

    Attributes:
        accounts, outlets: how many dense accounts and outlets there are. roles: names by code.
        lat, lon: float64[places], NaN when unknown. place_kind: uint8[places] (context.networks.KINDS).
        registered: sorted uint64 hashes of devices in the devices table. present: names of the tables that are there.
        device_outlet, device_kind, device_shared: of those, in the same order: dense outlet int32 (-1 = none), uint8 0 not
            said, 1 pc, 2 handset, 3 scanner, 4 server, 5 personal, and uint8 1 = shared.
        outlet_lat, outlet_lon: float64[outlets], NaN when unknown.
        tokens_max, looks_a_day: float32[roles] from settings.
        ends: int64[accounts that the roster knows, or fewer], epoch ms at which the last post ends (huge: open; 0: no post).
        frozen: uint8[at least accounts, or none], SUSPECTED | CONFIRMED: from whom a detector learns nothing (`is_frozen`).
    """

    accounts: int = 0
    outlets: int = 0
    roles: tuple[str, ...] = ("unknown",)
    lat: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    lon: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    place_kind: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    registered: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    present: frozenset[str] = frozenset()
    device_outlet: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    device_kind: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    device_shared: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    outlet_lat: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    outlet_lon: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    tokens_max: NDArray[np.float32] = field(default_factory=lambda: np.full(1, 40, np.float32))
    looks_a_day: NDArray[np.float32] = field(default_factory=lambda: np.full(1, 100, np.float32))
    ends: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    frozen: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))


@dataclass(frozen=True)
class ForPerson:
    """What speaks for a person: nats (negative), texts, and how many records it rests on (0 = none to count)."""

    nats: float
    text_en: str
    text_zh: str
    records: int = 0


def surroundings_of(context: Context, settings: Settings) -> Surroundings:
    """What detectors may know, from the reference tables in force."""
    per_role = [settings.reasons.roles.get(name, Role(reasons=())) for name in context.roles]
    held = np.flatnonzero(context.devices.keys)
    held = held[np.argsort(context.devices.keys[held])]
    codes = context.devices.values[held]
    lat, lon = context.outlet_places()
    ends = np.zeros(context.roster.first.shape[0], np.int64)
    owners = np.repeat(np.arange(ends.shape[0]), context.roster.first[:, 1])
    np.maximum.at(ends, owners, context.roster.posts["until"])
    return Surroundings(
        accounts=len(context.accounts), outlets=len(context.outlets), roles=tuple(context.roles),
        lat=context.networks.lat, lon=context.networks.lon, place_kind=context.networks.kind,
        registered=context.devices.keys[held], device_outlet=(codes >> 4).astype(np.int32),
        device_kind=(codes >> 1 & 7).astype(np.uint8), device_shared=(codes & 1).astype(np.uint8),
        outlet_lat=lat, outlet_lon=lon, ends=ends,
        present=frozenset(name for name, table in context.tables.items() if table.num_rows),
        tokens_max=np.array([role.tokens_max for role in per_role], np.float32),
        looks_a_day=np.array([role.looks_a_day for role in per_role], np.float32),
    )  # fmt: skip


def robots_of(around: Surroundings, settings: Settings) -> NDArray[np.uint8]:
    """uint8[roles]: 1 for service identities, which reasons do not judge (`judged = false`)."""
    roles = settings.reasons.roles
    return np.array([not roles.get(name, Role(reasons=())).judged for name in around.roles], np.uint8)


class DetectorBase(ABC):
    """Base of all detectors.

    Class attributes:
        family: one of FAMILIES, or "bound" for the token bucket. needs: tables without which it stays silent.
        row: structured dtype of the state of one account. tables: names of further array attributes that are state, `beside` those
            of them with one entry an account.
        kept: fields of `row` that are the account's learned profile: they outlive a person's "dismissed" (`forgive`).
        text_zh, text_en: what a case says when this detector spoke.
    """

    id: ClassVar[str] = ""
    family: ClassVar[str]
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ()
    row: ClassVar[np.dtype[Any]]
    tables: ClassVar[tuple[str, ...]] = ()
    beside: ClassVar[tuple[str, ...]] = ()
    kept: ClassVar[tuple[str, ...]] = ()
    text_en: ClassVar[str]
    text_zh: ClassVar[str]

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.rows: NDArray[np.void] = np.zeros(0, self.row)

    @property
    def bytes_an_account(self) -> int:
        """State kept of one account: its row and what stands beside it."""
        arrays = [getattr(self, name) for name in self.beside]
        return int(self.rows.itemsize + sum(np.prod(array.shape[1:]) * array.itemsize for array in arrays))

    def grow(self, accounts: int) -> None:
        """Room for `accounts` rows; new rows are `blank`."""
        have = self.rows.shape[0]
        if accounts > have:
            self.rows = np.concatenate([self.rows, self.blank(max(64, accounts + accounts // 2) - have)])

    def blank(self, count: int) -> NDArray[np.void]:
        """Rows of accounts never seen."""
        return np.zeros(count, self.row)

    @abstractmethod
    def observe(self, events: NDArray[np.void], around: Surroundings) -> NDArray[np.float32]:
        """float32[n]: log e-value of each event's account after the event (0 where it is silent)."""

    def publish(self, arrival: int, around: Surroundings) -> None:  # noqa: B027 - most have no table to publish
        """A table tick at `arrival` (epoch ms): renew published tables."""

    def forgive(self, account: int) -> None:
        """A person dismissed the suspicion: the account's evidence is nothing again, what was learned of it (`kept`) stays."""
        self.grow(account + 1)
        fresh = self.blank(1)
        for name in self.kept:
            fresh[name] = self.rows[account : account + 1][name]
        self.rows[account : account + 1] = fresh

    def for_person(self, event: np.void, around: Surroundings) -> tuple[ForPerson, ...]:
        """What this detector knows that speaks for the event's account; from published tables and the event alone."""
        del event, around
        return ()

    def silent(self, around: Surroundings) -> str:
        """Why it is silent ("" when it works)."""
        missing = [name for name in self.needs if name not in around.present]
        return f"no {', '.join(missing)} table" if missing else ""

    def snapshot(self) -> dict[str, NDArray[np.generic]]:
        """All state as named arrays."""
        return {"rows": self.rows.copy()} | {name: np.array(getattr(self, name)) for name in self.tables}

    def restore(self, saved: dict[str, NDArray[np.generic]]) -> None:
        """The inverse of `snapshot`."""
        self.rows = np.asarray(saved["rows"]).copy()
        for name in self.tables:
            setattr(self, name, np.asarray(saved[name]).copy())

    @classmethod
    @abstractmethod
    def examples(cls) -> list[Example]:
        """At least one found and one not found."""


def detector_ids() -> list[str]:
    """Ids of all detectors: the files of this folder, sorted."""
    package = importlib.import_module("watchbill.detectors")
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name not in _NOT_DETECTORS)


def load_detectors(settings: Settings) -> list[DetectorBase]:
    """One of each detector that settings leave on, in order of id."""
    out: list[DetectorBase] = []
    for name in detector_ids():
        if name in settings.detectors_off:
            continue
        kind: type[DetectorBase] = importlib.import_module(f"watchbill.detectors.{name}").Detector
        kind.id = name
        out.append(kind(settings))
    return out

"""What an attack is: a specification, a plan (which accounts, when), and a generator of one day's records.

An attack is one file in this folder (or in a folder given to `load_attacks`) that defines `ATTACK`, an `Attack`; the file's
name is its kind. It reads the world only through `View` and returns rows in the simulator's own form (`rows.ROW`).
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np

from watchbill.core.errors import SettingsError
from watchbill.lab.simulator.parcels import canary_place
from watchbill.lab.simulator.places import FAR, Places
from watchbill.lab.simulator.reference import canary_subject
from watchbill.lab.simulator.rows import (
    ABSENT,
    APPS,
    DAY,
    F_BOTH,
    F_FULL,
    HOUR,
    PARCEL,
    Rows,
    fill_subjects,
    kind,
    new_rows,
)  # fmt: skip
from watchbill.lab.simulator.seeds import I64, mix
from watchbill.lab.simulator.settings import WorldSettings
from watchbill.lab.simulator.staff import COURIER, ROLES, Staff, Terminals

FIRST_DAY: Final = 5
"""No attack by default before this day (counted from 0), so that history exists."""


@dataclass(frozen=True, slots=True)
class AttackSpec:
    """What to stage.

    Args:
        kind: the attack file's name.
        accounts: work numbers to use; empty = chosen by the seed.
        day: first day, from 0; None = chosen after `FIRST_DAY`.
        days: how many days it lasts (cut at the world's end).
        intensity: factor on the attack's usual number of looks.
        params: figures of the attack's own, by name; each attack lists its defaults.
    """

    kind: str
    accounts: tuple[str, ...] = ()
    day: int | None = None
    days: int = 1
    intensity: float = 1.0
    params: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """A specification with its choices made: account numbers (indices), first and last day, place in the world's list."""

    spec: AttackSpec
    number: int
    accounts: tuple[int, ...]
    first_day: int
    last_day: int
    params: Mapping[str, float]

    @property
    def id(self) -> str:
        """Name of this attack in the truth."""
        return f"{self.spec.kind}-{self.number}"


@dataclass(slots=True)
class View:
    """What an attack may know on one day: the carrier, and the parcels ordered until then (sorted by waybill)."""

    settings: WorldSettings
    places: Places
    staff: Staff
    terminals: Terminals
    day: int
    pool: Rows

    def device(self, name: str) -> int:
        """A device of the attacker's own."""
        return self.terminals.device(name)

    def far_ip(self, outlet: int, pick: int) -> int:
        """A home line in a city of another province than the outlet's."""
        return self.places.broadband_ip(self.far_city(outlet, pick), pick)

    def far_city(self, outlet: int, pick: int) -> int:
        """A city that is not the outlet's."""
        home = int(self.places.city[outlet])
        return (home + 1 + pick % (self.places.n_cities - 1)) % self.places.n_cities

    def numbers_from(self, waybill: int, n: int) -> tuple[I64, Rows]:
        """The next `n` waybill numbers with the parcels behind them; canaries and unused numbers included.

        An unused number has recipient 0. Needs the pool sorted by waybill.
        """
        numbers = waybill + np.arange(n)
        at = np.minimum(np.searchsorted(self.pool["waybill"], numbers), len(self.pool) - 1)
        found = self.pool["waybill"][at] == numbers
        parcels = np.where(found, self.pool[at], np.zeros(n, PARCEL))
        parcels["waybill"] = numbers
        every, warm = self.settings.rates.canary_every, self.settings.warm_days
        serial, day, outlet = numbers % 10**5, numbers // 10**5 % 1000 - warm, numbers // 10**8 - 10_000
        # A canary was placed where the range goes on behind it.
        behind = self.pool["waybill"][at] - numbers
        canary = ~found & (serial % every == canary_place(every)) & (behind > 0) & (behind <= every)
        for i in np.flatnonzero(canary).tolist():
            who = canary_subject(self.settings, outlet[i : i + 1], int(day[i]), serial[i : i + 1] // every)
            parcels["recipient"][i] = parcels["sender"][i] = who[0]
        return numbers, parcels


Generate = Callable[[View, Plan, np.random.Generator], Rows]
Choose = Callable[[View, AttackSpec, int, int, set[int], np.random.Generator], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Attack:
    """One kind of attack.

    Args:
        summary: one sentence for people.
        generate: (view, plan, rng) -> this day's rows: looks, and logins if it has any; device, ip and session filled.
        days: usual length in days.
        defaults: the figures that `AttackSpec.params` may change.
        choose: (view, spec, first day, last day, taken, rng) -> indices of accounts; the default takes one courier.
    """

    summary: str
    generate: Generate
    days: int = 1
    defaults: Mapping[str, float] = field(default_factory=dict)
    choose: Choose | None = None


def pick_accounts(
    view: View, spec: AttackSpec, span: tuple[int, int], taken: set[int], rng: np.random.Generator, *, n: int = 1,
    role: int = COURIER,
) -> tuple[int, ...]:  # fmt: skip
    """`n` accounts of a role that stay over the span, of different outlets while there are such; the spec's names win.

    In a small world fewer than `n` may be found.

    Raises:
        SettingsError: there is nobody, or an account named does not exist.
    """
    if spec.accounts:
        return tuple(view.staff.ids.index(a) if a in view.staff.ids else _no_account(spec) for a in spec.accounts)
    staff, everybody = view.staff, np.arange(len(view.staff.ids))
    able = (staff.role == role) & (staff.hired < 0) & (staff.left > span[1]) & ~np.isin(everybody, list(taken))
    best = able & staff.is_working(everybody, np.full(len(everybody), span[0]))
    best &= view.places.merge_time[staff.outlet] >= FAR
    order = [*rng.permutation(np.flatnonzero(best)).tolist(), *rng.permutation(np.flatnonzero(able & ~best)).tolist()]
    _, leading = np.unique(staff.outlet[order], return_index=True)
    first = [order[k] for k in sorted(leading.tolist())]
    found = (first + [i for i in order if i not in first])[:n]
    if not found:
        raise SettingsError(
            f"no {ROLES[role]} account is free for the attack", where=spec.kind, todo="use more outlets"
        )
    return tuple(found)


def _no_account(spec: AttackSpec) -> int:
    raise SettingsError(
        "an account of the attack does not exist", where=spec.kind, todo="name accounts of accounts.csv"
    )


def steal(parcels: Rows, time: I64, *, account: int, device: int, ip: int, session: int, what: str, app: str) -> Rows:
    """Unmasked looks at names, phones and addresses, half of them of both parties; a number that leads nowhere fails."""
    n = len(parcels)
    rows = new_rows(
        n, kind=kind(what), time=time, account=account, device=device, ip=ip, session=session, app=APPS.index(app),
        waybill=parcels["waybill"], outcome=0, results=1,
    )  # fmt: skip
    rows["fieldset"] = np.where(mix(parcels["waybill"], 61) % np.uint64(2) == 0, F_BOTH, F_FULL)
    fill_subjects(rows, parcels)
    empty = parcels["recipient"] == 0
    rows["subs"][empty] = 0
    rows["fieldset"][empty], rows["outcome"][empty], rows["results"][empty] = ABSENT, 1, 0
    if what != "search":
        rows["results"] = ABSENT
    return rows


def partly_own(view: View, account: int, parcels: Rows, share: float, rng: np.random.Generator) -> Rows:
    """The parcels with a share of them replaced by such as go to the account's own outlet, and so look explained."""
    own = np.flatnonzero(view.pool["dest"] == view.staff.outlet[account])
    swap = np.flatnonzero(rng.random(len(parcels)) < share) if own.size else own
    mixed = parcels.copy()
    mixed[swap] = view.pool[rng.choice(own, len(swap))] if swap.size else mixed[swap]
    return mixed


def login_row(time: int, *, account: int, device: int, ip: int, session: int, app: str) -> Rows:
    """One successful login."""
    return new_rows(
        1,
        kind=kind("login"),
        time=time,
        account=account,
        device=device,
        ip=ip,
        session=session,
        app=APPS.index(app),
        outcome=0,
    )


def session_number(view: View, plan: Plan, k: int) -> int:
    """The attacker's k-th session of the day; it looks like anybody's."""
    key = np.array([(plan.number * 1000 + view.day) * 1000 + k])
    return int(mix(key, view.settings.seed + 81)[0] % np.uint64(10**13))


def own_device(view: View, plan: Plan) -> str:
    """Name of the attacker's own terminal, of the same form as handsets that the carrier has not registered."""
    return f"HS{int(mix(np.array([plan.number]), view.settings.seed + 91)[0] % np.uint64(10**11)):011d}"


def paced(start: int, n: int, gap_seconds: float, rng: np.random.Generator) -> I64:
    """`n` times from `start`, with lognormal gaps about the given one (sigma .5: a person, not a metronome)."""
    gaps = rng.lognormal(np.log(gap_seconds * 1000), 0.5, n).astype(np.int64)
    out: I64 = start + np.cumsum(gaps)
    return out


def clock(day: int, hour: float) -> int:
    """A time of day."""
    return day * DAY + int(hour * HOUR)


def load_attacks(extra_dir: Path | None = None) -> dict[str, Attack]:
    """All attacks by kind: this folder's files, then those of a folder outside (same rule; a kind may not repeat)."""
    found: dict[str, Attack] = {}
    for folder in (Path(__file__).parent, *([extra_dir] if extra_dir else [])):
        for path in sorted(folder.glob("*.py")):
            if path.stem in ("base", "__init__"):
                continue
            if path.stem in found:
                raise SettingsError("two attacks of one name", where=path.name, todo="rename the file")
            attack = getattr(_load(path), "ATTACK", None)
            if not isinstance(attack, Attack):
                raise SettingsError("the file defines no ATTACK", where=path.name, todo="set ATTACK = Attack(...)")
            found[path.stem] = attack
    return found


def _load(path: Path) -> ModuleType:
    name = (
        f"watchbill.lab.attacks.{path.stem}"
        if path.parent == Path(__file__).parent
        else f"watchbill_attack_{path.stem}"
    )
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SettingsError("the file cannot be loaded", where=path.name, todo="check that it is Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module

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
    OTHER,
    OWNER,
    PARCEL,
    Rows,
    fill_subjects,
    kind,
    new_rows,
    pile,
)  # fmt: skip
from watchbill.lab.simulator.seeds import I64, mix
from watchbill.lab.simulator.settings import WorldSettings
from watchbill.lab.simulator.staff import CLERK, COURIER, ROLES, SERVICE, Staff, Terminals, attach

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
    """What an attack may know on one day: the carrier, and the parcels that a search finds, both sorted by waybill.

    `pool` holds those ordered before the day, `today` those ordered on it.
    """

    settings: WorldSettings
    places: Places
    staff: Staff
    terminals: Terminals
    day: int
    pool: Rows
    today: Rows

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

    def near_ip(self, outlet: int, pick: int) -> int:
        """A home line in the outlet's own city."""
        return self.places.broadband_ip(int(self.places.city[outlet]), pick)

    def label_pc(self, outlet: int) -> int:
        """The outlet's label PC, which several people use."""
        return self.terminals.label_start + outlet

    def works(self, account: int) -> bool:
        """Whether the account's owner is at work today."""
        return bool(self.staff.is_working(np.array([account]), np.array([self.day]))[0])

    def held_by(self, outlet: int, time: int, *, dest_only: bool = False) -> Rows:
        """Parcels with which the outlet has work by a time, as its own lists show: arrived there, or picked up there."""
        pool, since = self.pool, max(time - 3 * DAY, 0)
        mine = (pool["dest"] == outlet) & (pool["arrived"] >= 0) & (pool["arrived"] <= time)
        if not dest_only:
            mine |= (pool["origin"] == outlet) & (pool["picked"] >= 0) & (pool["picked"] <= time)
        found: Rows = pool[mine & (pool["done"] >= since)]
        return found

    def elsewhere(self, outlet: int, *, near: bool = False) -> Rows:
        """Parcels with which the outlet has nothing to do; `near`: only those that go to its own city."""
        pool = self.pool
        found: Rows = pool[
            (pool["dest"] != outlet)
            & (pool["origin"] != outlet)
            & (not near or self.places.city[pool["dest"]] == self.places.city[outlet])
        ]
        return found if len(found) or not near else self.elsewhere(outlet)

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
        prepares: (plan) -> days at the beginning that only prepare the harvest.
        device_only: its looks carry no account; the accounts chosen are those whose terminals it uses.
    """

    summary: str
    generate: Generate
    days: int = 1
    defaults: Mapping[str, float] = field(default_factory=dict)
    choose: Choose | None = None
    device_only: bool = False
    prepares: Callable[[Plan], int] | None = None


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
    able = (staff.role == role) & (staff.hired < 0) & (staff.left > span[1])
    able &= ~np.isin(everybody, [*taken, *staff.spare])
    best = able & staff.is_working(everybody, np.full(len(everybody), span[0]))
    best &= (view.places.merge_time[staff.outlet] >= FAR) & (staff.away_from >= FAR)
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


def one_of(role: int) -> Choose:
    """A choice of one account of a role, as `pick_accounts` makes it."""

    def choose(
        view: View, spec: AttackSpec, first: int, last: int, taken: set[int], rng: np.random.Generator
    ) -> tuple[int, ...]:
        return pick_accounts(view, spec, (first, last), taken, rng, role=role)

    return choose


def pick_team(
    view: View, spec: AttackSpec, span: tuple[int, int], taken: set[int], rng: np.random.Generator, *, n: int,
    roles: tuple[int, ...] = (COURIER,),
) -> tuple[int, ...]:  # fmt: skip
    """Up to `n` accounts of one outlet: a random one that has so many, else the one that has most.

    Raises:
        SettingsError: as `pick_accounts`.
    """
    if spec.accounts:
        return pick_accounts(view, spec, span, taken, rng)
    staff, everybody = view.staff, np.arange(len(view.staff.ids))
    able = np.isin(staff.role, roles) & (staff.hired < 0) & (staff.left > span[1]) & (staff.away_from >= FAR)
    able &= ~np.isin(everybody, [*taken, *staff.spare])
    # A station stands beside its outlet and counts with it.
    home = np.where(staff.outlet < 2 * view.places.n_outlets, staff.outlet % view.places.n_outlets, -1)
    able &= (home >= 0) & (view.places.merge_time[home] >= FAR)
    sizes = np.bincount(home[able], minlength=view.places.n_outlets)
    full = np.flatnonzero(sizes >= min(n, int(sizes.max(initial=0))))
    if not sizes.any():
        raise SettingsError("no team is free for the attack", where=spec.kind, todo="use more outlets")
    team = np.flatnonzero(able & (home == rng.choice(full)))
    return tuple(sorted(rng.permutation(team)[:n].tolist()))


def steal(
    parcels: Rows, time: I64, *, account: int, device: int, ip: int, session: int, what: str, app: str,
    operator: int = OTHER,
) -> Rows:  # fmt: skip
    """Unmasked looks at names, phones and addresses, half of them of both parties; a number that leads nowhere fails."""
    n = len(parcels)
    rows = new_rows(
        n, kind=kind(what), time=time, account=account, device=device, ip=ip, session=session, app=APPS.index(app),
        waybill=parcels["waybill"], outcome=0, results=1, operator=operator,
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
    own = view.held_by(int(view.staff.outlet[account]), view.day * DAY, dest_only=True)
    swap = np.flatnonzero(rng.random(len(parcels)) < share) if len(own) else np.zeros(0, np.int64)
    mixed = parcels.copy()
    mixed[swap] = own[rng.integers(0, max(len(own), 1), len(swap))] if swap.size else mixed[swap]
    return mixed


def some_of(parcels: Rows, n: int, rng: np.random.Generator) -> Rows:
    """`n` of the parcels in random order, each once; fewer where there are fewer."""
    chosen: Rows = parcels[rng.permutation(len(parcels))[:n]]
    return chosen


def sitting(
    view: View, plan: Plan, k: int, parcels: Rows, rng: np.random.Generator, *, account: int, device: int, ip: int,
    start: int, gap_seconds: float, what: str = "search", app: str = "counter", operator: int = OTHER,
) -> Rows:  # fmt: skip
    """The k-th sitting of the day: a login of its own, then the parcels one after another."""
    if not len(parcels):
        return new_rows(0)
    session = session_number(view, plan, k)
    time = paced(start + 20_000, len(parcels), gap_seconds, rng)
    looks = steal(
        parcels, time, account=account, device=device, ip=ip, session=session, what=what, app=app, operator=operator
    )
    return pile([login_row(start, account=account, device=device, ip=ip, session=session, app=app), looks])


def own_work(view: View, account: int, parcels: Rows, time: I64, *, what: str = "view") -> Rows:
    """Looks that the owner himself adds to his work, in his own sessions, on his own terminal and address."""
    app = {COURIER: "handset", SERVICE: "counter", CLERK: "station"}.get(int(view.staff.role[account]), "admin")
    rows = steal(
        parcels, time, account=account, device=ABSENT, ip=ABSENT, session=ABSENT, what=what, app=app, operator=OWNER
    )
    attach(rows, view.staff, view.places, view.terminals)
    return rows


def over_the_day(view: View, n: int, rng: np.random.Generator, *, hours: tuple[float, float] = (8.6, 19.0)) -> I64:
    """`n` times in order, anywhere between two hours of the day."""
    out: I64 = view.day * DAY + np.sort((rng.uniform(*hours, n) * HOUR).astype(np.int64))
    return out


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


def own_device(view: View, plan: Plan, k: int = 0) -> str:
    """Name of the attacker's k-th own terminal, of the same form as handsets that the carrier has not registered."""
    key = np.array([plan.number + k * 100_003])
    return f"HS{int(mix(key, view.settings.seed + 91)[0] % np.uint64(10**11)):011d}"


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

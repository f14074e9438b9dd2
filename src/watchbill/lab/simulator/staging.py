"""Stages attacks in a world: which accounts and days, each day's wrongful rows, and what is said of them in the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from watchbill.core.errors import SettingsError
from watchbill.lab.attacks.base import FIRST_DAY, Attack, AttackSpec, Plan, View, login_row
from watchbill.lab.simulator.finish import LOOK_CODES
from watchbill.lab.simulator.parcels import canary_place
from watchbill.lab.simulator.rows import APPS, DAY, MINUTE, OPERATORS, OWNER, Rows, pile
from watchbill.lab.simulator.seeds import I64, rng_for
from watchbill.lab.simulator.settings import WorldSettings
from watchbill.lab.simulator.staff import ROLES
from watchbill.lab.simulator.write import Names

DEFAULT_ATTACKS: Final = ("blatant_lease", "list_decryption", "low_and_slow", "device_ring", "leaver_reuse")


def default_attacks(settings: WorldSettings) -> list[AttackSpec]:
    """One of each of `DEFAULT_ATTACKS`; none in a world of under 7 days."""
    return spread_attacks(settings.days, DEFAULT_ATTACKS, over=7)


def spread_attacks(days: int, kinds: Sequence[str], *, over: int | None = None) -> list[AttackSpec]:
    """One of each kind, begun on different days after `FIRST_DAY`; none in a world of under 7 days.

    Args:
        days: days of the world.
        kinds: names of attacks.
        over: how many steps the days after `FIRST_DAY` are cut into (so many as there are kinds).
    """
    if days < FIRST_DAY + 2:
        return []
    room, steps = days - FIRST_DAY, over or max(len(kinds), 1)
    return [AttackSpec(k, day=FIRST_DAY + (i * room // steps) % room, days=0) for i, k in enumerate(kinds)]


def plan_attacks(view: View, specs: Sequence[AttackSpec], kinds: Mapping[str, Attack]) -> list[Plan]:
    """Choose days and accounts for each specification; no account is taken twice unless named twice.

    Raises:
        SettingsError: an attack is unknown, lies outside the world, has no such figure, or finds nobody.
    """
    plans: list[Plan] = []
    taken: set[int] = set()
    days = view.settings.days
    for number, spec in enumerate(specs):
        if spec.kind not in kinds:
            raise SettingsError("no such attack", where=spec.kind, todo=f"one of: {', '.join(kinds)}")
        attack, rng = kinds[spec.kind], rng_for(view.settings.seed, f"plan {spec.kind}", number)
        first = spec.day if spec.day is not None else int(rng.integers(min(FIRST_DAY, days - 1), days))
        last = min(first + (spec.days or attack.days), days) - 1
        if not 0 <= first < days:
            raise SettingsError("the attack lies outside the world", where=spec.kind, todo="choose a day within it")
        unknown = set(spec.params) - set(attack.defaults)
        if unknown or attack.choose is None:
            raise SettingsError(
                "the attack does not know a figure given", where=spec.kind, todo=f"it has: {', '.join(attack.defaults)}"
            )
        accounts = attack.choose(view, spec, first, last, taken, rng)
        taken.update(accounts)
        plans.append(Plan(spec, number, accounts, first, last, {**attack.defaults, **spec.params}))
    return plans


@dataclass(slots=True)
class Taken:
    """What one attack has taken so far; device and address numbers are the world's."""

    looks: int = 0
    canaries: int = 0
    since: int | None = None
    until: int | None = None
    subjects: list[I64] = field(default_factory=list)
    accounts: set[int] = field(default_factory=set)
    devices: set[int] = field(default_factory=set)
    ips: set[int] = field(default_factory=set)
    sessions: set[int] = field(default_factory=set)
    operators: set[int] = field(default_factory=set)

    def add(self, looks: Rows, canary_every: int) -> None:
        """Count one day's looks."""
        if not len(looks):
            return
        subs = looks["subs"][looks["outcome"] == 0]
        self.subjects.append(np.unique(subs[subs > 0]))
        self.looks += len(looks)
        numbered = looks["waybill"] > 0
        self.canaries += int((looks["waybill"][numbered] % 10**5 % canary_every == canary_place(canary_every)).sum())
        first, last = int(looks["time"].min()), int(looks["time"].max()) + 1
        self.since = first if self.since is None else min(self.since, first)
        self.until = last if self.until is None else max(self.until, last)
        for name, into in (
            ("account", self.accounts), ("device", self.devices), ("ip", self.ips), ("session", self.sessions),
        ):  # fmt: skip
            into.update(int(v) for v in np.unique(looks[name]).tolist() if v >= 0)
        self.operators.update(np.unique(looks["operator"]).tolist())


def attack_rows(view: View, plan: Plan, attack: Attack) -> Rows:
    """One attack's rows of one day (times within the day), with the logins that its own sessions lack."""
    rows = attack.generate(view, plan, rng_for(view.settings.seed, f"attack {plan.id}", view.day))
    today: Rows = rows[rows["time"] // DAY == view.day]
    today["attack"] = plan.number
    return today


def missing_logins(attacked: Rows, logins: Rows) -> Rows:
    """Logins for owners' sessions in which a wrongful look comes before any login (`logins`: the honest ones)."""
    own = attacked[(attacked["operator"] == OWNER) & (attacked["session"] >= 0) & np.isin(attacked["kind"], LOOK_CODES)]
    own = own[np.lexsort((own["time"], own["session"]))]
    first = own[np.flatnonzero(np.diff(own["session"], prepend=-1))]
    order = np.argsort(logins["session"], kind="stable")
    known, when = logins["session"][order], logins["time"][order]
    at = np.minimum(np.searchsorted(known, first["session"]), max(len(known) - 1, 0))
    have = (known[at] == first["session"]) & (when[at] <= first["time"]) if len(known) else np.zeros(len(first), bool)
    return pile([_login_before(row) for row in first[~have]])


def _login_before(row: np.void) -> Rows:
    time = max(int(row["time"]) - MINUTE // 2, int(row["time"]) // DAY * DAY)
    made = login_row(
        time, account=int(row["account"]), device=int(row["device"]), ip=int(row["ip"]), session=int(row["session"]),
        app=APPS[int(row["app"])],
    )  # fmt: skip
    made["attack"] = row["attack"]
    return made


def attack_truth(view: View, plan: Plan, attack: Attack, taken: Taken, names: Names) -> dict[str, Any]:
    """What `truth/attacks.json` says of one attack; times in epoch milliseconds, spans [from, until)."""
    staff = view.staff
    # Somebody chosen who had no day at work did nothing.
    chosen = [a for a in plan.accounts if attack.device_only or a in taken.accounts]
    prepared = attack.prepares(plan) if attack.prepares else 0
    who = [names.accounts[a] for a in chosen]
    at = None if taken.since is None else taken.since + names.base
    return {
        "id": plan.id, "kind": plan.spec.kind, "summary": attack.summary,
        "accounts": [] if attack.device_only else who, "owners_of_devices": who if attack.device_only else [],
        "roles": [ROLES[staff.role[a]] for a in chosen],
        "outlets": sorted({names.outlets[int(staff.outlet[a])] for a in chosen}),
        "operators": [OPERATORS[k] for k in sorted(taken.operators)],
        "devices": sorted(names.devices[d] for d in taken.devices), "ips": sorted(names.ips[i] for i in taken.ips),
        "from": at, "until": None if taken.until is None else taken.until + names.base,
        "harvest_from": None if at is None else max(at, names.base + (plan.first_day + prepared) * DAY),
        "days": [plan.first_day, plan.last_day], "sessions": len(taken.sessions), "looks": taken.looks,
        "persons": len(np.unique(np.concatenate(taken.subjects))) if taken.subjects else 0, "canaries": taken.canaries,
        "params": {**plan.params, "intensity": plan.spec.intensity},
    }  # fmt: skip


def looks_of(rows: Rows) -> Rows:
    """Only the looks among rows."""
    found: Rows = rows[np.isin(rows["kind"], LOOK_CODES)]
    return found


def active(plans: Sequence[Plan], day: int) -> Iterator[Plan]:
    """The plans that run on a day."""
    return (plan for plan in plans if plan.first_day <= day <= plan.last_day)

"""The owner himself, on his own device and place, adds a hundred looks a day at other outlets' parcels to his work."""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import Attack, AttackSpec, Plan, View, clock, own_work, partly_own, pick_accounts
from watchbill.lab.simulator.rows import Rows, new_rows


def _choose(
    view: View, spec: AttackSpec, first: int, last: int, taken: set[int], rng: np.random.Generator
) -> tuple[int, ...]:
    return pick_accounts(view, spec, (first, last), taken, rng)


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    """Looks spread over his working hours; nothing on days off."""
    account = plan.accounts[0]
    if not view.works(account):
        return new_rows(0)
    n = int(rng.poisson(plan.params["looks_day"] * plan.spec.intensity))
    others = np.flatnonzero(view.pool["dest"] != view.staff.outlet[account])
    parcels = partly_own(view, account, view.pool[rng.choice(others, n)], plan.params["own_outlet"], rng)
    time = clock(view.day, 8.5) + np.sort((rng.random(n) * 10.5 * 3_600_000).astype(np.int64))
    return own_work(view, account, parcels, time)


ATTACK = Attack(
    summary="Owner takes about a hundred records a day of other outlets, inside normal volume.",
    generate=_generate,
    days=30,
    defaults={"looks_day": 100, "own_outlet": 0},
    choose=_choose,
)

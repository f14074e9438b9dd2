"""A temporary number harvests in its first days, before it has a history: hired for the peak, or hired for this.

The intermediary of the Hebei case was a courier of two months' standing (domain.md); churn makes new numbers cheap.
"""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import (
    Attack,
    AttackSpec,
    Plan,
    View,
    clock,
    own_work,
    partly_own,
    pick_accounts,
    some_of,
)
from watchbill.lab.simulator.rows import HOUR, Rows
from watchbill.lab.simulator.staff import EMPLOYMENT


def _choose(
    view: View, spec: AttackSpec, first: int, last: int, taken: set[int], rng: np.random.Generator
) -> tuple[int, ...]:
    """A number without an owner, given out on the first day; where none is free, a courier's."""
    free = [i for i in view.staff.spare if i not in taken]
    if spec.accounts or not free:
        return pick_accounts(view, spec, (first, last), taken, rng)
    account = int(rng.choice(free))
    view.staff.hired[account] = view.staff.roster_from[account] = first
    view.staff.employment[account] = EMPLOYMENT.index("temp")
    return (account,)


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    """On his own handset, in working hours, mostly parcels that he has no work with."""
    account = plan.accounts[0]
    n = max(1, int(plan.params["looks_day"] * plan.spec.intensity))
    anything = some_of(view.pool, n, rng)
    parcels = partly_own(view, account, anything, plan.params["own_outlet"], rng)
    time = clock(view.day, 9) + np.sort((rng.random(len(parcels)) * 9 * HOUR).astype(np.int64))
    return own_work(view, account, parcels, time)


ATTACK = Attack(
    summary="A fresh temporary number harvests in its first days.",
    generate=_generate,
    days=4,
    defaults={"looks_day": 120, "own_outlet": 0.4},
    choose=_choose,
)

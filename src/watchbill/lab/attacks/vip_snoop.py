"""A clerk watches a handful of particular persons: few looks, the same people again and again, all their parcels.

Domain.md: information on particular persons (the criminal tier for tracks begins at 25 items); volume never shows it.
"""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import Attack, Plan, View, one_of, over_the_day, own_work, some_of
from watchbill.lab.simulator.rows import Rows, new_rows
from watchbill.lab.simulator.seeds import rng_for
from watchbill.lab.simulator.staff import SERVICE

PERSONS_END = 2 * 10**10
"""Customers below this number are persons; above it are shops."""


def _persons(view: View, plan: Plan) -> set[int]:
    """The persons watched, the same on every day: regular customers of one other outlet."""
    rng, own = rng_for(view.settings.seed, "vip", plan.number), int(view.staff.outlet[plan.accounts[0]])
    outlet = (own + 1 + int(rng.integers(0, view.settings.outlets - 1))) % view.settings.outlets
    numbers = rng.choice(int(plan.params["regulars"]), int(plan.params["persons"]), replace=False)
    return {10**10 + outlet * 10**5 + int(k) for k in numbers}


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    account, persons = plan.accounts[0], list(_persons(view, plan))
    if not view.works(account):
        return new_rows(0)
    theirs = view.pool[np.isin(view.pool["recipient"], persons) | np.isin(view.pool["sender"], persons)]
    theirs = theirs[theirs["recipient"] < PERSONS_END]
    n = max(1, int(rng.poisson(plan.params["looks_day"] * plan.spec.intensity)))
    parcels = some_of(theirs, n, rng)
    return own_work(view, account, parcels, over_the_day(view, len(parcels), rng))


ATTACK = Attack(
    summary="A clerk follows a handful of particular persons over days.",
    generate=_generate,
    days=14,
    defaults={"persons": 6, "regulars": 12, "looks_day": 5},
    choose=one_of(SERVICE),
)

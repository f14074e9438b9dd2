"""Several owners of one outlet sell together: each a few a day, no parcel twice, all on their own handsets.

Deppon 2019 in domain.md: several employees, half a million pieces; detection.md 2 pools over device, outlet and ring.
"""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import (
    Attack,
    AttackSpec,
    Plan,
    View,
    over_the_day,
    own_work,
    partly_own,
    pick_team,
    some_of,
)
from watchbill.lab.simulator.rows import Rows, pile
from watchbill.lab.simulator.staff import COURIER, SERVICE


def _choose(
    view: View, spec: AttackSpec, first: int, last: int, taken: set[int], rng: np.random.Generator
) -> tuple[int, ...]:
    n = int(spec.params.get("accounts", ATTACK.defaults["accounts"]))
    return pick_team(view, spec, (first, last), taken, rng, n=n, roles=(COURIER, SERVICE))


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    """The day's list is dealt out among those who work."""
    n = max(1, int(plan.params["looks_day"] * plan.spec.intensity))
    listed = some_of(view.elsewhere(int(view.staff.outlet[plan.accounts[0]])), n * len(plan.accounts), rng)
    chunks: list[Rows] = []
    for k, account in enumerate(plan.accounts):
        if view.works(account):
            parcels = partly_own(view, account, listed[k :: len(plan.accounts)], plan.params["own_outlet"], rng)
            chunks.append(own_work(view, account, parcels, over_the_day(view, len(parcels), rng)))
    return pile(chunks)


ATTACK = Attack(
    summary="Several owners of one outlet take a few each, no parcel twice.",
    generate=_generate,
    days=14,
    defaults={"accounts": 4, "looks_day": 10, "own_outlet": 0},
    choose=_choose,
)

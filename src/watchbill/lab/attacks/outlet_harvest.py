"""The owner walks through his own outlet's parcels, every look explained (detection.md 1: only reverse traces see it).

Deppon 2019 and the Hebei outlets in domain.md: the people have the right to see these parcels, and copy them all.
"""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import (
    Attack,
    AttackSpec,
    Plan,
    View,
    clock,
    over_the_day,
    own_work,
    pick_accounts,
    some_of,
)
from watchbill.lab.simulator.rows import Rows, new_rows
from watchbill.lab.simulator.staff import COURIER, SERVICE


def _choose(
    view: View, spec: AttackSpec, first: int, last: int, taken: set[int], rng: np.random.Generator
) -> tuple[int, ...]:
    """A courier or a service clerk, as it comes."""
    return pick_accounts(view, spec, (first, last), taken, rng, role=COURIER if rng.random() < 0.5 else SERVICE)


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    """Parcels that stood on the outlet's list in the morning, in the list's order, over the working day."""
    account = plan.accounts[0]
    if not view.works(account):
        return new_rows(0)
    listed = view.held_by(int(view.staff.outlet[account]), clock(view.day, 8.5), dest_only=True)
    parcels = some_of(listed, int(plan.params["looks_day"] * plan.spec.intensity), rng)
    parcels = parcels[np.argsort(parcels["waybill"])]
    return own_work(view, account, parcels, over_the_day(view, len(parcels), rng))


ATTACK = Attack(
    summary="Owner copies his own outlet's parcels, all of them explained.",
    generate=_generate,
    days=5,
    defaults={"looks_day": 200},
    choose=_choose,
)

"""A trojan on an outlet's label PC uses the passwords typed there: many accounts harvested through one shared machine.

Yuyao 2022 and Changzhou 2022 in domain.md.
"""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import Attack, AttackSpec, Plan, View, clock, pick_team, sitting, some_of
from watchbill.lab.simulator.rows import PROGRAM, Rows, pile
from watchbill.lab.simulator.staff import COURIER, SERVICE


def _choose(
    view: View, spec: AttackSpec, first: int, last: int, taken: set[int], rng: np.random.Generator
) -> tuple[int, ...]:
    n = int(spec.params.get("accounts", ATTACK.defaults["accounts"]))
    return pick_team(view, spec, (first, last), taken, rng, n=n, roles=(COURIER, SERVICE))


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    """One account after the other, in the midday and evening hours when nobody prints."""
    chunks: list[Rows] = []
    for k, account in enumerate(plan.accounts):
        outlet = int(view.staff.outlet[account])
        n = max(1, int(plan.params["looks_day"] * plan.spec.intensity))
        own = round(n * plan.params["own_outlet"])
        at_hand = view.held_by(outlet, view.day * 86_400_000)
        parcels = np.concatenate([some_of(at_hand, own, rng), some_of(view.elsewhere(outlet), n - own, rng)])
        parcels = parcels[rng.permutation(len(parcels))]
        chunks.append(
            sitting(
                view, plan, k, parcels, rng, account=account, device=view.label_pc(outlet), ip=outlet,
                start=clock(view.day, 12.0 + 2.2 * (k % 5) + rng.random()), gap_seconds=plan.params["gap_seconds"],
                app="label", operator=PROGRAM, what="view",
            )
        )  # fmt: skip
    return pile(chunks)


ATTACK = Attack(
    summary="Many accounts of an outlet harvested through its shared label PC.",
    generate=_generate,
    days=3,
    defaults={"accounts": 5, "looks_day": 100, "gap_seconds": 4, "own_outlet": 0.5},
    choose=_choose,
)

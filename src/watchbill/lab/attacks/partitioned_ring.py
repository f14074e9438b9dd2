"""A ring that shares nothing but its plan: every number on its own device and line, adjacent ranges without overlap.

Adaptive form of the five Hebei numbers in domain.md; detection.md 4 names it: lockstep in the same hours, no shared device.
"""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import Attack, AttackSpec, Plan, View, clock, own_device, pick_accounts, sitting
from watchbill.lab.simulator.rows import Rows, pile


def _choose(
    view: View, spec: AttackSpec, first: int, last: int, taken: set[int], rng: np.random.Generator
) -> tuple[int, ...]:
    n = min(int(spec.params.get("accounts", ATTACK.defaults["accounts"])), view.settings.outlets)
    return pick_accounts(view, spec, (first, last), taken, rng, n=n)


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    """Each hour of work one stretch of numbers, cut into as many pieces as there are accounts."""
    n = max(1, int(plan.params["looks_turn"] * plan.spec.intensity))
    chunks: list[Rows] = []
    for turn in range(int(plan.params["turns"])):
        at = int(rng.choice(view.pool)["waybill"])
        start = clock(view.day, 9.3 + 1.5 * turn + rng.random())
        for k, account in enumerate(plan.accounts):
            ip = view.far_ip(int(view.staff.outlet[account]), plan.number * 5 + 7 * k)
            parcels = view.numbers_from(at + k * n, n)[1]
            chunks.append(
                sitting(
                    view, plan, turn * len(plan.accounts) + k, parcels, rng, account=account, ip=ip,
                    device=view.device(own_device(view, plan, k)), start=start + int(rng.integers(0, 300_000)),
                    gap_seconds=plan.params["gap_seconds"],
                )
            )  # fmt: skip
    return pile(chunks)


ATTACK = Attack(
    summary="Several numbers of different outlets walk adjacent ranges in the same hours, each from its own device.",
    generate=_generate,
    days=3,
    defaults={"accounts": 4, "turns": 4, "looks_turn": 40, "gap_seconds": 12},
    choose=_choose,
)

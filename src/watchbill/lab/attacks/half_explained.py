"""A renter who mixes: half of what he takes are parcels of the number's own outlet, which have a reason.

Adaptive: he knows that looks without business reason are watched (detection.md 9 judges it as the half-explained attack).
"""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import Attack, Plan, View, clock, one_of, own_device, partly_own, sitting
from watchbill.lab.simulator.rows import Rows, pile
from watchbill.lab.simulator.staff import COURIER


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    """Sittings from another province; ranges with own parcels strewn in."""
    account, sittings = plan.accounts[0], max(1, int(plan.params["sittings"]))
    outlet = int(view.staff.outlet[account])
    ip, device = view.far_ip(outlet, plan.number * 5 + 4), view.device(own_device(view, plan))
    n = max(1, int(plan.params["looks_day"] * plan.spec.intensity) // sittings)
    chunks: list[Rows] = []
    for k in range(sittings):
        walked = view.numbers_from(int(rng.choice(view.pool)["waybill"]), n)[1]
        parcels = partly_own(view, account, walked, plan.params["own_outlet"], rng)
        start = clock(view.day, 9.1 + k * 10 / sittings + rng.random())
        chunks.append(
            sitting(
                view, plan, k, parcels, rng, account=account, device=device, ip=ip, start=start,
                gap_seconds=plan.params["gap_seconds"],
            )
        )  # fmt: skip
    return pile(chunks)


ATTACK = Attack(
    summary="Renter takes half of his records from the number's own outlet, where a reason stands behind them.",
    generate=_generate,
    days=3,
    defaults={"looks_day": 600, "sittings": 3, "gap_seconds": 9, "own_outlet": 0.5},
    choose=one_of(COURIER),
)

"""A renter behind a proxy in the owner's own city: no travel to see, only a new device and somebody else's hands.

Adaptive form of the leases in domain.md (SF Hunan 2016 was noticed by the other city; this one is not).
"""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import Attack, Plan, View, clock, one_of, own_device, partly_own, sitting
from watchbill.lab.simulator.rows import Rows, pile
from watchbill.lab.simulator.staff import COURIER


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    account, sittings = plan.accounts[0], max(1, int(plan.params["sittings"]))
    ip, device = view.near_ip(int(view.staff.outlet[account]), plan.number * 5 + 6), view.device(own_device(view, plan))
    n = max(1, int(plan.params["looks_day"] * plan.spec.intensity) // sittings)
    chunks: list[Rows] = []
    for k in range(sittings):
        walked = view.numbers_from(int(rng.choice(view.pool)["waybill"]), n)[1]
        parcels = partly_own(view, account, walked, plan.params["own_outlet"], rng)
        start = clock(view.day, 9.1 + k * 9 / sittings + rng.random())
        chunks.append(
            sitting(
                view, plan, k, parcels, rng, account=account, device=device, ip=ip, start=start,
                gap_seconds=plan.params["gap_seconds"],
            )
        )  # fmt: skip
    return pile(chunks)


ATTACK = Attack(
    summary="Renter through a proxy in the owner's city, on a new device.",
    generate=_generate,
    days=3,
    defaults={"looks_day": 400, "sittings": 3, "gap_seconds": 8, "own_outlet": 0.2},
    choose=one_of(COURIER),
)

"""Somebody steers the owner's own PC from afar: device and address are right, the hours and the hands are not.

Domain.md: fake technicians and trojans on outlet PCs (Yuyao 2022); detection.md 3 names remote control.
"""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import Attack, Plan, View, clock, one_of, partly_own, sitting
from watchbill.lab.simulator.rows import Rows, pile
from watchbill.lab.simulator.seeds import choose
from watchbill.lab.simulator.staff import OUTLET_PCS, SERVICE


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    """Late in the evening and before dawn, at the counter that the owner sat at."""
    account = plan.accounts[0]
    outlet = int(view.staff.outlet[account])
    counter = int(choose(np.array([account + view.day * 7919]), 5, OUTLET_PCS)[0])
    device = view.terminals.pc_start + outlet * OUTLET_PCS + counter
    n = max(1, int(plan.params["looks_day"] * plan.spec.intensity) // 2)
    chunks: list[Rows] = []
    for k, hour in enumerate((4.2, 21.6)):
        walked = view.numbers_from(int(rng.choice(view.pool)["waybill"]), n)[1]
        parcels = partly_own(view, account, walked, plan.params["own_outlet"], rng)
        chunks.append(
            sitting(
                view, plan, k, parcels, rng, account=account, device=device, ip=outlet,
                start=clock(view.day, hour + rng.random() / 2), gap_seconds=plan.params["gap_seconds"], what="view",
            )
        )  # fmt: skip
    return pile(chunks)


ATTACK = Attack(
    summary="The owner's own PC and address, steered by somebody else at night in another rhythm.",
    generate=_generate,
    days=4,
    defaults={"looks_day": 200, "gap_seconds": 5, "own_outlet": 0.3},
    choose=one_of(SERVICE),
)

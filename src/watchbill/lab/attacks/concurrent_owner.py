"""The renter sits at a desk in the owner's city while the owner is out on his round, slowly and half at his own outlet's parcels.

Detection.md 3: owner active elsewhere, scanning on the round while the desk login searches.
"""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import Attack, Plan, View, clock, one_of, own_device, partly_own, sitting, some_of
from watchbill.lab.simulator.rows import Rows, new_rows
from watchbill.lab.simulator.staff import COURIER


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    """One sitting on days when the owner works, in the hours of his morning round."""
    account = plan.accounts[0]
    if not view.works(account):
        return new_rows(0)
    strangers = some_of(
        view.elsewhere(int(view.staff.outlet[account])), int(plan.params["looks_day"] * plan.spec.intensity), rng
    )
    return sitting(
        view, plan, 0, partly_own(view, account, strangers, plan.params["own_outlet"], rng), rng, account=account,
        device=view.device(own_device(view, plan)), ip=view.near_ip(int(view.staff.outlet[account]), plan.number * 5 + 9),
        start=clock(view.day, 8.8 + rng.random()), gap_seconds=plan.params["gap_seconds"],
    )  # fmt: skip


ATTACK = Attack(
    summary="Renter at a desk in the same city while the owner scans on his round.",
    generate=_generate,
    days=4,
    defaults={"looks_day": 150, "gap_seconds": 70, "own_outlet": 0.5},
    choose=one_of(COURIER),
)

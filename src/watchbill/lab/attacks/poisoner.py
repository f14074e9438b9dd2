"""The owner first looks more and more at parcels that he may see, for weeks, so that his own normal grows; then he harvests.

Adaptive: aimed at learned baselines (detection.md 2, anti-poisoning; 8: own history can be poisoned).
"""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import Attack, Plan, View, clock, one_of, over_the_day, own_work, some_of
from watchbill.lab.simulator.rows import Rows, new_rows
from watchbill.lab.simulator.staff import COURIER


def _prepares(plan: Plan) -> int:
    """Days of preparation: at most two thirds of the time there is."""
    return min(int(plan.params["ramp_days"]), (plan.last_day - plan.first_day + 1) * 2 // 3)


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    account, ramp, full = plan.accounts[0], _prepares(plan), plan.params["looks_day"] * plan.spec.intensity
    if not view.works(account):
        return new_rows(0)
    outlet, nth = int(view.staff.outlet[account]), view.day - plan.first_day
    preparing = nth < ramp
    n = int(full * (nth + 1) / ramp) if preparing else int(full)
    source = view.held_by(outlet, clock(view.day, 8.5), dest_only=True) if preparing else view.elsewhere(outlet)
    parcels = some_of(source, n, rng)
    return own_work(view, account, parcels, over_the_day(view, len(parcels), rng))


ATTACK = Attack(
    summary="Owner raises his own baseline with explained looks for weeks, then takes other outlets' parcels.",
    generate=_generate,
    days=21,
    defaults={"ramp_days": 14, "looks_day": 150},
    choose=one_of(COURIER),
    prepares=_prepares,
)

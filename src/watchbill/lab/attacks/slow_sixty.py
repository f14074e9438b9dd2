"""The owner takes five to ten records a day for up to two months, among his own work.

SF Jingzhou 2015-16 in domain.md, made slower still; detection.md 9 judges slow attacks from five a day.
"""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import Attack, Plan, View, one_of, over_the_day, own_work, partly_own, some_of
from watchbill.lab.simulator.rows import Rows, new_rows
from watchbill.lab.simulator.staff import COURIER


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    account = plan.accounts[0]
    if not view.works(account):
        return new_rows(0)
    low, high = plan.params["looks_day_min"] * plan.spec.intensity, plan.params["looks_day_max"] * plan.spec.intensity
    strangers = some_of(
        view.elsewhere(int(view.staff.outlet[account])), int(rng.integers(int(low), int(high) + 1)), rng
    )
    parcels = partly_own(view, account, strangers, plan.params["own_outlet"], rng)
    return own_work(view, account, parcels, over_the_day(view, len(parcels), rng))


ATTACK = Attack(
    summary="Owner takes five to ten records a day for up to sixty days.",
    generate=_generate,
    days=60,
    defaults={"looks_day_min": 5, "looks_day_max": 10, "own_outlet": 0},
    choose=one_of(COURIER),
)

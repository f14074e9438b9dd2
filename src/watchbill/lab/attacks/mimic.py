"""The owner sells a little while he works: under his peers' hourly volume, in working hours, parcels of his own city.

Adaptive: he knows that volume, hours and foreign destinations are watched (SF Jingzhou in domain.md: inside normal volume).
"""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import Attack, Plan, View, clock, one_of, own_work, some_of
from watchbill.lab.simulator.rows import HOUR, Rows, new_rows, pile
from watchbill.lab.simulator.staff import COURIER


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    """A few an hour and never more, between his own looks."""
    account = plan.accounts[0]
    if not view.works(account):
        return new_rows(0)
    most = max(1, round(plan.params["looks_hour"] * plan.spec.intensity))
    nearby = view.elsewhere(int(view.staff.outlet[account]), near=True)
    chunks: list[Rows] = []
    for hour in range(int(plan.params["hours"])):
        parcels = some_of(nearby, int(rng.integers(most // 2, most + 1)), rng)
        time = clock(view.day, 9 + hour) + np.sort((rng.random(len(parcels)) * HOUR).astype(np.int64))
        chunks.append(own_work(view, account, parcels, time))
    return pile(chunks)


ATTACK = Attack(
    summary="Owner stays under his peers' hourly volume, in working hours and his own city.",
    generate=_generate,
    days=14,
    defaults={"looks_hour": 5, "hours": 9},
    choose=one_of(COURIER),
)

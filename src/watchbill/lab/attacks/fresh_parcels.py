"""A courier who picked the parcels up copies them within two hours: what is stolen is freshest, and he has it in his hands.

Domain.md: slips photographed or read under two hours after pickup, by people who do have the parcel.
"""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import Attack, Plan, View, one_of, own_work, some_of
from watchbill.lab.simulator.rows import DAY, MINUTE, Rows
from watchbill.lab.simulator.staff import COURIER

FRESH_MINUTES = (2.0, 110.0)


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    account = plan.accounts[0]
    known = np.concatenate([view.pool, view.today])
    mine = known[(known["pickup"] == account) & (known["picked"] // DAY == view.day)]
    parcels = some_of(mine, int(plan.params["looks_day"] * plan.spec.intensity), rng)
    time = parcels["picked"] + (rng.uniform(*FRESH_MINUTES, len(parcels)) * MINUTE).astype(np.int64)
    return own_work(view, account, parcels, time)


ATTACK = Attack(
    summary="A courier copies what he picked up within two hours.",
    generate=_generate,
    days=5,
    defaults={"looks_day": 60},
    choose=one_of(COURIER),
)

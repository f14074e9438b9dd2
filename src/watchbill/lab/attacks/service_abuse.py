"""Somebody inside runs a script under a robot's identity: another host, more fields than the job needs, another rate.

Qingpu 2024 in domain.md: an internal automation script under a service identity.
"""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import Attack, Plan, View, clock, one_of, own_device, partly_own, some_of, steal
from watchbill.lab.simulator.rows import ABSENT, Rows
from watchbill.lab.simulator.staff import ROBOT


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    """A steady stream in office hours from a machine on headquarters' office network."""
    account, n = plan.accounts[0], max(1, int(plan.params["looks_day"] * plan.spec.intensity))
    parcels = partly_own(view, account, some_of(view.pool, n, rng), 0.0, rng)
    gap = plan.params["gap_seconds"] * 1000
    time = clock(view.day, 9.5 + rng.random()) + np.cumsum(rng.uniform(0.9 * gap, 1.1 * gap, len(parcels))).astype(
        np.int64
    )
    return steal(
        parcels, time, account=account, device=view.device(own_device(view, plan)), ip=view.places.hq, session=ABSENT,
        what="view", app="notice",
    )  # fmt: skip


ATTACK = Attack(
    summary="A robot's identity used by a script from another host, for other fields, at another rate.",
    generate=_generate,
    days=3,
    defaults={"looks_day": 1500, "gap_seconds": 3},
    choose=one_of(ROBOT),
)

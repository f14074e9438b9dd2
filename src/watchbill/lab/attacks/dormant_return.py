"""A number that nobody has used for long wakes up: its owner is on leave or never came back, and somebody knows the password.

The unused franchise numbers behind the leases in domain.md; detection.md asks for dormant accounts.
"""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import (
    Attack,
    AttackSpec,
    Plan,
    View,
    clock,
    own_device,
    partly_own,
    pick_accounts,
    sitting,
)
from watchbill.lab.simulator.rows import Rows, pile


def _choose(
    view: View, spec: AttackSpec, first: int, last: int, taken: set[int], rng: np.random.Generator
) -> tuple[int, ...]:
    """Somebody on long leave since ten days at least, so that the silence shows; else a number that nobody works with."""
    staff = view.staff
    if spec.accounts:
        return pick_accounts(view, spec, (first, last), taken, rng)
    long_gone = (staff.away_from + 10 <= first) & (last < staff.away_to) & (staff.away_from > 0)
    silent = [i for i in np.flatnonzero(long_gone).tolist() if i not in taken]
    silent = silent or [i for i in staff.spare if i not in taken]
    return (int(rng.choice(silent)),) if silent else pick_accounts(view, spec, (first, last), taken, rng)


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    """Two sittings a day from a home line in the number's own city."""
    account = plan.accounts[0]
    outlet, n = int(view.staff.outlet[account]), max(1, int(plan.params["looks_day"] * plan.spec.intensity) // 2)
    chunks: list[Rows] = []
    for k, hour in enumerate((9.5, 15.0)):
        anything = view.pool[rng.integers(0, len(view.pool), n)]
        parcels = partly_own(view, account, anything, plan.params["own_outlet"], rng)
        chunks.append(
            sitting(
                view, plan, k, parcels, rng, account=account, device=view.device(own_device(view, plan)),
                ip=view.near_ip(outlet, plan.number * 5 + 8), start=clock(view.day, hour + rng.random()),
                gap_seconds=plan.params["gap_seconds"], app="handset", what="view",
            )
        )  # fmt: skip
    return pile(chunks)


ATTACK = Attack(
    summary="A number silent for long wakes up on a new device.",
    generate=_generate,
    days=3,
    defaults={"looks_day": 250, "gap_seconds": 10, "own_outlet": 0.3},
    choose=_choose,
)

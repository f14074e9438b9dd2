"""A number that ended comes back: a leaver's account, never closed in the systems, searches from a new device."""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import (
    Attack,
    AttackSpec,
    Plan,
    View,
    clock,
    login_row,
    own_device,
    paced,
    partly_own,
    pick_accounts,
    session_number,
    steal,
)  # fmt: skip
from watchbill.lab.simulator.rows import Rows, pile


def _choose(
    view: View, spec: AttackSpec, first: int, last: int, taken: set[int], rng: np.random.Generator
) -> tuple[int, ...]:
    """Somebody who has left by then; where nobody has (or the one named has not), he leaves the day before."""
    gone = [i for i in np.flatnonzero(view.staff.left <= first).tolist() if i not in taken]
    if gone and not spec.accounts:
        return (int(rng.choice(gone)),)
    chosen = pick_accounts(view, spec, (first, last), taken, rng)
    for account in chosen:
        if view.staff.left[account] > first:
            view.staff.leave(account, max(first - 1, 1))
    return chosen


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    """One evening sitting a day, random parcels of the old outlet and its neighbours."""
    account = plan.accounts[0]
    outlet = int(view.staff.outlet[account])
    device, ip = view.device(own_device(view, plan)), view.far_ip(outlet, plan.number * 5 + 2)
    n = max(1, int(plan.params["looks_day"] * plan.spec.intensity))
    start, session = clock(view.day, 19 + rng.random()), session_number(view, plan, 0)
    anything = view.pool[rng.integers(0, len(view.pool), n)]
    parcels = partly_own(view, account, anything, plan.params["own_outlet"], rng)
    time = paced(start + 20_000, n, plan.params["gap_seconds"], rng)
    looks = steal(parcels, time, account=account, device=device, ip=ip, session=session, what="view", app="handset")
    return pile([login_row(start, account=account, device=device, ip=ip, session=session, app="handset"), looks])


ATTACK = Attack(
    summary="An ended account comes back from a new device and looks at its old outlet's parcels.",
    generate=_generate,
    days=2,
    defaults={"looks_day": 200, "gap_seconds": 12, "own_outlet": 0.6},
    choose=_choose,
)

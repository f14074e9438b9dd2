"""A rented work number: somebody in another province searches waybill after waybill while the owner goes on working."""

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
    return pick_accounts(view, spec, (first, last), taken, rng)


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    """A few sittings a day; each walks ranges of outlets, a few hundred numbers in a row."""
    account = plan.accounts[0]
    outlet = int(view.staff.outlet[account])
    ip = view.far_ip(outlet, plan.number * 5 + 3)
    device = view.device(own_device(view, plan))
    total = int(plan.params["looks_day"] * plan.spec.intensity)
    sittings = int(plan.params["sittings"])
    chunks: list[Rows] = []
    for k in range(sittings):
        start = clock(view.day, 9.2 + k * 10 / sittings + rng.random())
        session = session_number(view, plan, k)
        chunks.append(login_row(start, account=account, device=device, ip=ip, session=session, app="counter"))
        left, parts = total // sittings, []
        while left > 0:
            n = min(left, int(rng.integers(40, 300)))
            parts.append(view.numbers_from(int(rng.choice(view.pool)["waybill"]), n)[1])
            left -= n
        walked = np.concatenate(parts) if parts else view.pool[:0]
        parcels = partly_own(view, account, walked, plan.params["own_outlet"], rng)
        time = paced(start + 20_000, len(parcels), plan.params["gap_seconds"], rng)
        chunks.append(
            steal(parcels, time, account=account, device=device, ip=ip, session=session, what="search", app="counter")
        )
    return pile(chunks)


ATTACK = Attack(
    summary="Renter in another province walks waybill ranges at hundreds to thousands a day.",
    generate=_generate,
    days=2,
    defaults={"looks_day": 1500, "sittings": 2, "gap_seconds": 6, "own_outlet": 0},
    choose=_choose,
)

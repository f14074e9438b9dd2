"""Shops hand over lists of masked waybills; a staff account resolves them in bursts, nation-wide and in no sequence."""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import (
    Attack,
    AttackSpec,
    Plan,
    View,
    clock,
    paced,
    partly_own,
    pick_accounts,
    session_number,
    steal,
)
from watchbill.lab.simulator.rows import OWNER, Rows, pile
from watchbill.lab.simulator.seeds import choose
from watchbill.lab.simulator.staff import OUTLET_PCS, SERVICE


def _choose(
    view: View, spec: AttackSpec, first: int, last: int, taken: set[int], rng: np.random.Generator
) -> tuple[int, ...]:
    return pick_accounts(view, spec, (first, last), taken, rng, role=SERVICE)


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    """Bursts from the clerk's own counter, each a random list from the whole country."""
    account = plan.accounts[0]
    outlet = int(view.staff.outlet[account])
    device = view.terminals.pc_start + outlet * OUTLET_PCS + int(choose(np.array([account]), 5, OUTLET_PCS)[0])
    bursts = int(plan.params["bursts"])
    chunks: list[Rows] = []
    for k in range(bursts):
        n = max(1, int(plan.params["looks_burst"] * plan.spec.intensity))
        start = clock(view.day, 9 + k * 10 / bursts + rng.random())
        session = session_number(view, plan, 0)
        listed = view.pool[rng.integers(0, len(view.pool), n)]
        parcels = partly_own(view, account, listed, plan.params["own_outlet"], rng)
        time = paced(start, n, plan.params["gap_seconds"], rng)
        chunks.append(
            steal(
                parcels,
                time,
                account=account,
                device=device,
                ip=outlet,
                session=session,
                what="view",
                app="counter",
                operator=OWNER,
            )
        )
    return pile(chunks)


ATTACK = Attack(
    summary="Waybills supplied by shops, resolved in bursts: no sequence, no geography, no business link.",
    generate=_generate,
    days=2,
    defaults={"bursts": 4, "looks_burst": 120, "gap_seconds": 4, "own_outlet": 0},
    choose=_choose,
)

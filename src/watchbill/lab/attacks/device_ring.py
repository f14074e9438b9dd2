"""Five rented numbers of several outlets, used in turn on one device and one address in another province."""

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
    pick_accounts,
    session_number,
    steal,
)  # fmt: skip
from watchbill.lab.simulator.rows import Rows, pile


def _choose(
    view: View, spec: AttackSpec, first: int, last: int, taken: set[int], rng: np.random.Generator
) -> tuple[int, ...]:
    n = min(int(spec.params.get("accounts", ATTACK.defaults["accounts"])), view.settings.outlets)
    return pick_accounts(view, spec, (first, last), taken, rng, n=n)


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    """The numbers take turns, some minutes each, walking adjacent ranges with no overlap."""
    device = view.device(own_device(view, plan))
    ip = view.far_ip(int(view.staff.outlet[plan.accounts[0]]), plan.number * 5 + 1)
    turn_looks = int(plan.params["looks_turn"])
    turns = max(1, round(plan.params["looks_day"] * plan.spec.intensity / turn_looks))
    chunks: list[Rows] = []
    time = clock(view.day, 9 + rng.random())
    at, walked = int(rng.choice(view.pool)["waybill"]), [np.zeros(0, np.int64)]
    for k in range(turns):
        account, session = plan.accounts[k % len(plan.accounts)], session_number(view, plan, k)
        chunks.append(login_row(time, account=account, device=device, ip=ip, session=session, app="counter"))
        numbers, parcels = view.numbers_from(at, turn_looks)
        times = paced(time + 15_000, turn_looks, plan.params["gap_seconds"], rng)
        chunks.append(
            steal(parcels, times, account=account, device=device, ip=ip, session=session, what="search", app="counter")
        )
        time = int(times[-1]) + int(rng.integers(30_000, 240_000))
        walked.append(numbers)
        # Where a range has run out, the next turn begins in another one.
        free = np.setdiff1d(view.pool["waybill"], np.concatenate([*walked, *(w - turn_looks for w in walked)]))
        goes_on = (parcels["recipient"][-5:] > 0).any() or not len(free)
        at = int(numbers[-1]) + 1 if goes_on else int(rng.choice(free))
    return pile(chunks)


ATTACK = Attack(
    summary="Five numbers in turn on one device in another province.",
    generate=_generate,
    days=2,
    defaults={"accounts": 5, "looks_day": 1000, "looks_turn": 50, "gap_seconds": 6},
    choose=_choose,
)

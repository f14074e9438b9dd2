"""The seed case: five rented numbers used one after another, never two in one hour, over two devices and two lines.

The Hebei case that opens domain.md: an intermediary in another province, five numbers in turn, one with over 8,000
searches. No device and no address is common to all five; together they hang in one chain.
"""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import Attack, AttackSpec, Plan, View, clock, own_device, pick_accounts, sitting
from watchbill.lab.simulator.rows import HOUR, Rows, pile

FIRST_HOUR, LAST_HOUR = 8, 20


def _choose(
    view: View, spec: AttackSpec, first: int, last: int, taken: set[int], rng: np.random.Generator
) -> tuple[int, ...]:
    n = min(int(spec.params.get("accounts", ATTACK.defaults["accounts"])), LAST_HOUR - FIRST_HOUR)
    return pick_accounts(view, spec, (first, last), taken, rng, n=n)


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    """Each number has hours of its own on a day; the order moves on from day to day, the ranges go on from number to number."""
    city, accounts = view.far_city(int(view.staff.outlet[plan.accounts[0]]), plan.number * 5 + 1), plan.accounts
    n, every = max(1, int(plan.params["looks_turn"] * plan.spec.intensity)), (LAST_HOUR - FIRST_HOUR) // len(accounts)
    at = int(rng.choice(view.pool)["waybill"])
    chunks: list[Rows] = []
    for k in range(len(accounts)):
        place = (k + view.day - plan.first_day) % len(accounts)
        hour = FIRST_HOUR + k * every
        numbers, parcels = view.numbers_from(at, n)
        rows = sitting(
            view, plan, k, parcels, rng, account=accounts[place], device=view.device(own_device(view, plan, place % 2)),
            ip=view.places.broadband_ip(city, plan.number * 7 + place // 2 % 2), start=clock(view.day, hour + rng.random() / 12),
            gap_seconds=plan.params["gap_seconds"],
        )  # fmt: skip
        chunks.append(rows[rows["time"] // HOUR == clock(view.day, hour) // HOUR])
        found = (parcels["recipient"][-5:] > 0).any()
        at = int(numbers[-1]) + 1 if found else int(rng.choice(view.pool)["waybill"])
    return pile(chunks)


ATTACK = Attack(
    summary="Five numbers one after another with no shared hour, on two devices and two lines.",
    generate=_generate,
    days=5,
    defaults={"accounts": 5, "looks_turn": 200, "gap_seconds": 7},
    choose=_choose,
)

"""A leaver kept his handset and his colleagues' passwords: his former device turns up on their accounts.

The intermediary of the Hebei case in domain.md was a former courier.
"""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import (
    Attack,
    AttackSpec,
    Plan,
    View,
    clock,
    partly_own,
    pick_accounts,
    pick_team,
    sitting,
)
from watchbill.lab.simulator.rows import DAY, Rows, pile
from watchbill.lab.simulator.staff import COURIER


def _choose(
    view: View, spec: AttackSpec, first: int, last: int, taken: set[int], rng: np.random.Generator
) -> tuple[int, ...]:
    """Colleagues of a courier who left after the log began; where nobody has, one leaves the day before."""
    staff, n = view.staff, int(spec.params.get("accounts", ATTACK.defaults["accounts"]))
    team = pick_team(view, spec, (first, last), taken, rng, n=n + 1)
    gone = np.flatnonzero((staff.role == COURIER) & (staff.left > 0) & (staff.left <= first))
    for leaver in [] if spec.accounts else rng.permutation(gone).tolist():
        near = np.flatnonzero((staff.outlet == staff.outlet[leaver]) & (staff.role == COURIER))
        mates = [i for i in near.tolist() if staff.left[i] > last and i not in taken and i not in staff.spare]
        if mates:
            return tuple(mates[:n])
    if _leaver(view, team[0], first) is None:
        leaver = (
            team[-1]
            if len(team) > 1
            else pick_accounts(view, AttackSpec(spec.kind), (first, last), {*taken, *team}, rng)[0]
        )
        staff.leave(leaver, max(first - 1, 1))
        team = tuple(i for i in team if i != leaver) or team
    return team[:n]


def _leaver(view: View, account: int, day: int) -> int | None:
    """Who of the account's outlet (else of anywhere) left in the world before the day."""
    staff = view.staff
    gone = (staff.role == COURIER) & (staff.left > 0) & (staff.left <= day)
    at_home = np.flatnonzero(gone & (staff.outlet == staff.outlet[account]))
    found = at_home if at_home.size else np.flatnonzero(gone)
    return int(found[0]) if found.size else None


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    """Evenings, one colleague's number after another."""
    leaver = _leaver(view, plan.accounts[0], plan.first_day)
    who = plan.accounts[0] if leaver is None else leaver
    device = int(view.staff.handset(np.array([who]), np.array([(view.staff.left[who] - 1) * DAY]))[0])
    n = max(1, int(plan.params["looks_day"] * plan.spec.intensity))
    chunks: list[Rows] = []
    for k, account in enumerate(plan.accounts):
        anything = view.pool[rng.integers(0, len(view.pool), n)]
        parcels = partly_own(view, account, anything, plan.params["own_outlet"], rng)
        chunks.append(
            sitting(
                view, plan, k, parcels, rng, account=account, device=device, app="handset", what="view",
                ip=view.near_ip(int(view.staff.outlet[who]), who), start=clock(view.day, 18.5 + 1.2 * k),
                gap_seconds=plan.params["gap_seconds"],
            )
        )  # fmt: skip
    return pile(chunks)


ATTACK = Attack(
    summary="A leaver's former handset turns up on his colleagues' accounts.",
    generate=_generate,
    days=3,
    defaults={"accounts": 3, "looks_day": 60, "gap_seconds": 14, "own_outlet": 0.5},
    choose=_choose,
)

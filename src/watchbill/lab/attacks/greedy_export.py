"""The export button, page after page: lists meant for one outlet's work are turned to their very end.

SF Dongguan 2016 and YTO 2013 in domain.md; detection.md 5 asks for greedy fields and deep paging.
"""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import Attack, Plan, View, clock, one_of, own_work, partly_own, some_of
from watchbill.lab.simulator.rows import Rows, new_rows
from watchbill.lab.simulator.staff import SERVICE

PAGE_ROWS = 20


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    """One export a day after lunch or in the evening; a record a parcel, as honest exports are logged."""
    account = plan.accounts[0]
    if not view.works(account):
        return new_rows(0)
    n = max(1, int(plan.params["pages"] * PAGE_ROWS * plan.spec.intensity))
    listed = some_of(view.elsewhere(int(view.staff.outlet[account]), near=True), n, rng)
    parcels = partly_own(view, account, listed, plan.params["own_outlet"], rng)
    page = np.arange(len(parcels)) // PAGE_ROWS
    pause = np.cumsum(rng.lognormal(np.log(plan.params["page_seconds"] * 1000), 0.6, int(plan.params["pages"] * 9)))
    start = clock(view.day, float(rng.choice([13.2, 19.1])) + rng.random() / 2)
    time = start + pause[np.minimum(page, len(pause) - 1)].astype(np.int64) + np.arange(len(parcels)) % PAGE_ROWS * 5
    rows = own_work(view, account, parcels, time, what="export")
    rows["page"] = page + 1
    return rows


ATTACK = Attack(
    summary="Owner exports lists of his city to the last page.",
    generate=_generate,
    days=2,
    defaults={"pages": 25, "page_seconds": 6, "own_outlet": 0.2},
    choose=one_of(SERVICE),
)

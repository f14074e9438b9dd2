"""A clerk's home-made downloader: his own counter, his own hours, and a metronome instead of hands.

SF Dongguan 2016 in domain.md: rhythm, breadth without depth.
"""

from __future__ import annotations

import numpy as np

from watchbill.lab.attacks.base import Attack, Plan, View, clock, one_of, own_work, partly_own
from watchbill.lab.simulator.rows import Rows, new_rows, pile
from watchbill.lab.simulator.staff import SERVICE


def _generate(view: View, plan: Plan, rng: np.random.Generator) -> Rows:
    """Two runs a day, each through one range."""
    account = plan.accounts[0]
    if not view.works(account):
        return new_rows(0)
    n, gap = max(1, int(plan.params["looks_day"] * plan.spec.intensity) // 2), plan.params["gap_seconds"] * 1000
    chunks: list[Rows] = []
    for hour in (10.0, 15.0):
        walked = view.numbers_from(int(rng.choice(view.pool)["waybill"]), n)[1]
        parcels = partly_own(view, account, walked, plan.params["own_outlet"], rng)
        beat = np.cumsum(rng.normal(gap, plan.params["jitter"] * gap, len(parcels)).clip(min=gap / 2)).astype(np.int64)
        chunks.append(own_work(view, account, parcels, clock(view.day, hour + rng.random()) + beat, what="search"))
    return pile(chunks)


ATTACK = Attack(
    summary="A clerk's downloader walks ranges like a metronome from his own counter.",
    generate=_generate,
    days=3,
    defaults={"looks_day": 600, "gap_seconds": 2.5, "jitter": 0.02, "own_outlet": 0.2},
    choose=one_of(SERVICE),
)

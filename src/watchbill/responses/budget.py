"""The budget of steps: how many accounts may be newly stepped up in one hour of arrival, so that a broken feed locks out no firm.

Statistical evidence rests on feeds, and a feed that breaks accuses everybody in one hour; misuse does not. Over the budget a
new step above ask_reason becomes ask_reason, and that is said. After an hour that spent it the next hour's is half, so that a
feed that stays broken does not lock out the firm an hour at a time. Evidence from records of work (scans, tickets) and evidence
from anything else have a budget each: what breaks the one does not spend the other. What is certain in itself is exempt:
canaries, and what a person confirmed. The token bucket goes on bounding every account's loss (docs/contain.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from watchbill.core.kernel import Row, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchbill.core.settings import PolicySettings

BUDGET: Final = np.dtype(
    [
        ("hour", np.int64),  # the running hour of arrival (`hour_of`)
        ("share", np.float64),  # settings: of the active accounts
        ("least", np.int32),  # settings
        ("before", np.int32),  # accounts active in the hour before
        ("active", np.int32),  # in this hour, so far
        ("spent", np.int32),  # accounts newly stepped up in this hour
        ("refused", np.int32),  # accounts that the budget kept from a step in this hour
        ("eased", np.int32),  # halvings of the room, one for each hour that spent it; a calm hour takes one back
        ("alerts", np.int32),  # hours whose budget turned out to be spent, in the last batch
        ("hours_spent", np.int64),  # and since the beginning
        ("refused_ever", np.int64),  # accounts an hour, since the beginning
    ],
    align=True,
)
"""A row of a budget: two settings, the rest is state."""

WORK, OTHER = range(2)
KINDS: Final = 2
"""Kinds of evidence, each with a row of its own: from records of work, and from anything else."""
WORK_FAMILIES: Final = ("reason", "volume", "trace", "harvest", "graph", "slow")
"""Families whose evidence a broken feed of scans or tickets makes (measured: benchmarks/policy_budget.py)."""
HOURS: Final = np.dtype([("active", np.int32), ("refused", np.int32, (KINDS,))], align=True)
"""Of an account: the last hour in which it was active, and in which each budget kept it from a step."""
HOUR_MS: Final = 3_600_000


def budget_of(settings: PolicySettings) -> NDArray[np.void]:
    """BUDGET[KINDS] at the beginning."""
    out = np.zeros(KINDS, BUDGET)
    return under(out, settings)


def under(budget: NDArray[np.void], settings: PolicySettings) -> NDArray[np.void]:
    """The same state under these settings."""
    budget["share"], budget["least"] = settings.budget_share, settings.budget_min
    return budget


@kernel
def hour_of(arrival: int) -> int:
    """The hour of `arrival` (epoch ms); 0 is none."""
    return arrival // HOUR_MS + 1


@kernel
def room(budget: Row) -> int:
    """Accounts that may be newly stepped up in this hour: grows while more accounts are seen; one at least, where any may."""
    whole = max(int(budget.least), int(budget.share * max(budget.before, budget.active)))
    return max(min(whole, 1), whole >> int(budget.eased))


@kernel
def _next_hour(budget: Row, hour: int) -> None:
    gap = hour - budget.hour - 1  # hours in which nothing came
    calm = gap
    if not budget.refused:
        calm += 1
    elif room(budget) > 1:
        budget.eased += 1
    budget.eased = max(budget.eased - calm, 0)
    budget.before = 0 if gap else budget.active
    budget.hour, budget.active, budget.spent, budget.refused = hour, 0, 0, 0


@kernel
def note_active(budgets: NDArray[np.void], own: Row, arrival: int) -> None:
    """An account is active at `arrival` (epoch ms, never going back)."""
    hour = hour_of(arrival)
    fresh = own.active != hour
    for k in range(KINDS):
        if hour > budgets[k].hour:
            _next_hour(budgets[k], hour)
        if fresh:
            budgets[k].active += 1
    if fresh:
        own.active = hour


@kernel
def affords(
    budgets: NDArray[np.void], kind: int, own: Row, event: int, alerts: NDArray[np.int32], certain: bool
) -> bool:  # fmt: skip
    """Whether an account may be newly stepped up by this kind of evidence; it then is.

    What is `certain` needs no room and takes none. `alerts` are filled; their number stands in the first row.
    """
    if certain:
        return True
    budget = budgets[kind]
    if budget.spent < room(budget):
        budget.spent += 1
        return True
    if budget.refused == 0:
        alerts[budgets[0].alerts] = event
        budgets[0].alerts += 1
        budget.hours_spent += 1
    if own.refused[kind] != budget.hour:
        own.refused[kind] = budget.hour
        budget.refused += 1
        budget.refused_ever += 1
    return False


def kinds_of(
    evidence: NDArray[np.float32], weights: NDArray[np.float64], is_work: NDArray[np.bool_],
    guarantee: NDArray[np.float32], limit: float,
) -> NDArray[np.uint8]:  # fmt: skip
    """uint8[n]: OTHER where evidence from anything but records of work reaches the limit alone, else WORK.

    Args:
        evidence: float32[families, n], log e-values. weights, is_work: of the families. guarantee: float32[n], log; under
            `limit` (nats) nothing needs a budget.
    """
    out = np.full(guarantee.shape[0], WORK, np.uint8)
    at = np.flatnonzero(guarantee >= limit)
    if at.shape[0]:
        nats = evidence[~is_work][:, at].astype(np.float64)
        # as far over the limit as it is, no sum of e-values overflows
        alone = (weights[~is_work][:, None] * np.exp(np.minimum(nats, limit + 100.0)) * (nats > 0)).sum(axis=0)
        out[at] = np.where(alone >= np.exp(limit), OTHER, WORK)
    return out

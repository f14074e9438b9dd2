"""What would settle an attribution: which further evidence tells the candidates apart, and how much of it; pure."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

APART: Final = 4.6
"""Nats from even odds to .99."""
LINES_SHOWN: Final = 10
PAIRS_MAX: Final = 3


class Candidate(NamedTuple):
    """One account: posterior, its hits and items that it held (numbers of items), how many customers it saw."""

    account: str
    posterior: float
    items: frozenset[int]
    customers: int


def more_items(first: Candidate, second: Candidate, shared: float, noise: float) -> int:
    """Further items of the same list that bring the first to .99 against the second, on average.

    An item that only one saw settles it; one that both saw weighs the ratio of how many customers they saw. Source:
    shared/detection.md 7, 3 to 5 over (1 - noise)(1 - shared).

    Args:
        shared: share of the first's customers that the second saw too, 0-1. noise: share of the list that is noise, 0-1.
    """
    alone = (1.0 - noise) * (1.0 - shared)
    by_size = (1.0 - noise) * shared * math.log(max(second.customers, 1) / max(first.customers, 1))
    before = math.log(max(first.posterior, 1e-9) / max(second.posterior, 1e-9))
    wanted = max(APART - before, 0.0)
    if wanted == 0:
        return 0
    certain = 3.0 / alone if alone > 0 else math.inf
    drifting = wanted / by_size if by_size > 0 else math.inf
    best = min(certain, drifting)
    return math.ceil(best) if math.isfinite(best) else -1


def settling(
    outcome: str, candidates: list[Candidate], lines: list[int], shared: dict[str, float], holders: list[str], unmatched: int
) -> list[str]:  # fmt: skip
    """Sentences for people. `shared`: candidate -> share of the first's customers that it saw too; `lines`: of the items."""
    out: list[str] = []
    if outcome == "set" and len(candidates) > 1:
        first, size = candidates[0], max(len(lines), 1)
        noise = 1.0 - min(len(first.items) / size, 1.0)
        near = [one for one in candidates[1 : 1 + PAIRS_MAX] if one.posterior > first.posterior / 100]
        out += [_between(first, other, shared.get(other.account, 0.0), noise, lines) for other in near]
    if outcome == "set":
        out.append("the date at which the list was out (--before): looks after it count for nobody")
        out.append("whether the first records of the list were checked with the customers: each wrong one is noise")
    if outcome == "custody":
        place = f" at {', '.join(holders[:PAIRS_MAX])}" if holders else ""
        out.append(f"pictures of the slips: hands, desks and backgrounds{place}; cameras there when the parcels were")
        out.append("records of the list of which the parcel was never there: one speaks for a screen, not for hands")
    if outcome == "nobody":
        out.append(
            "systems that show customers and send no records here; who else holds these customers (shops, partners)"
        )
        if unmatched:
            out.append(
                f"what the {unmatched:,} records are that nothing here knows: another firm's make it another firm's list"
            )
    if outcome != "named":
        out.append("canaries: `watchbill canary place` where the candidates look, and wait for the next list")
    return out


def _between(first: Candidate, other: Candidate, shared: float, noise: float, lines: list[int]) -> str:
    more = more_items(first, other, shared, noise)
    text = f"{first.account} or {other.account}: "
    text += (
        f"about {more:,} further records of the same list" if more >= 0 else "no number of records (they saw the same)"
    )
    alone = sorted(lines[at] for at in first.items - other.items if at < len(lines))[:LINES_SHOWN]
    theirs = sorted(lines[at] for at in other.items - first.items if at < len(lines))[:LINES_SHOWN]
    for who, some in ((first, alone), (other, theirs)):
        if some:
            text += f"; only {who.account} saw those of lines {', '.join(map(str, some))}"
    return text

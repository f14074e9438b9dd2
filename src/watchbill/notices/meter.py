"""The criminal-tier meter of a case: how far its items reach, with both bounds and on both scales. Counsel decides, not a meter.

How one item is counted is disputed: one person's data as one set, or each field by itself. The lower bound counts persons (one
set a kind), the upper bound counts pairs of person and field, and adds what the exposure leaves open.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from watchbill.cases.tiers import DUTY, GAIN_YUAN, THRESHOLDS, Kind, share_of, tier_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchbill.inquiry.exposure import Saw


@dataclass(frozen=True)
class Meter:
    """Counts by kind, and what they come to.

    Attributes:
        low, high: kind -> items; `high` is None where nothing bounds the exposure. gain: yuan, estimated at market prices.
    """

    low: dict[Kind, int]
    high: dict[Kind, int] | None
    gain: tuple[float, float]

    def share(self, *, duty: bool) -> tuple[float, float | None]:
        """(lower, upper) times that the threshold is reached."""
        return share_of(self.low, duty=duty), None if self.high is None else share_of(self.high, duty=duty)

    def tiers(self, *, duty: bool) -> tuple[str, str | None]:
        """(lower, upper) tier; upper None: no bound."""
        low, high = self.share(duty=duty)
        return tier_at(low), None if high is None else tier_at(high)

    def to_json(self) -> dict[str, Any]:
        """As `watchbill report meter --json` prints it."""
        scales = {"duty": True, "whole": False}
        return {
            "kinds": {
                kind: {"low": self.low[kind], "high": None if self.high is None else self.high[kind], "threshold": most,
                       "threshold_duty": round(most * DUTY)}
                for kind, most in THRESHOLDS.items()
            },
            "share": {name: [_rounded(one) for one in self.share(duty=duty)] for name, duty in scales.items()},
            "tier": {name: list(self.tiers(duty=duty)) for name, duty in scales.items()},
            "gain_yuan": {"low": self.gain[0], "high": self.gain[1], "threshold": GAIN_YUAN, "threshold_duty": round(GAIN_YUAN * DUTY)},
            "counsel_decides": True,
        }  # fmt: skip


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


def meter_of(saw: Saw, kinds: Mapping[str, Kind], gain: tuple[float, float] = (0.0, 0.0)) -> Meter:
    """The meter of an exposure; pure.

    Persons beyond the list count with every field that the list shows of anybody, so the upper bound is none only where looks
    show fields that no listed look did.

    Args:
        saw: persons listed, with bounds. kinds: last part of a field -> kind (`reports.meter_fields`). gain: yuan, low and high.
    """
    persons: dict[Kind, int] = dict.fromkeys(THRESHOLDS, 0)
    pairs: dict[Kind, int] = dict.fromkeys(THRESHOLDS, 0)
    shown: dict[Kind, set[str]] = defaultdict(set)
    for one in saw.subjects:
        for name in one.fields:
            shown[kind_of(name, kinds)].add(name)
            pairs[kind_of(name, kinds)] += 1
        for kind in {kind_of(name, kinds) for name in one.fields}:
            persons[kind] += 1
    if saw.upper is None:
        return Meter(persons, None, gain)
    more = max(0, saw.upper - saw.persons)
    shown["other"] |= {"?"} if not any(shown.values()) else set()
    high = {kind: pairs[kind] + more * len(shown[kind]) for kind in THRESHOLDS}
    return Meter(persons, high, gain)


def kind_of(field: str, kinds: Mapping[str, Kind]) -> Kind:
    """The kind of a contract field, as recipient.phone."""
    return kinds.get(field.rpartition(".")[2], "other")

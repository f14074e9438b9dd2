"""The criminal tier that numbers of items reach: thresholds of the 2017 interpretation (Fa Shi [2017] 10, article 5); counsel decides.

Half a threshold is enough where the data was obtained in the course of duty or service and passed on (article 5(8)); below
each threshold the kinds add up in proportion (5(6)); ten times as much is "especially serious" (5, second paragraph).
"""

from __future__ import annotations

from typing import Final, Literal

Kind = Literal["tracks", "communications", "other"]
THRESHOLDS: Final[dict[Kind, int]] = {"tracks": 50, "communications": 500, "other": 5_000}
"""tracks: whereabouts, content of messages, credit, property (5(3)); communications: lodging, call records, health,
transactions (5(4)); other: everything else (5(5))."""
GAIN_YUAN: Final = 5_000
"""Unlawful gain that is enough by itself (5(7)); half of it where the data was obtained through duty."""
DUTY: Final = 0.5
ESPECIALLY: Final = 10
NONE, SERIOUS, WORST = "none", "serious", "especially serious"


def share_of(counts: dict[Kind, int], *, duty: bool) -> float:
    """How often the threshold is reached, the kinds together in proportion; `duty`: on the halved scale."""
    scale = DUTY if duty else 1.0
    return sum(count / (THRESHOLDS[kind] * scale) for kind, count in counts.items())


def tier_at(share: float) -> str:
    """none, serious, especially serious."""
    if share >= ESPECIALLY:
        return WORST
    return SERIOUS if share >= 1 else NONE


def tier_of(items: int) -> str:
    """The tier that a number of items of the widest kind reaches on the scale of data obtained through duty."""
    return tier_at(share_of({"other": items}, duty=True))

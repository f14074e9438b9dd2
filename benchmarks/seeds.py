"""Which seeds may be judged on: the lab's worlds 1-99 are for tuning, those from 1001 on only for judging."""

from __future__ import annotations

from collections.abc import Iterable

TUNED_MAX = 99
JUDGED_MIN = 1001


def judged(seeds: Iterable[int]) -> list[int]:
    """The seeds, if none of them may have been tuned on."""
    chosen = list(seeds)
    wrong = [seed for seed in chosen if seed < JUDGED_MIN]
    if wrong:
        raise SystemExit(f"seeds {wrong}: 1-{TUNED_MAX} are tuned on, figures are judged on seeds from {JUDGED_MIN} on")
    return chosen

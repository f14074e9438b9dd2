"""Which worlds may be tuned on and which may only be judged on: apart by construction, and never mixed in one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from watchbill.core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

TUNED_MAX: Final = 99
"""Seeds 1 to this may be looked at while tuning, and calibration is fitted on them."""
JUDGED_MIN: Final = 1001
"""Seeds from here on are judged; what was tuned on them is worth nothing. Between the two lies nobody's land."""
SEEDS_MAX: Final = 1000
TUNED_KINDS: Final = frozenset(
    {
        "blatant_lease", "collusion", "concurrent_owner", "device_ring", "fresh_parcels", "half_explained", "leaver_reuse",
        "list_decryption", "low_and_slow", "outlet_harvest", "scanner_malware", "service_abuse", "slow_sixty", "vip_snoop",
    }
)  # fmt: skip
"""Kinds of attack that somebody looked at while setting thresholds. Whoever tunes on another one adds it here."""

Purpose = Literal["tuned", "judged"]


def parse_seeds(text: str) -> list[int]:
    """Seeds of "2001-2010" or "3,5,8-9", ascending, each once.

    Raises:
        SettingsError: it is no list of seeds.
    """
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise SettingsError(f"{part.strip()!r} is no seed", where="--seeds", todo="write 2001-2010 or 3,5,8-9")
        low, high = int(first), int(last or first)
        if high < low or high - low >= SEEDS_MAX:
            raise SettingsError("the span of seeds is empty or too long", where="--seeds", todo="write 2001-2010")
        found.update(range(low, high + 1))
    return sorted(found)


def purpose_of(seeds: Iterable[int]) -> Purpose:
    """What these seeds are for.

    Raises:
        SettingsError: there are none, some are neither, or tuned and judged ones are mixed.
    """
    chosen = sorted(seeds)
    if not chosen:
        raise SettingsError("there is no seed", where="--seeds", todo="write 2001-2010")
    neither = [seed for seed in chosen if not (1 <= seed <= TUNED_MAX or seed >= JUDGED_MIN)]
    rule = f"1-{TUNED_MAX} are tuned on, those from {JUDGED_MIN} on are judged"
    if neither:
        raise SettingsError(f"seed {neither[0]} is for nothing: {rule}", where="--seeds", todo="choose other seeds")
    if chosen[0] <= TUNED_MAX < chosen[-1]:
        raise SettingsError(f"tuned and judged seeds are mixed: {rule}", where="--seeds", todo="run them apart")
    return "tuned" if chosen[0] <= TUNED_MAX else "judged"


def must_be(purpose: Purpose, seeds: Iterable[int]) -> list[int]:
    """The seeds, when all are for this purpose.

    Raises:
        SettingsError: they are for another one.
    """
    chosen = sorted(seeds)
    if (found := purpose_of(chosen)) != purpose:
        todo = f"use seeds 1-{TUNED_MAX}" if purpose == "tuned" else f"use seeds from {JUDGED_MIN} on"
        raise SettingsError(f"these seeds are {found}, they must be {purpose}", where="--seeds", todo=todo)
    return chosen


def world_seed(seed: int, part: int) -> int:
    """Seed of the part-th world of a trial's seed: judged ones stay apart from each other and judged.

    A tuned seed is that of all its parts: below 100 there is no room, and independence matters where one judges.
    """
    return seed if seed <= TUNED_MAX else seed + 1_000_000 * part

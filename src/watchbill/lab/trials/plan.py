"""Which worlds a trial builds: attacks of several kinds side by side, controls without any, honest stress, and long ones.

A world is one `Job`; its result is one JSON file. The same choices give the same jobs, so a trial can go on later.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from watchbill.core.errors import SettingsError
from watchbill.core.settings import Settings
from watchbill.lab.attacks.base import FIRST_DAY, load_attacks
from watchbill.lab.simulator.settings import SCENARIOS, HonestStress
from watchbill.lab.trials.seeds import Purpose, purpose_of, world_seed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchbill.lab.attacks.base import Attack

ATTACKS_A_WORLD: Final = 6
"""Attacks staged side by side in one world at most: so few accounts that the carrier stays an honest one."""
LONG_DAYS_MAX: Final = 75
"""No world is longer; an attack that lasts longer is cut."""
LONG_OUTLETS_MIN: Final = 12
LONG_PART: Final = 50
"""Parts of a seed from here on are the long worlds."""
STARTS: Final[dict[Purpose, str]] = {"tuned": "2025-03-03", "judged": "2025-06-02"}
"""First days (Mondays): what is judged lies after what was tuned and calibrated on, as in life."""
STRESS_SEEDS: Final = 2
"""Of a trial's seeds, how many go through each stress scenario."""
BESIDE_STRESS: Final = ("blatant_lease", "low_and_slow")
"""Staged in stress worlds too: does the attack still show when everything else looks odd?"""
CUT: Final = frozenset({"low_and_slow"})
"""Shows on its first days all that it does: staged in the world's days though it usually goes on for longer."""
SEED_CASE: Final = "numbers_in_turn"
_PLAIN: Final = "usual"


@dataclass(frozen=True)
class Staged:
    """An attack of a world: kind, first day, days (0 = as long as it usually lasts)."""

    kind: str
    day: int
    days: int = 0


@dataclass(frozen=True)
class Job:
    """One world of a trial.

    Attributes:
        name: unique in the trial. group: attacks, control, stress or speed. seed: the trial's seed. world: the seed of
        this world. test_from: first day that counts; before it detectors only learn. scenario: the honest stress.
        settings: the engine's, as plain data. extra: folder of further attacks ("" for none).
    """

    name: str
    group: str
    seed: int
    world: int
    days: int
    outlets: int
    scale: float
    start: str
    test_from: int
    scenario: str = _PLAIN
    attacks: tuple[Staged, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    extra: str = ""

    @property
    def digest(self) -> str:
        """Of everything that the result depends on, the code apart."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    @staticmethod
    def read(data: Mapping[str, Any]) -> Job:
        """The inverse of `dataclasses.asdict`."""
        return Job(**{**data, "attacks": tuple(Staged(**one) for one in data["attacks"])})


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for."""

    seeds: tuple[int, ...]
    attacks: str = "all"
    stress: str = "all"
    days: int = 14
    outlets: int = 30
    control_outlets: int = 60
    scale: float = 0.5
    extra: Path | None = None
    settings: Settings = field(default_factory=Settings)


def scenarios() -> dict[str, HonestStress]:
    """Honest stress by name; the usual carrier is in every other world."""
    return {name: stress for name, stress in SCENARIOS.items() if stress != HonestStress()}


def stress_of(name: str) -> HonestStress:
    """The stress of a scenario.

    Raises:
        SettingsError: there is none of that name.
    """
    if name == _PLAIN:
        return HonestStress()
    known = scenarios()
    if name not in known:
        raise SettingsError(f"no stress is called {name}", where="--stress", todo=f"one of: {', '.join(known)}")
    return known[name]


def chosen(text: str, known: Sequence[str], option: str) -> list[str]:
    """The names that a comma list means: "all", "none", or some of the known ones.

    Raises:
        SettingsError: one is not known.
    """
    if text in {"all", "none"}:
        return list(known) if text == "all" else []
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise SettingsError(f"{name} is not known", where=option, todo=f"all, none, or of: {', '.join(known)}")
    return [name for name in known if name in names]


def plan_trial(wanted: Wanted) -> list[Job]:
    """All worlds in the order in which they are run: attacks, the speed of the step, controls, stress.

    Raises:
        SettingsError: seeds are mixed, or a kind or a scenario is not known.
    """
    purpose = purpose_of(wanted.seeds)
    kinds = load_attacks(wanted.extra)
    names = chosen(wanted.attacks, sorted(kinds), "--attacks")
    stresses = chosen(wanted.stress, sorted(scenarios()), "--stress")
    bases = {seed: _base(wanted, seed, purpose) for seed in wanted.seeds}
    first = bases[min(bases)]
    jobs = [job for base in bases.values() for job in _attack_worlds(base, {name: kinds[name] for name in names})]
    jobs.append(replace(first, name=f"speed-{first.seed}", group="speed", world=world_seed(first.seed, 99)))
    if wanted.control_outlets:
        jobs += [
            replace(base, name=f"control-{seed}", group="control", world=world_seed(seed, 90), outlets=wanted.control_outlets)
            for seed, base in bases.items()
        ]  # fmt: skip
    return jobs + _stress_worlds([bases[seed] for seed in wanted.seeds[:STRESS_SEEDS]], names, stresses)


def _base(wanted: Wanted, seed: int, purpose: Purpose) -> Job:
    return Job(
        name="", group="attacks", seed=seed, world=seed, days=wanted.days, outlets=wanted.outlets, scale=wanted.scale,
        start=STARTS[purpose], test_from=min(FIRST_DAY, wanted.days // 2),
        settings=wanted.settings.model_dump(mode="json"), extra=str(wanted.extra.resolve()) if wanted.extra else "",
    )  # fmt: skip


def _attack_worlds(base: Job, kinds: Mapping[str, Attack]) -> list[Job]:
    """Every kind once: those that fit into the world's days side by side, longer ones in longer, smaller worlds."""
    room = base.days - base.test_from
    fit = [name for name, attack in kinds.items() if attack.days <= room or name in CUT]
    jobs = [_staging(base, part, names) for part, names in enumerate(_dealt(fit), 1)]
    longer = [name for name in kinds if name not in fit]
    for part, names in enumerate(_dealt(longer), LONG_PART):
        days = min(LONG_DAYS_MAX, base.test_from + 2 + max(kinds[name].days for name in names))
        outlets = min(base.outlets, max(LONG_OUTLETS_MIN, base.outlets * base.days // days))
        jobs.append(_staging(replace(base, days=days, outlets=outlets), part, names))
    return jobs


def _dealt(names: Sequence[str]) -> list[list[str]]:
    """Names in as few hands as hold them, evenly: neighbours in the alphabet (variants) go to different worlds."""
    hands = -(-len(names) // ATTACKS_A_WORLD)
    return [list(names[k::hands]) for k in range(hands)]


def _staging(base: Job, part: int, names: Sequence[str]) -> Job:
    room = max(1, base.days - base.test_from - 2)
    staged = tuple(
        Staged(name, base.test_from + (0 if part >= LONG_PART else i * room // (2 * len(names))))
        for i, name in enumerate(names)
    )
    return replace(base, name=f"attacks-{base.seed}-{part}", world=world_seed(base.seed, part), attacks=staged)


def _stress_worlds(bases: Sequence[Job], names: Sequence[str], stresses: Sequence[str]) -> list[Job]:
    made = []
    for number, scenario in enumerate(stresses):
        for base in bases:
            staged = tuple(
                Staged(kind, base.test_from + 1 + i) for i, kind in enumerate(BESIDE_STRESS) if kind in names
            )
            made.append(
                replace(
                    base, name=f"stress-{scenario}-{base.seed}", group="stress", scenario=scenario,
                    world=world_seed(base.seed, 100 + number), attacks=staged if base.days > base.test_from + 2 else (),
                )
            )  # fmt: skip
    return made

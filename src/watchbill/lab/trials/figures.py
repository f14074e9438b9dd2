"""From the counts of all worlds to the figures of the table, each with its interval and what it means for a carrier."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from watchbill.lab.trials.count import LEVELS, PERSON
from watchbill.lab.trials.gates import LIMITS, Figure, Limit, class_of
from watchbill.lab.trials.intervals import Resample, bootstrap_quantile, poisson, quantile, wilson
from watchbill.lab.trials.seeds import TUNED_KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from watchbill.core.settings import PolicySettings

CARRIER_ACCOUNTS: Final = 400_000
MINUTES_A_CASE: Final = 10.0
"""What an analyst needs for one case (est.): stated with every figure that rests on it."""
FEW: Final = 10
"""Attacks under which no interval of a median says anything."""
_MILLE: Final = 1000.0


@dataclass
class People:
    """Honest accounts of some worlds in columns; `world` numbers the worlds."""

    columns: dict[str, NDArray[Any]]
    world: NDArray[np.int64]
    bootstrap: Resample = field(init=False)

    def __post_init__(self) -> None:
        """Draw the bootstrap weights once."""
        self.bootstrap = Resample(self.world)

    def share(self, hits: str, of: str, keep: NDArray[np.bool_] | None = None) -> tuple[float, float, float]:
        """(share, low, high) of sum(hits) / sum(of), over all or the accounts kept."""
        mask = np.ones(self.world.shape[0]) if keep is None else keep.astype(np.float64)
        up, down = self.columns[hits] * mask, self.columns[of] * mask
        return float(up.sum() / max(1.0, down.sum())), *self.bootstrap.share(up, down)

    def sum(self, name: str) -> float:
        """Sum of a count."""
        return float(self.columns[name].sum())


def people_in(results: Sequence[Mapping[str, Any]]) -> People:
    """The honest accounts of these worlds together."""
    columns: dict[str, NDArray[Any]] = {}
    for name in ("role", "size", "tenure"):
        columns[name] = np.array([text for one in results for text in one["people"][name]], dtype=object)
    for name in PERSON:
        columns[name] = np.array([count for one in results for count in one["people"][name]], dtype=np.float64)
    world = [number for number, one in enumerate(results) for _ in one["people"]["role"]]
    return People(columns, np.array(world, np.int64))


def attacks_in(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """All attacks of these worlds, each with the number of its world."""
    return [{**attack, "world": number} for number, one in enumerate(results) for attack in one["attacks"]]


def group(results: Sequence[Mapping[str, Any]], *names: str) -> list[Mapping[str, Any]]:
    """The worlds of some groups."""
    return [one for one in results if one["group"] in names]


def table_of(
    results: Sequence[Mapping[str, Any]], policy: PolicySettings, *, minutes_a_case: float = MINUTES_A_CASE
) -> list[Figure]:
    """One figure for each limit, in order."""
    attacks = attacks_in(group(results, "attacks"))
    controls = group(results, "control")
    made = records_figures(attacks) | {"families": families_figure(attacks)}
    if controls:
        people = people_in(controls)
        made |= people_figures(
            people, minutes_a_case, sum(one["machines"]["cases"] for one in controls)
        ) | alarm_figures(controls, policy)
    made |= {"action_p99": _speed(group(results, "speed")), "exposure": _exposure(group(results, "attacks"))}
    made["attribution"] = _attribution(group(results, "attacks"))
    missing = "no such world was built"
    return [made.get(limit.key) or Figure(limit, None, basis=missing) for limit in LIMITS]


def _limit(key: str) -> Limit:
    return next(limit for limit in LIMITS if limit.key == key)


def records_figures(attacks: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
    """Records before stop by class of attack."""
    made: dict[str, Figure] = {}
    for key, q in (("bulk_median", 0.5), ("bulk_p90", 0.9), ("half_median", 0.5), ("slow_median", 0.5)):
        mine = [one for one in attacks if class_of(one["kind"]) == key.split("_")[0]]
        if not mine:
            made[key] = Figure(_limit(key), None, basis="no attack of this class was staged")
            continue
        values, worlds = [one["before_stop"] for one in mine], [one["world"] for one in mine]
        low, high = bootstrap_quantile(values, worlds, q)
        open_ = sum(one["censored"] for one in mine)
        basis = f"{len(mine)} attacks of {len({one['kind'] for one in mine})} kinds" + (
            f", {open_} never stopped" if open_ else ""
        )
        made[key] = Figure(_limit(key), quantile(values, q), low, high, basis, few=len(mine) < FEW)
    return made


def families_figure(attacks: Sequence[Mapping[str, Any]]) -> Figure:
    """Share of kinds that were found in at least half of their stagings."""
    kinds = sorted({one["kind"] for one in attacks})
    if not kinds:
        return Figure(_limit("families"), None, basis="no attack was staged")
    found = [kind for kind in kinds if is_found([one for one in attacks if one["kind"] == kind])]
    missed = [kind for kind in kinds if kind not in found]
    low, high = wilson(len(found), len(kinds))
    basis = f"{len(found)} of {len(kinds)} kinds" + (f"; not: {', '.join(missed)}" if missed else "")
    return Figure(_limit("families"), len(found) / len(kinds), low, high, basis)


def is_found(stagings: Sequence[Mapping[str, Any]]) -> bool:
    """A kind is found when at least half of its stagings are."""
    return len(stagings) > 0 and 2 * sum(bool(one["found"]) for one in stagings) >= len(stagings)


def people_figures(people: People, minutes_a_case: float, more_cases: int = 0) -> dict[str, Figure]:
    """What honest people met; account-days are those with any look, so the carrier's counts are upper ones.

    `more_cases` are those on robots and devices: nobody is interrupted, but somebody has to look at them.
    """
    days, cases = people.sum("days"), people.sum("cases") + more_cases
    hours = cases / max(1.0, days) * CARRIER_ACCOUNTS * minutes_a_case / 60
    made: dict[str, Figure] = {}
    for key, hits in (("stepped_up", "days_stopped"), ("suspended", "days_suspended")):
        value, low, high = people.share(hits, "days")
        text = f"{value * CARRIER_ACCOUNTS:,.0f} ({low * CARRIER_ACCOUNTS:,.0f}-{high * CARRIER_ACCOUNTS:,.0f}) people a day"
        if key == "stepped_up":
            text += f", {hours:,.0f} analyst-hours a day ({cases:.0f} cases)"
        basis = f"{people.sum(hits):.0f} of {days:,.0f} account-days"
        made[key] = Figure(_limit(key), value * _MILLE, low * _MILLE, high * _MILLE, basis, text)
    value, low, high = people.share("asked", "looks")
    looks_a_day = people.sum("looks") / max(1.0, days) * CARRIER_ACCOUNTS
    made["asked"] = Figure(
        _limit("asked"), value, low, high, f"{people.sum('asked'):,.0f} of {people.sum('looks'):,.0f} unmasked looks",
        f"{value * looks_a_day:,.0f} looks a day",
    )  # fmt: skip
    value, low, high = people.share("first_explained", "first")
    made["explained"] = Figure(_limit("explained"), value, low, high, f"{people.sum('first'):,.0f} first looks")
    return made


def alarm_figures(controls: Sequence[Mapping[str, Any]], policy: PolicySettings) -> dict[str, Figure]:
    """False alarms against looks / c for each step, c the guarantee number (mean run between alarms, in looks)."""
    looks = sum(one["alarms"]["looks"] for one in controls)
    made: dict[str, Figure] = {}
    for level in LEVELS:
        seen = sum(one["alarms"][level] for one in controls)
        promised = looks / float(getattr(policy, f"{level}_at"))
        if promised <= 0:
            continue
        low, high = (end / promised for end in poisson(seen))
        basis = f"{seen} seen, {promised:.3g} allowed in {looks:,} first looks"
        made[f"alarms_{level}"] = Figure(_limit(f"alarms_{level}"), seen / promised, low, high, basis)
    return made


def _speed(results: Sequence[Mapping[str, Any]]) -> Figure:
    measured = [one["speed"] for one in results if one["speed"].get("records")]
    if not measured:
        return Figure(_limit("action_p99"), None, basis="not measured")
    one = measured[0]
    basis = f"{one['records']:,} single records through the engine (journal, sync, step, outputs); median {one['median'] * 1000:.1f} ms"
    return Figure(_limit("action_p99"), one["p99"], one["low"], one["high"], basis)


def _attribution(results: Sequence[Mapping[str, Any]]) -> Figure:
    told = [one["attribution"] for one in results if one.get("attribution")]
    asked, right = sum(one["asked"] for one in told), sum(one["right"] for one in told)
    if not asked:
        return Figure(_limit("attribution"), None, basis="no leak was planted")
    named, wrong = sum(one["named"] for one in told), sum(one["wrong"] for one in told)
    basis = f"{asked} leaks of attacked and honest accounts planted in {len(told)} worlds; {named} named, {wrong} of them wrongly"
    return Figure(_limit("attribution"), right / asked, *wilson(right, asked), basis)


def _exposure(results: Sequence[Mapping[str, Any]]) -> Figure:
    asked = sum(one["exposure"]["asked"] for one in results)
    if not asked:
        return Figure(_limit("exposure"), None, basis="no attack was staged")
    exact = sum(one["exposure"]["exact"] for one in results)
    return Figure(
        _limit("exposure"),
        exact / asked,
        *wilson(exact, asked),
        f"all looks of {asked} attacked accounts against the records",
    )


# --- more tables ------------------------------------------------------------------------------------------------------


def kinds_table(attacks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row a kind of attack: staged, found, records, and whether anybody tuned on it."""
    rows = []
    for kind in sorted({one["kind"] for one in attacks}):
        mine = [one for one in attacks if one["kind"] == kind]
        row: dict[str, Any] = {
            "kind": kind, "class": class_of(kind), "tuned": kind in TUNED_KINDS, "staged": len(mine),
            "found": sum(one["found"] for one in mine), "case": sum("case" in one["found_by"] for one in mine),
            "accounts": sum(one["accounts"] for one in mine), "accounts_stopped": sum(one["accounts_stopped"] for one in mine),
            "explained": sum(one["explained"] for one in mine) / max(1, sum(one["shown"] for one in mine)),
        }  # fmt: skip
        for name in ("before_any", "before_stop", "in_all", "shown"):
            values, worlds = [one[name] for one in mine], [one["world"] for one in mine]
            row[name] = {
                "median": quantile(values, 0.5),
                "p90": quantile(values, 0.9),
                "interval": bootstrap_quantile(values, worlds, 0.5),
            }
        rows.append(row)
    return rows


def groups_table(people: People, attacks: Sequence[Mapping[str, Any]], by: str) -> list[dict[str, Any]]:
    """Honest people and attacks by role, size of outlet or tenure."""
    rows = []
    names = sorted({*people.columns[by].tolist(), *(one[by] for one in attacks)} - {""})
    for name in names:
        keep = people.columns[by] == name
        mine = [one for one in attacks if one[by] == name]
        rows.append(
            {
                by: name, "account_days": float((people.columns["days"] * keep).sum()),
                "stepped_up": people.share("days_stopped", "days", keep), "asked": people.share("asked", "looks", keep),
                "explained": people.share("first_explained", "first", keep), "attacks": len(mine),
                "found": sum(one["found"] for one in mine),
                "before_stop": quantile([one["before_stop"] for one in mine], 0.5) if mine else None,
            }
        )  # fmt: skip
    return rows


def stress_table(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Honest people and the attacks beside them under each stress, the plain worlds first."""
    rows = []
    for name in ["usual", *sorted({one["scenario"] for one in group(results, "stress")})]:
        worlds = group(results, "control") if name == "usual" else [
            one for one in group(results, "stress") if one["scenario"] == name
        ]  # fmt: skip
        if not worlds:
            continue
        people, attacks = people_in(worlds), attacks_in(worlds)
        rows.append(
            {
                "scenario": name, "worlds": len(worlds), "account_days": people.sum("days"),
                "stepped_up": people.share("days_stopped", "days"), "asked": people.share("asked", "looks"),
                "suspended": people.share("days_suspended", "days"), "explained": people.share("first_explained", "first"),
                "attacks": len(attacks), "found": sum(one["found"] for one in attacks),
                "before_stop": quantile([one["before_stop"] for one in attacks], 0.5) if attacks else None,
            }
        )  # fmt: skip
    return rows

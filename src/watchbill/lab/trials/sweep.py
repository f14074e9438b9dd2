"""The points of the curve over all worlds, with bootstrap intervals: records lost against honest people interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from watchbill.lab.trials.figures import CARRIER_ACCOUNTS, attacks_in, group, people_in
from watchbill.lab.trials.gates import class_of
from watchbill.lab.trials.intervals import bootstrap_quantile, quantile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLUMNS: Final = (
    "factor", "stepped_up_per_1000", "stepped_up_low", "stepped_up_high", "people_a_day", "asked_share", "class", "attacks",
    "records_median", "records_low", "records_high", "records_p90",
)  # fmt: skip


def curve_points(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `COLUMNS` for each factor and class of attack, all attacks together last; [] where any world disagrees.

    Honest people are those of control worlds, attacks those of attack worlds.
    """
    controls, staged = group(results, "control"), group(results, "attacks")
    if not controls or not staged or not all(one["curve"]["agrees"] for one in [*controls, *staged]):
        return []
    people = people_in(controls)
    base = np.cumsum([0, *(len(one["people"]["role"]) for one in controls)])
    attacks = attacks_in(staged)
    rows = []
    for number, factor in enumerate(controls[0]["curve"]["factors"]):
        days, asked = np.zeros(people.world.shape[0]), np.zeros(people.world.shape[0])
        for world, one in enumerate(controls):
            for who, stopped, looks in one["curve"]["points"][number]["people"]:
                days[base[world] + who], asked[base[world] + who] = stopped, looks
        low, high = people.bootstrap.share(days, people.columns["days"])
        rate = float(days.sum() / max(1.0, people.sum("days")))
        honest = {
            "factor": factor, "stepped_up_per_1000": 1000 * rate, "stepped_up_low": 1000 * low, "stepped_up_high": 1000 * high,
            "people_a_day": rate * CARRIER_ACCOUNTS, "asked_share": float(asked.sum() / max(1.0, people.sum("looks"))),
        }  # fmt: skip
        lost = [staged[one["world"]]["curve"]["points"][number]["attacks"].get(one["id"], 0) for one in attacks]
        for name in ("bulk", "half", "slow", "all"):
            mine = [k for k, one in enumerate(attacks) if name == "all" or class_of(one["kind"]) == name]
            if mine:
                rows.append(honest | _lost(name, [lost[k] for k in mine], [attacks[k]["world"] for k in mine]))
    return rows


def _lost(name: str, values: list[int], worlds: list[int]) -> dict[str, Any]:
    low, high = bootstrap_quantile(values, worlds, 0.5)
    return {
        "class": name, "attacks": len(values), "records_median": quantile(values, 0.5), "records_low": low, "records_high": high,
        "records_p90": quantile(values, 0.9),
    }  # fmt: skip


def as_csv(points: Sequence[Mapping[str, Any]]) -> str:
    """The points as CSV with a header."""
    lines = [",".join(COLUMNS)]
    lines += [
        ",".join(f"{row[c]:.6g}" if isinstance(row[c], float) else str(row[c]) for c in COLUMNS) for row in points
    ]
    return "\n".join(lines) + "\n"

"""What people made of each detector's word: cases it spoke in, confirmed, dismissed and why; and what the prior learns of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchbill.cases.case import Case


def judged(cases: Iterable[Case]) -> list[dict[str, Any]]:
    """The last confirmed or dismissed word of each round of each case (a later word of the same round corrects it)."""
    out = []
    for case in cases:
        last = {one["round"]: one for one in case.verdicts if one["verdict"] in ("confirmed", "dismissed")}
        out += list(last.values())
    return out


def tally(cases: Iterable[Case]) -> dict[str, dict[str, Any]]:
    """Per detector: cases (openings) in which it spoke, how many were confirmed and dismissed, and for which typed reasons."""
    out: dict[str, dict[str, Any]] = {}
    cases = list(cases)

    def of(name: str) -> dict[str, Any]:
        return out.setdefault(name, {"cases": 0, "confirmed": 0, "dismissed": 0, "reasons": {}})

    said = judged(cases)
    for one in said:
        for name in one["detectors"]:
            row = of(name)
            row["cases"] += 1
            row[one["verdict"]] += 1
            if one["verdict"] == "dismissed":
                row["reasons"][one["reason"]] = row["reasons"].get(one["reason"], 0) + 1
    for case in cases:
        if not any(one["round"] == case.round for one in judged([case])):
            for name in case.reasons:
                of(name)["cases"] += 1
    return dict(sorted(out.items()))


def shift_of(cases: Iterable[Case]) -> tuple[list[float], list[bool]]:
    """(posterior without what verdicts moved, confirmed) of each judged round in which a detector spoke."""
    said = [one for one in judged(cases) if one["detectors"]]
    return [float(one["posterior"]) for one in said], [one["verdict"] == "confirmed" for one in said]

"""Counted worlds made by hand, for the tests of figures, curve and report."""

from __future__ import annotations

from typing import Any

from watchbill.lab.trials.count import LEVELS, PERSON


def attack(kind: str, number: int, before_stop: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"{kind}-{number}", "kind": kind, "found": True, "found_by": ["case", "step"], "censored": False, "accounts": 1,
        "accounts_stopped": 1, "before_any": before_stop, "before_stop": before_stop, "in_all": before_stop, "shown": 500,
        "explained": 50, "account_days": 2, "role": "courier", "size": "6-10 accounts", "tenure": "over a year",
    } | more  # fmt: skip


def people(*rows: dict[str, float], role: str = "courier") -> dict[str, list[Any]]:
    out: dict[str, list[Any]] = {"role": [], "size": [], "tenure": [], **{name: [] for name in PERSON}}
    for row in rows:
        out["role"].append(role)
        out["size"].append("6-10 accounts")
        out["tenure"].append("over a year")
        for name in PERSON:
            out[name].append(row.get(name, 0))
    return out


def world(group: str, number: int, **more: Any) -> dict[str, Any]:
    histogram = {"bin": [50, 300], "score": [0.001, 0.9], "honest": [90.0, 1.0], "wrong": [0.0, 9.0]}
    return {
        "job": f"{group}-{number}", "group": group, "seed": 2001 + number, "scenario": "usual", "records": 1000, "looks": 300,
        "code": "c", "attacks": [], "people": people(), "owners": {"looks": 10, "stopped": 1}, "machines": {"cases": 0, "steps": 0},
        "alarms": dict.fromkeys(LEVELS, 0) | {"looks": 0}, "curve": {"agrees": True, "factors": [0.1, 1.0], "points": [
            {"people": [], "attacks": {}}, {"people": [], "attacks": {}}]},
        "scores": histogram, "exposure": {"asked": 1, "exact": 1}, "operators": None, "seed_case": [],
    } | more  # fmt: skip

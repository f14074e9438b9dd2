"""What a policy would have done, counted: who is interrupted, what is saved, what it costs, and what people said of those accounts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from watchbill.responses.policy import ALLOW, DECISIONS, DENY, DO_MASK, DO_STEP_UP, STEPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from watchbill.core.settings import Settings
    from watchbill.records.columns import Columns
    from watchbill.runners.pipeline import Output

JUDGED: Final = ("dismissed", "confirmed", "unjudged")
"""What people said of an account's cases, the last word; of most nobody said anything."""
DIFFER_MAX: Final = 10_000
_SUCCESS: Final = 1
"""Outcome code up to which a look showed something."""
_VALUES_MAX: Final = 120


@dataclass
class Side:
    """Counts of one policy, by account (a device that looked for itself by its name).

    Attributes:
        looks: account -> looks by decision (in order of responses.policy.DECISIONS). taken: account -> how often each step was
            newly taken (in order of STEPS). shown, saved, refused: account -> records of unexplained plain looks: shown; of
            looks at or after its first stop; and of looks that were themselves stopped or masked.
    """

    looks: dict[str, list[int]] = field(default_factory=dict)
    taken: dict[str, list[int]] = field(default_factory=dict)
    shown: dict[str, int] = field(default_factory=dict)
    saved: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    standing: dict[str, int] = field(default_factory=dict)
    shadow: int = 0

    def hear(self, columns: Columns, output: Output, begin: int, end: int) -> None:
        """Count what a step said of records with a time in [begin, end) (epoch ms)."""
        said = output.verdicts
        times = columns.time[said.row]
        plain = (columns.masked[said.row] == 0) & (columns.outcome[said.row] <= _SUCCESS) & (said.reason == 0)
        wanted = (times >= begin) & (times < end) & (plain | (said.decision != ALLOW))
        names = columns.table.column("account")
        counts = np.diff(columns.subject_ends, prepend=np.int32(0))
        for at in np.flatnonzero(wanted).tolist():
            row = int(said.row[at])
            account = names[row].as_py() or columns.text("device", row)
            self._look(account, int(said.decision[at]), max(1, int(counts[row])) if plain[at] else 0)
        for change in output.interventions:
            self.change(change, counts=begin <= change["time"] < end)
        self.shadow += sum(begin <= row["time"] < end for row in output.shadow)

    def _look(self, account: str, decision: int, records: int) -> None:
        looks = self.looks.setdefault(account, [0] * len(DECISIONS))
        looks[decision] += 1
        stopped = sum(looks[DO_STEP_UP:]) > 0
        if decision == DO_MASK or decision >= DO_STEP_UP:
            _add(self.refused, account, records)
        _add(self.saved if stopped or decision == DO_MASK else self.shown, account, records)

    def change(self, change: Mapping[str, Any], *, counts: bool) -> None:
        """Note a row of interventions.ndjson; a step up in the asked span `counts`."""
        account = change.get("account") or change["device"]
        step, before = STEPS.index(change["step"]), self.standing.get(account, 0)
        self.standing[account] = step
        if counts and step > before and not change.get("resumed"):  # the same step again is no new one
            self.taken.setdefault(account, [0] * len(STEPS))[step] += 1

    def interrupted(self) -> set[str]:
        """Accounts with a look that was told to prove presence, to wait or to stop."""
        return {account for account, looks in self.looks.items() if sum(looks[DO_STEP_UP : DENY + 1])}

    def worst(self, account: str) -> int:
        """The highest step that the account was newly put under (index into STEPS)."""
        return max((step for step, count in enumerate(self.taken.get(account, ())) if count), default=0)

    def to_json(self) -> dict[str, Any]:
        """JSON-able, for `from_json`."""
        return asdict(self)

    @staticmethod
    def from_json(saved: dict[str, Any]) -> Side:
        """The inverse of `to_json`."""
        return Side(**saved)

    def report(self, judged: Mapping[str, str], settings: Settings) -> dict[str, Any]:
        """What `policy try` says of this side; `judged`: account -> dismissed or confirmed."""
        costs = {STEPS.index(name): yuan for name, yuan in settings.policy.cost_yuan.items()}
        yuan: dict[str, float] = dict.fromkeys(JUDGED, 0.0)
        for account, taken in self.taken.items():
            yuan[_word(judged, account)] += sum(costs.get(step, 0.0) * count for step, count in enumerate(taken))
        return {
            "interrupted": _split(self.interrupted(), judged),
            "steps": {
                name: _split({one for one, taken in self.taken.items() if taken[step]}, judged)
                for step, name in enumerate(STEPS) if step
            },
            "looks": {
                name: _sums({one: looks[at] for one, looks in self.looks.items()}, judged)
                for at, name in enumerate(DECISIONS) if at
            },
            "records": {
                "shown": _sums(self.shown, judged), "saved": _sums(self.saved, judged),
                "refused": _sums(self.refused, judged),
            },
            "cost_yuan": {word: round(amount, 2) for word, amount in yuan.items()}, "shadow_rows": self.shadow,
        }  # fmt: skip


def _add(counts: dict[str, int], account: str, records: int) -> None:
    if records:
        counts[account] = counts.get(account, 0) + records


def _word(judged: Mapping[str, str], account: str) -> str:
    return judged.get(account, "unjudged")


def _split(accounts: Iterable[str], judged: Mapping[str, str]) -> dict[str, int]:
    return _sums(dict.fromkeys(accounts, 1), judged)


def _sums(counts: Mapping[str, int], judged: Mapping[str, str]) -> dict[str, int]:
    out = {"all": sum(counts.values()), **dict.fromkeys(JUDGED, 0)}
    for account, count in counts.items():
        out[_word(judged, account)] += count
    return out


def differing(now: Side, new: Side, judged: Mapping[str, str]) -> list[dict[str, Any]]:
    """Accounts whose worst step or whose looks by decision differ, those that people judged first."""
    rows = []
    for account in sorted({*now.looks, *new.looks, *now.taken, *new.taken}):
        sides = [
            {"step": STEPS[side.worst(account)], "stopped": sum(side.looks.get(account, ())[DO_STEP_UP:]),
             "asked_or_masked": sum(side.looks.get(account, ())[DO_MASK:DO_STEP_UP])}
            for side in (now, new)
        ]  # fmt: skip
        if sides[0] != sides[1]:
            rows.append({"account": account, "verdict": _word(judged, account), "now": sides[0], "new": sides[1]})
    return sorted(rows, key=lambda row: JUDGED.index(str(row["verdict"])))


def changed_settings(now: Settings, new: Settings) -> list[dict[str, str]]:
    """Settings that differ, by their path, as short texts."""
    one, other = _flat(now.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    return [
        {"setting": path, "now": one.get(path, "-"), "new": other.get(path, "-")}
        for path in sorted({*one, *other})
        if one.get(path) != other.get(path)
    ]


def _flat(value: object, path: str = "") -> dict[str, str]:
    if isinstance(value, dict):
        out: dict[str, str] = {}
        for name, inner in value.items():
            out |= _flat(inner, f"{path}.{name}" if path else str(name))
        return out
    text = str(value)
    return {path: text if len(text) <= _VALUES_MAX else f"{text[:_VALUES_MAX]}..."}


def sentence(now: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The whole in a line: accounts that people had cleared, and records of all others."""
    cleared = [side["interrupted"]["dismissed"] for side in (new, now)]
    saved = [side["records"]["saved"]["all"] - side["records"]["saved"]["dismissed"] for side in (new, now)]
    accounts = "account" if cleared[0] == 1 else "accounts"
    records = "record" if saved[0] == 1 else "records"
    return (
        f"would have interrupted {cleared[0]:,} {accounts} of dismissed cases (now {cleared[1]:,}) "
        f"and saved {saved[0]:,} {records} (now {saved[1]:,})"
    )

"""Protocol (b) of the real data: how many honest looks are explained, and how soon an inserted snoop is flagged.

The engine runs over the warm-up part once; every trial starts from that state and runs over the test part with looks put
in. Everything is drawn from a seed. Settings are frozen before the test part is read.
"""

from __future__ import annotations

import pickle
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from convert import ROBOT, ZONE, Event
from numpy.typing import NDArray

from watchbill.context.context import Context
from watchbill.context.coverage import COVERAGE_GATED, FEED_GATED
from watchbill.context.events import LOOK, RETRACT
from watchbill.context.reference import find_tables, read_table
from watchbill.core.errors import ContractError
from watchbill.core.settings import Settings
from watchbill.records.columns import columns_of
from watchbill.records.schema import SCHEMA
from watchbill.records.validate import stamp_arrival
from watchbill.responses.policy import DECISIONS
from watchbill.runners.pipeline import Output, Pipeline
from watchbill.sources.base import open_source

WARM_DAYS_MIN: Final = 15
TEST_DAYS_MIN: Final = 20
ONSET_DAYS: Final = 10
"""A snoop begins on one of the account's first ten active days of the test part."""
TRIES: Final = 20_000
DRAWS: Final = ("any", "open")
"""Which cases a snoop picks: any that the system holds by then, or only those in progress at that moment."""
FLAGS: Final = {"ask_reason": 2, "step_up": 3}
_STEP: Final = {"none": 0, "mask": 1, "ask_reason": 2, "step_up": 3, "throttle": 4, "end_session": 5, "suspend": 6}


def load_records(path: Path, previous_arrival: int = 0) -> pa.Table:
    """Records of an NDJSON file as the engine takes them in (canonical columns, arrival stamped).

    Raises:
        ContractError: a record breaks the contract; a converted log has none.
    """
    tables: list[pa.Table] = []
    for batch in open_source("files", {"kind": "files", "paths": [str(path)]}).read(None, stop=lambda: False):
        stamped = stamp_arrival(batch.table, previous_arrival, live_now=None)
        if batch.quarantined or stamped.reasons:
            raise ContractError(
                "holds records that break the contract", where=path.name, todo="replay it and read quarantine.ndjson"
            )
        previous_arrival = stamped.arrival
        tables.append(stamped.table)
    return pa.concat_tables(tables).combine_chunks() if tables else SCHEMA.empty_table()


# --- honest looks -----------------------------------------------------------------------------------------------------


def honest_looks(warm: pa.Table, test: pa.Table, settings: Settings, reference: Path) -> dict[str, Any]:
    """Looks of the test part by staff: how many there are, how many are first ever, and the share explained.

    Reading (i): by work that stood before the look; (ii): also by what follows within `after_minutes`; (iii): by the
    account's own work on the case alone, before or within `after_minutes`, whatever waits in the queue.
    """
    strict = _explained(warm, test, settings, reference, after_minutes=0)
    late = _explained(warm, test, settings, reference, after_minutes=settings.reasons.after_minutes)
    alone = _explained(warm, test, _own_work_alone(settings), reference, after_minutes=settings.reasons.after_minutes)
    staff = strict["account"] != ROBOT
    first = strict["first"] & staff
    out: dict[str, Any] = {"after_minutes": settings.reasons.after_minutes}
    for name, rows in (("first", first), ("all", staff), ("robot", ~staff)):
        out[name] = {
            "looks": int(rows.sum()),
            "strict": float(strict["at_look"][rows].mean()),
            "late": float((late["at_look"] | late["later"])[rows].mean()),
            "own": float((alone["at_look"] | alone["later"])[rows].mean()),
        }
    roles = np.array(late["role"])
    for role in sorted(set(roles[staff].tolist())):
        rows = first & (roles == role)
        share = float(strict["at_look"][rows].mean()) if rows.any() else None
        out.setdefault("roles", {})[role] = {"first looks": int(rows.sum()), "strict": share}
    out["reasons"] = {
        name: int((late["reason"][staff] == name).sum()) for name in sorted(set(late["reason"][staff].tolist()))
    }
    return out


def _own_work_alone(settings: Settings) -> Settings:
    roles = {
        name: role.model_copy(
            update={"reasons": tuple(r for r in role.reasons if r.template in {"own_scan", "looked"})}
        )
        for name, role in settings.reasons.roles.items()
    }
    return settings.model_copy(update={"reasons": settings.reasons.model_copy(update={"roles": roles})})


def _explained(
    warm: pa.Table, test: pa.Table, settings: Settings, reference: Path, *, after_minutes: float
) -> dict[str, Any]:
    reasons = settings.reasons.model_copy(update={"after_minutes": after_minutes})
    settings = settings.model_copy(update={"reasons": reasons})
    context = Context(settings)
    for name, path in find_tables(reference).items():
        context.apply(name, read_table(name, path, settings.time_zone, settings.limits.reference_rows_max))
    table = pa.concat_tables([warm, test]).combine_chunks()
    columns = columns_of(table, 0)
    parts: list[NDArray[np.void]] = []
    start = 0
    for stop in context.cuts(columns):
        piece = columns.cut(start, stop)
        parts.append(context.join(context.prepare(piece), piece.subjects).copy())
        start = stop
    events = np.concatenate(parts)
    looks = events[events["kind"] == LOOK]
    later = np.isin(looks["seq"], events["seq"][events["kind"] == RETRACT])
    accounts = np.array(table.column("account").take(pa.array(looks["seq"])).to_pylist())
    pairs = np.stack([looks["account"].astype(np.uint64), looks["item"]], axis=1)
    first = np.zeros(len(looks), np.bool_)
    first[np.unique(pairs, axis=0, return_index=True)[1]] = True
    rows = looks["seq"] >= warm.num_rows
    labels = np.array([*context.labels])
    return {
        "account": accounts[rows], "first": first[rows], "at_look": (looks["reason"] > 0)[rows], "later": later[rows],
        "role": [context.roles[code] for code in looks["role"][rows].tolist()], "reason": labels[looks["reason"][rows]],
    }  # fmt: skip


# --- the engine from the end of the warm-up part ----------------------------------------------------------------------


class Frozen:
    """The engine as it stands at the end of the warm-up part; each `run` starts from there."""

    def __init__(self, warm: pa.Table, settings: Settings, reference: Path) -> None:
        self.settings = settings
        self.tables = {
            name: read_table(name, path, settings.time_zone, settings.limits.reference_rows_max)
            for name, path in find_tables(reference).items()
        }
        pipeline = Pipeline(settings)
        self._apply(pipeline)
        pipeline.step(columns_of(warm, 0))
        self.height = warm.num_rows
        self._state = pickle.dumps(pipeline.snapshot())  # a restored pipeline may write into what it was given

    def _apply(self, pipeline: Pipeline) -> None:
        for name, table in self.tables.items():
            pipeline.apply(name, table)

    def run(self, table: pa.Table, looks: list[NDArray[np.void]] | None = None) -> tuple[Pipeline, Output]:
        """Step over records of the test part; `looks` gathers the events of looks, as the gates marked them."""
        pipeline = Pipeline(self.settings)
        pipeline.restore(pickle.loads(self._state))  # noqa: S301 - made above, in this process
        self._apply(pipeline)
        if looks is not None:
            mark = pipeline.coverage.mark

            def watch(events: NDArray[np.void], frozen: NDArray[np.uint8] | None = None) -> None:
                mark(events, frozen)
                looks.append(events[events["kind"] == LOOK].copy())

            pipeline.coverage.mark = watch  # type: ignore[method-assign]
        return pipeline, pipeline.step(columns_of(table, self.height))


# --- who works when ---------------------------------------------------------------------------------------------------


@dataclass
class Desk:
    """What the protocol knows of the log: active days of each account, its cases, and when each case lives.

    Attributes:
        days: account -> local day -> (first, last event), epoch ms. worked: account -> its cases.
        roles: account -> role. born, cases: first event of each case (epoch ms, ascending), and its number. ended: case -> last event.
    """

    roles: dict[str, str] = field(default_factory=dict)
    days: dict[str, dict[str, tuple[int, int]]] = field(default_factory=lambda: defaultdict(dict))
    worked: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    born: list[int] = field(default_factory=list)
    cases: list[str] = field(default_factory=list)
    ended: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Iterable[Event], roles: dict[str, str]) -> Desk:
        """Read events in order of time."""
        desk = cls(roles)
        for event in events:
            if event.case not in desk.ended:
                desk.born.append(event.time)
                desk.cases.append(event.case)
            desk.ended[event.case] = event.time
            if event.account and event.account != ROBOT:
                desk.worked[event.account].add(event.case)
                day = local_day(event.time)
                begun = desk.days[event.account].get(day, (event.time, event.time))[0]
                desk.days[event.account][day] = (begun, event.time)
        return desk

    def silent(self, roles: Iterable[str]) -> set[str]:
        """Accounts of these roles."""
        shut = set(roles)
        return {account for account, role in self.roles.items() if role in shut}

    def candidates(self, split: str) -> list[str]:
        """Accounts with enough active days on both sides of the split to be a snoop that somebody could know."""
        return sorted(
            account
            for account, days in self.days.items()
            if sum(day < split for day in days) >= WARM_DAYS_MIN and sum(day >= split for day in days) >= TEST_DAYS_MIN
        )


def local_day(time: int) -> str:
    """YYYY-MM-DD at the desk of an instant (epoch ms)."""
    return datetime.fromtimestamp(time / 1000, ZONE).date().isoformat()


# --- inserted looks ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Snoop:
    """One inserted snoop: the account, the epoch ms of its looks in order, and the cases looked at."""

    account: str
    times: tuple[int, ...]
    cases: tuple[str, ...]


def draw_snoops(desk: Desk, split: str, seed: int, count: int, rate: int, draw: str) -> list[Snoop]:
    """`count` accounts that each look at `rate` cases, which they never work, on every active day from an onset on."""
    rng = np.random.default_rng([seed, rate, DRAWS.index(draw)])
    who = np.random.default_rng(seed)  # the same accounts and onsets at every rate
    accounts = desk.candidates(split)
    snoops = []
    for account in who.choice(accounts, size=min(count, len(accounts)), replace=False).tolist():
        days = sorted(day for day in desk.days[account] if day >= split)
        onset = int(who.integers(min(ONSET_DAYS, len(days))))
        times: list[int] = []
        for day in days[onset:]:
            begun, ended = desk.days[account][day]
            times += sorted(rng.integers(begun, max(ended, begun + 3_600_000), size=rate).tolist())
        seen = set(desk.worked[account])
        picks = ((time, _pick(desk, time, seen, rng, draw)) for time in times)
        # towards the end of the log hardly any case is still in progress: there a snoop at open cases ends
        looks = list(takewhile(lambda pick: pick[1] is not None, picks))
        if looks:
            snoops.append(Snoop(account, tuple(time for time, _ in looks), tuple(str(case) for _, case in looks)))
    return snoops


def _pick(desk: Desk, time: int, seen: set[str], rng: np.random.Generator, draw: str) -> str | None:
    """A case that the system holds at `time` and that is not in `seen`, where it is added; None when none turns up."""
    known = bisect_right(desk.born, time)
    for _ in range(TRIES):
        case = desk.cases[int(rng.integers(known))]
        if case not in seen and (draw == "any" or desk.ended[case] >= time):
            seen.add(case)
            return case
    return None


def rows_of(snoops: Sequence[Snoop]) -> list[dict[str, Any]]:
    """The inserted looks as records."""
    return [
        {
            "id": f"snoop-{snoop.account}-{number}", "time": time, "kind": "view", "account": snoop.account, "app": "loan desk",
            "waybill": case, "subjects": [case], "fields": ["applicant.amount_req", "applicant.reg_date"],
        }
        for snoop in snoops
        for number, (time, case) in enumerate(zip(snoop.times, snoop.cases, strict=True))
    ]  # fmt: skip


def with_rows(test: pa.Table, rows: list[dict[str, Any]]) -> pa.Table:
    """The test part with the inserted looks where they belong in time."""
    extra = pa.Table.from_pylist([row | {"source": "files", "arrival": row["time"]} for row in rows], schema=SCHEMA)
    both = pa.concat_tables([test, extra]).combine_chunks()
    order = np.argsort(np.asarray(both.column("arrival").combine_chunks()), kind="stable")
    return both.take(pa.array(order)).combine_chunks()


# --- what came of it --------------------------------------------------------------------------------------------------


def flagged_at(interventions: Sequence[dict[str, Any]], account: str, since: int, level: int) -> int | None:
    """Epoch ms of the first step to `level` or above at or after `since`; None when there is none."""
    times = [
        int(row["time"])
        for row in interventions
        if row.get("account") == account and _STEP[row["step"]] >= level and row["time"] >= since
    ]
    return min(times, default=None)


def trial(frozen: Frozen, test: pa.Table, snoops: Sequence[Snoop]) -> list[dict[str, Any]]:
    """One run with snoops put in; per snoop: looks and active days until each flag (None = never), share explained."""
    table = with_rows(test, rows_of(snoops))
    _, output = frozen.run(table)
    rows = pa.array(output.verdicts.row)
    ids = np.array(table.column("id").take(rows).to_pylist())
    explained = dict(zip(ids.tolist(), (output.verdicts.reason > 0).tolist(), strict=True))
    decided = dict(zip(ids.tolist(), output.verdicts.decision.tolist(), strict=True))
    out = []
    for snoop in snoops:
        own = [f"snoop-{snoop.account}-{number}" for number in range(len(snoop.times))]
        row: dict[str, Any] = {
            "account": snoop.account, "looks": len(own), "explained": sum(explained[name] for name in own),
            "held": sum(decided[name] > 0 for name in own),
        }  # fmt: skip
        for name, level in FLAGS.items():
            at = flagged_at(output.interventions, snoop.account, snoop.times[0], level)
            before = [time for time in snoop.times if at is not None and time <= at]
            row[name] = None if at is None else (len(before), len({local_day(time) for time in before}))
        out.append(row)
    return out


def honest_run(frozen: Frozen, test: pa.Table, desk: Desk, split: str) -> dict[str, Any]:
    """The test part as it is: which staff is interrupted, what is decided, and how often gates were closed."""
    events: list[NDArray[np.void]] = []
    pipeline, output = frozen.run(test, events)
    days = sum(day >= split for account in desk.days for day in desk.days[account])
    staff = [row for row in output.interventions if row["account"] != ROBOT]
    accounts = np.array(test.column("account").take(pa.array(output.verdicts.row)).to_pylist())
    decisions = output.verdicts.decision[accounts != ROBOT]
    out: dict[str, Any] = {"account_days": days, "looks": int(decisions.shape[0]), "interventions": staff}
    for name, level in FLAGS.items():
        hit = {(row["account"], local_day(row["time"])) for row in staff if _STEP[row["step"]] >= level}
        out[name] = {"account_days": len(hit), "per_1000": 1000 * len(hit) / max(1, days)}
    codes = sorted(set(decisions.tolist()))
    out["decisions"] = {DECISIONS[code]: int((decisions == code).sum()) for code in codes}
    looks = np.concatenate(events)
    looks = looks[looks["role"] != pipeline.context.roles.index("robot")]
    out["gated"] = {
        name: float((looks["gated"] & bit > 0).mean())
        for name, bit in (("coverage", COVERAGE_GATED), ("feed", FEED_GATED))
    }
    shut = looks["gated"] & COVERAGE_GATED > 0
    codes = sorted(set(looks["role"].tolist()))
    out["roles_gated"] = [pipeline.context.roles[code] for code in codes if shut[looks["role"] == code].mean() > 0.5]
    return out

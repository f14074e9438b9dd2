"""Renter separation on worlds of the lab: did the estimate of who sat at each session agree with the truth?

Truth: a session is the other operator's when at least half of its looks were wrongful, the owner's when none was; sessions in which
the owner mixes wrongful looks into his work ("mixed") are counted apart, for neither answer is right. `--fit` learns the table that
the package ships (tuned seeds 1-40 and the six tuned kinds only); without it the shipped table is judged (seeds from 1001 on).

Bias: the attackers are the lab's, so are the owners' habits; sessions have ids; every look has a verdict of the default settings.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from common import CACHE, build_world, say
from numpy.typing import NDArray

from watchbill.core.settings import Settings
from watchbill.inquiry import operators
from watchbill.inquiry.caseexposure import exposure
from watchbill.inquiry.exposed import COLUMNS
from watchbill.inquiry.exposure import exposure_of
from watchbill.inquiry.inforce import in_force
from watchbill.inquiry.operators import CaseSpan, Odds, case_spans, judge, odds_of
from watchbill.inquiry.sessions import Activity, Window, read_activity
from watchbill.inquiry.traits import DEVICE, LEVELS, PLACE, TRAITS, Habits, Traits
from watchbill.lab.attacks.base import AttackSpec, load_attacks
from watchbill.lab.trials.seeds import TUNED_MAX, must_be
from watchbill.ledger.reader import Ledger, Span
from watchbill.runners.local import replay
from watchbill.sources.base import open_source

TUNED_KINDS = ("blatant_lease", "list_decryption", "low_and_slow", "device_ring", "leaver_reuse", "concurrent_owner")
FIT_SEEDS_MAX = 40
TABLE = Path(operators.__file__).with_name("operators.json")
DAYS, OUTLETS, SCALE = 14, 16, 0.4
HONEST = 24
"""Honest accounts a world, beside the attacked ones; half of them with a case that never was."""
PSEUDO = 8.0
"""Sessions that each level of a trait is shrunk by: half a dozen attacks are not the world."""
NATS_MAX = 3.0
HOME_MAX = {"device": 0.3, "place": 0.3, "reason": 1.0}
"""What speaks for the owner is held short where a renter can have it too: his device may be steered, and whoever harvests the number's
own outlet is explained. The tuned kinds hold few of either, so the lab's odds would be too sure."""
OWNER, OTHER, MIXED = 1, 0, -1


@dataclass
class Told:
    """One account of a world with its truth: label, kind of attack ("" honest) of each session."""

    activity: Activity
    traits: Traits
    span: CaseSpan | None
    label: NDArray[np.int64]
    kind: list[str]
    role: str


# --- worlds ------------------------------------------------------------------------------------------------------------


def build(seed: int, kinds: Sequence[str], folder: Path) -> Path:
    """A replayed world with one attack of each kind (tuned seeds: the tuned kinds twice, once weaker); kept, without its records."""
    place = folder / f"{seed}"
    if (place / "home" / "cases.ndjson").exists():
        return place
    weak = (1.0, 0.5, 0.25, 0.1)[seed % 4]
    specs = [AttackSpec(kind, days=0) for kind in kinds]
    specs += [AttackSpec(kind, days=0, intensity=max(weak, 0.2)) for kind in TUNED_KINDS if seed <= TUNED_MAX]
    build_world(place, seed=seed, days=DAYS, outlets=OUTLETS, format="parquet", scale=SCALE, attacks=specs)
    source = open_source("files", {"kind": "files", "paths": [str(place / "records")]})
    replay([source], place / "home", place / "out", Settings(), reference=place / "reference")
    shutil.rmtree(place / "records")
    return place


def told(place: Path, seed: int) -> list[Told]:
    """The attacked accounts of a world and some honest ones."""
    home, db = place / "home", duckdb.connect(config={"threads": 1})
    sessions = f"read_parquet('{place}/truth/sessions.parquet')"
    rows = db.execute(
        f"select account, session, looks, wrongful, coalesce(attack, '') from {sessions} where account is not null"
    ).fetchall()
    truth = {
        (account, session): (looks, wrongful, attack.rpartition("-")[0])
        for account, session, looks, wrongful, attack in rows
    }
    attacked = sorted({account for account, _, _, wrongful, _ in rows if wrongful})
    rng = np.random.default_rng(seed)
    others = sorted({account for account, *_ in rows} - set(attacked))
    honest = [others[i] for i in sorted(rng.permutation(len(others))[:HONEST].tolist())]
    height, spans = Ledger(home).height, case_spans(home, 1 << 62)
    found = read_activity(home, dict.fromkeys([*attacked, *honest], Window()), height)
    devices = sorted({session.device for activity in found for session in activity.sessions})
    around = in_force(home, height, [*attacked, *honest], devices)
    offset = operators.local_offset_ms()
    out = []
    for number, activity in enumerate(found):
        if not activity.sessions:
            continue
        label, kind = labels(activity, truth)
        span = spans.get(activity.account)
        if span is None and activity.account in honest and number % 2:
            span = false_case(activity, rng)
        traits = Traits(activity, around, Habits({"": np.full(24, 1 / 24)}), offset)
        role = traits.posts[0].role if traits.posts else ""
        out.append(Told(activity, traits, span, label, kind, role))
    return out


def labels(
    activity: Activity, truth: dict[tuple[str, str], tuple[int, int, str]]
) -> tuple[NDArray[np.int64], list[str]]:
    label, kind = np.full(len(activity.sessions), OWNER), []
    for s, session in enumerate(activity.sessions):
        looks, wrongful, attack = truth[activity.account, session.session]
        label[s] = OWNER if not wrongful else OTHER if 2 * wrongful >= looks else MIXED
        kind.append(attack if wrongful else "")
    return label, kind


def false_case(activity: Activity, rng: np.random.Generator) -> CaseSpan:
    """A case over some days of an honest account."""
    first, last = activity.sessions[0].first, activity.sessions[-1].last
    since = int(first + rng.uniform(0.3, 0.9) * (last - first))
    return CaseSpan(since, since + int(rng.uniform(0.2, 3) * 86_400_000))


# --- the fit -----------------------------------------------------------------------------------------------------------


def fit(people: list[Told], leave: str = "") -> dict[str, Any]:
    """Learn the table; sessions of the kind `leave` are left out."""
    hours = role_hours(people)
    for one in people:
        one.traits.habits = Habits({role: np.array(shares) for role, shares in hours.items()})
    data: dict[str, Any] = {
        "hours": hours, "plain": 4.5, "before": 3.0, "within": 1.0, "after": 2.0,
        "kept": 0.97, "registered": 0.9, "shared": 0.6, "scale": 1.0, "offset": 0.0,
    }  # fmt: skip
    levels = [one.traits.levels((one.label == OWNER).astype(np.float64)) for one in people]
    for _ in range(2):
        data["nats"] = weighed(people, levels, leave)
        levels = [operators.converged(one.traits, odds_of(data), one.span) for one in people]
    data["nats"] = weighed(people, levels, leave)
    calibrate(people, data, leave)
    return data


def role_hours(people: list[Told]) -> dict[str, list[float]]:
    """Share of the owners' looks by hour, for each role and for all."""
    total: dict[str, NDArray[np.float64]] = {"": np.full(24, 1.0)}
    for one in people:
        mine = one.traits.hours[one.label == OWNER].sum(axis=0)
        for role in ("", one.role):
            total[role] = total.get(role, np.full(24, 1.0)) + mine
    return {role: np.round(held / held.sum(), 5).tolist() for role, held in sorted(total.items())}


def stacked(
    people: list[Told], levels: list[NDArray[np.int64]], leave: str
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.float64]]:
    """(levels, owner or not, weight) of all judged sessions; every kind of attack, and every account, weighs the same."""
    rows, owner, kinds, who = [], [], [], []
    for k, (one, mine) in enumerate(zip(people, levels, strict=True)):
        for s in range(len(one.kind)):
            if one.label[s] != MIXED and (not leave or one.kind[s] != leave):
                rows.append(mine[s])
                owner.append(one.label[s] == OWNER)
                kinds.append(one.kind[s] or "")
                who.append(k)
    is_owner, names = np.array(owner), np.array(kinds)
    weight = np.ones(len(rows))
    for name in sorted(set(names[~is_owner])):
        held = (names == name) & ~is_owner
        weight[held] = (~is_owner).sum() / len(set(names[~is_owner])) / held.sum()
    return np.array(rows), is_owner, weight


def weighed(people: list[Told], levels: list[NDArray[np.int64]], leave: str) -> dict[str, list[float]]:
    """Nats of each level: shrunk and monotone log-likelihood ratios, times a weight a trait that accounts for their dependence."""
    rows, owner, weight = stacked(people, levels, leave)
    raw: dict[str, NDArray[np.float64]] = {}
    for column, name in enumerate(TRAITS):
        level, size = rows[:, column], LEVELS[name]
        share = []
        for side in (owner, ~owner):
            counts = np.bincount(level[side & (level >= 0)], weights=weight[side & (level >= 0)], minlength=size)
            share.append((counts + PSEUDO / size) / (counts.sum() + PSEUDO))
        known = np.bincount(level[level >= 0], minlength=size).astype(np.float64) + PSEUDO / size
        raw[name] = np.clip(falling(np.log(share[0] / share[1]), known), -NATS_MAX, HOME_MAX.get(name, NATS_MAX))
    terms = np.stack([np.append(raw[name], 0.0)[rows[:, column]] for column, name in enumerate(TRAITS)], axis=1)
    beta = logistic(terms, owner, weight)
    return {name: np.round(beta[column] * raw[name], 3).tolist() for column, name in enumerate(TRAITS)}


def falling(values: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """The closest values that never rise (pool adjacent violators)."""
    blocks: list[list[float]] = []
    for value, w in zip(values.tolist(), weight.tolist(), strict=True):
        blocks.append([value, w, 1])
        while len(blocks) > 1 and blocks[-1][0] > blocks[-2][0]:
            v, u, n = blocks.pop()
            p, q, m = blocks[-1]
            blocks[-1] = [(v * u + p * q) / (u + q), u + q, n + m]
    return np.repeat([b[0] for b in blocks], [int(b[2]) for b in blocks])


def logistic(terms: NDArray[np.float64], owner: NDArray[np.bool_], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights in [0, 1] of the traits' terms, ridge towards a half (coordinate-free projected gradient, balanced classes)."""
    w = weight * np.where(owner, 0.5 / owner.sum(), 0.5 / (~owner).sum())
    beta, bias, ridge = np.full(terms.shape[1], 0.5), 0.0, 0.002
    for _ in range(4000):
        p = 1 / (1 + np.exp(-np.clip(terms @ beta + bias, -30, 30)))
        slope = w * (p - owner)
        beta = np.clip(beta - 0.5 * (terms.T @ slope + 2 * ridge * (beta - 0.5)), 0.0, 1.0)
        bias -= 0.5 * slope.sum()
    return beta


def calibrate(people: list[Told], data: dict[str, Any], leave: str) -> None:
    """Scale and offset of the whole log odds, neighbours and priors included, by logistic regression on cases' accounts."""
    total, owner, weight = [], [], []
    for one in people:
        for s, answer in enumerate(
            judge(one.activity, one.traits.around, odds_of(data), one.span, offset_ms=one.traits.offset_ms)
        ):
            if answer.owner is not None and one.label[s] != MIXED and (not leave or one.kind[s] != leave):
                total.append(np.log(answer.owner / (1 - answer.owner)))
                owner.append(one.label[s] == OWNER)
                weight.append(1.0)
    x, y, w = np.array(total), np.array(owner), np.array(weight) / len(weight)
    a, b = 1.0, 0.0
    for _ in range(4000):
        p = 1 / (1 + np.exp(-(a * x + b)))
        a = float(np.clip(a - 0.2 * ((w * (p - y) * x).sum() + 0.002 * (a - 1)), 0.2, 1.5))
        b = float(np.clip(b - 0.2 * ((w * (p - y)).sum() + 0.002 * b), -2, 2))
    data["scale"], data["offset"] = round(a, 4), round(b, 4)


# --- the judgement -----------------------------------------------------------------------------------------------------


def answers(people: Iterable[Told], odds: Odds) -> list[tuple[str, int, float | None, str]]:
    """(kind of the account's attack, label, probability of the owner, why not) of every session."""
    out = []
    for one in people:
        kind = next((name for name in one.kind if name), "honest")
        said = judge(one.activity, one.traits.around, odds, one.span, offset_ms=one.traits.offset_ms)
        out += [
            (kind, int(label), answer.owner, answer.cannot_tell) for label, answer in zip(one.label, said, strict=True)
        ]
    return out


def auc(score: NDArray[np.float64], owner: NDArray[np.bool_]) -> float:
    """Probability that an owner's session scores above another's; ties half."""
    if owner.all() or not owner.any():
        return float("nan")
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    n, m = int(owner.sum()), int((~owner).sum())
    return float((ranks[owner].sum() - n * (n + 1) / 2) / (n * m))


def calibration_error(p: NDArray[np.float64], owner: NDArray[np.bool_]) -> float:
    """Mean distance of probability and frequency over ten equal bins of the probability, by their counts."""
    bins = np.minimum((p * 10).astype(int), 9)
    return float(
        sum(
            abs(p[bins == b].mean() - owner[bins == b].mean()) * (bins == b).mean()
            for b in range(10)
            if (bins == b).any()
        )
    )


def figures(rows: list[tuple[str, int, float | None, str]]) -> list[Any]:
    """One line of the table."""
    told_rows = [(label, p) for _, label, p, _ in rows if p is not None and label != MIXED]
    p = np.array([p for _, p in told_rows], np.float64)
    owner = np.array([label == OWNER for label, _ in told_rows], np.bool_)
    clear = np.clip(p, 1e-3, 1 - 1e-3)
    loss = float(-np.mean(np.where(owner, np.log(clear), np.log(1 - clear)))) if p.size else float("nan")
    mixed = [q for _, label, q, _ in rows if label == MIXED and q is not None]
    return [
        int(owner.sum()), int((~owner).sum()), f"{auc(p, owner):.4f}", f"{loss:.3f}", f"{calibration_error(p, owner):.3f}" if p.size else "-",
        f"{np.mean((p >= 0.5) != owner):.3f}" if p.size else "-", int(((p >= 0.5) & ~owner).sum()), int(((p < 0.5) & owner).sum()),
        sum(q is None for _, _, q, _ in rows), f"{len(mixed)} ({sum(q < 0.5 for q in mixed)})" if mixed else "",
    ]  # fmt: skip


HEAD = (
    "accounts of",
    "owner's",
    "other's",
    "AUC",
    "log loss",
    "cal. error",
    "wrong at .5",
    "missed",
    "accused",
    "cannot tell",
    "mixed (<.5)",
)


def exposed(place: Path) -> list[tuple[str, int, int, int, int, int, bool]]:
    """(kind, true persons, listed, wrongly listed, missed, all sessions' persons, upper bound holds) of each case of a world."""
    home, db = place / "home", duckdb.connect(config={"threads": 1})
    looks = f"read_parquet('{place}/truth/looks.parquet')"
    wrong: dict[str, set[str]] = {}
    kind: dict[str, str] = {}
    for account, name, attack in db.execute(
        f"select account, id, attack from {looks} where wrongful and account is not null"
    ).fetchall():
        wrong.setdefault(account, set()).add(name)
        kind[account] = attack.rpartition("-")[0]
    out, height = [], Ledger(home).height
    for row in operators.case_lines(home):
        account = row["accounts"][0]
        records = pa.concat_tables(
            list(Ledger(home).records(["id", *COLUMNS], Span(account))), promote_options="default"
        )
        guilty = records.filter(
            pc.is_in(records.column("id"), value_set=pa.array(sorted(wrong.get(account, ())), pa.string()))
        )
        true = {one.subject for one in exposure_of(home, guilty, height, account).subjects}
        answer = exposure(home, row["id"])
        listed = {one.subject for one in answer.saw.subjects}
        every = exposure(home, row["id"], all_sessions=True).saw.persons
        holds = answer.saw.upper is None or answer.saw.upper >= len(true)
        out.append(
            (kind.get(account, "honest"), len(true), len(listed), len(listed - true), len(true - listed), every, holds)
        )
    return out


def report_exposure(rows: list[tuple[str, int, int, int, int, int, bool]]) -> None:
    """Persons by kind of attack."""
    lines = []
    for kind in [*sorted({row[0] for row in rows}), "all"]:
        mine = [row for row in rows if kind in (row[0], "all")]
        sums = [sum(row[k] for row in mine) for k in range(1, 6)]
        lines.append([kind, len(mine), *sums, f"{sum(row[6] for row in mine)}/{len(mine)}"])
    head = (
        "case against",
        "cases",
        "true persons",
        "listed",
        "wrongly listed",
        "missed",
        "with --all-sessions",
        "upper holds",
    )
    say(
        "Persons that `exposure CASE` lists",
        head,
        lines,
        "an honest account's case lists its unexplained looks: none of them true",
    )


def report(title: str, rows: list[tuple[str, int, float | None, str]], *notes: str) -> None:
    kinds = sorted({row[0] for row in rows})
    lines = [[kind, *figures([row for row in rows if row[0] == kind])] for kind in kinds]
    attacked = [row for row in rows if row[0] != "honest"]
    lines += [["all attacked", *figures(attacked)], ["all", *figures(rows)]]
    say(title, HEAD, lines, *notes)


def main() -> None:
    """Fit or judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="2001-2004")
    parser.add_argument("--fit", action="store_true", help="learn operators.json from these tuned seeds")
    parser.add_argument(
        "--apart", action="store_true", help="with --fit: also judge each kind by a table that never saw it"
    )
    parser.add_argument("--folder", type=Path, help="keep worlds here")
    parser.add_argument(
        "--tuned", action="store_true", help="judge the shipped table on tuned seeds (to look at, not to cite)"
    )
    parser.add_argument("--build", action="store_true", help="only build the tuned worlds in --folder")
    given = parser.parse_args()
    first, _, last = given.seeds.partition("-")
    seeds = list(range(int(first), int(last or first) + 1))
    folder = given.folder or Path(tempfile.mkdtemp(dir=CACHE))
    if given.build:
        for seed in seeds:
            print(build(seed, TUNED_KINDS if seed <= TUNED_MAX else sorted(load_attacks()), folder), flush=True)
        return
    if given.fit or given.tuned:
        if max(seeds) > FIT_SEEDS_MAX:
            raise SystemExit(f"the table is fitted on seeds 1-{FIT_SEEDS_MAX} only")
        people = [one for seed in seeds for one in told(build(seed, TUNED_KINDS, folder), seed)]
        if given.fit:
            fitted(people, seeds, apart=given.apart)
        table = odds_of(json.loads(TABLE.read_text()))
        report("Sessions of tuned worlds", answers(people, table), "tuned on: not to be cited")
        report_exposure([row for seed in seeds for row in exposed(folder / f"{seed}")])
        return
    kinds = sorted(load_attacks())
    places = [build(seed, kinds, folder) for seed in must_be("judged", seeds)]
    people = [one for seed, place in zip(seeds, places, strict=True) for one in told(place, seed)]
    note = f"tuned kinds: {', '.join(TUNED_KINDS)}; the others were never seen by whoever fitted the table"
    report(f"Sessions of judged worlds, seeds {given.seeds}", answers(people, operators.shipped_odds()), note)
    report_exposure([row for place in places for row in exposed(place)])


def fitted(people: list[Told], seeds: list[int], *, apart: bool) -> None:
    """Write the table; with `apart` print first what each tuned kind looks like to a table that never saw it."""
    rows: list[tuple[str, int, float | None, str]] = []
    for kind in TUNED_KINDS if apart else ():
        table = odds_of(fit(people, leave=kind))
        rows += [row for row in answers([one for one in people if kind in one.kind], table) if row[0] == kind]
    if rows:
        report("Each kind by a table fitted without it", rows, "tuned seeds: to look at, not to cite")
    data = fit(people)
    about = {
        "version": 1, "made_by": "benchmarks/operators.py --fit", "seeds": f"{seeds[0]}-{seeds[-1]}", "kinds": list(TUNED_KINDS),
        "levels": {"device": list(DEVICE), "place": list(PLACE)},
    }  # fmt: skip
    TABLE.write_text(json.dumps(about | data, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""False alarms and delays of single detectors on tuned worlds of the lab (seeds 1-99); docs/detection.md quotes it.

Bias: these are the worlds that the detectors were tuned on, a dozen attacks in each of half a dozen outlets, so that peers are
no cleaner than 70 %; attackers do not react. A detector alarms when its family alone takes a step: log M >= ln(step_up_at /
weight). Records are first unmasked looks of the attack before the alarm; owners of attacked accounts count as nobody.
"""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
from common import CACHE, say
from numpy.typing import NDArray

from watchbill.context.events import LOOK
from watchbill.core.settings import Settings
from watchbill.detectors.base import DetectorBase, Surroundings
from watchbill.lab.attacks.base import AttackSpec
from watchbill.lab.simulator.world import build_world
from watchbill.lab.trials.seeds import TUNED_MAX
from watchbill.runners.clock import SystemClock
from watchbill.runners.engine import Engine
from watchbill.runners.references import read_folder
from watchbill.sources.base import open_source

DETECTORS = (
    "others_parcels", "consequence", "fresh_parcels", "coverage_share", "breadth", "number_gaps", "greedy_fields", "slow",
    "off_hours", "unexplained",
)  # fmt: skip
HOUR_MS = 3_600_000
FIRST = 10
ATTACKS: tuple[tuple[str, int, dict[str, float]], ...] = (
    ("outlet_harvest", 8, {}), ("outlet_harvest", 8, {}), ("outlet_harvest", 8, {"looks_day": 60}), ("half_explained", 3, {}),
    ("half_explained", 3, {"looks_day": 120}), ("low_and_slow", 40, {"looks_day": 5}), ("low_and_slow", 40, {"looks_day": 7}),
    ("low_and_slow", 40, {"looks_day": 10}), ("low_and_slow", 40, {"looks_day": 20}), ("blatant_lease", 1, {}),
    ("list_decryption", 1, {}), ("device_ring", 1, {}),
)  # fmt: skip
World = dict[str, Any]


def world_of(seed: int, days: int, outlets: int) -> World:
    """Events of a world with the dozen attacks, what detectors may know, and which looks (by seq) belong to which attack."""
    folder = Path(tempfile.mkdtemp(dir=CACHE))
    try:
        specs = [AttackSpec(kind, day=FIRST, days=span, params=figures) for kind, span, figures in ATTACKS]
        build_world(folder / "world", seed=seed, days=days, outlets=outlets, format="parquet", attacks=specs)
        settings, parts = Settings(), []
        engine = Engine(folder / "home", settings, SystemClock(), replay=True)
        engine.pipeline.on_scores = lambda events, *_: parts.append(events.copy())
        engine.take_tables(read_folder(folder / "world" / "reference", settings))
        source = open_source("files", {"kind": "files", "paths": [str(folder / "world" / "records")]})
        for batch in source.read(None, stop=lambda: False):
            engine.take(batch)
        (folder / "out").mkdir()
        engine.outputs.publish(folder / "out")
        names, around = list(engine.pipeline.context.accounts.names), engine.pipeline.around
        engine.close()
        sql = f"""select v.seq, t.attack from read_parquet('{folder}/out/verdicts.parquet') v
                  join read_parquet('{folder}/world/truth/looks.parquet') t using (id) where t.attack is not null"""
        wrongful = duckdb.connect().execute(sql).fetchnumpy()
        accounts = {row["account"]: row for row in pq.read_table(folder / "world/truth/accounts.parquet").to_pylist()}
        attacks = {row["id"]: row for row in json.loads((folder / "world/truth/attacks.json").read_text())}
    finally:
        shutil.rmtree(folder)
    return {"events": np.concatenate(parts), "around": around, "names": names, "accounts": accounts, "attacks": attacks,
            "seq": wrongful["seq"], "attack": wrongful["attack"]}  # fmt: skip


def observe(detector: DetectorBase, events: NDArray[np.void], around: Surroundings) -> NDArray[np.float32]:
    """Nats after each event; tables are published at every hour of the arrival clock."""
    hours = np.maximum.accumulate(events["arrival"] // HOUR_MS)
    cuts = [0, *(np.flatnonzero(np.diff(hours)) + 1).tolist(), events.shape[0]]
    out = np.zeros(events.shape[0], np.float32)
    for start, stop in pairwise(cuts):
        if start:
            detector.publish(int(hours[start]) * HOUR_MS, around)
        out[start:stop] = detector.observe(events[start:stop], around)
    return out


def label(world: World, attack: str, account: int) -> str:
    """The attack's kind with its figure and, where it matters, the role."""
    truth = world["attacks"][attack]
    role = world["accounts"][world["names"][account]]["role"]
    a_day = truth["params"].get("looks_day", 0)
    if truth["kind"] == "outlet_harvest":
        return f"outlet_harvest {a_day:g} a day, {role}"
    return f"{truth['kind']} {a_day:g} a day" if truth["kind"] in ("low_and_slow", "half_explained") else truth["kind"]


def count(world: World, out: NDArray[np.float32], limit: float) -> tuple[int, int, dict[str, list[float]]]:
    """Honest account-days, new alarms on them, and for each kind of attack the records before the alarm (inf = never)."""
    events = world["events"]
    look = (events["kind"] == LOOK) & (events["account"] >= 0)
    attacked = np.array([world["accounts"].get(name, {}).get("attack") is not None for name in world["names"]])
    honest = look & ~attacked[events["account"]]
    key = events["account"].astype(np.int64) * 100_000 + events["day"]
    over = set(np.unique(key[honest & (out >= limit)]).tolist())
    new = sum(day - 1 not in over for day in over)
    delays: dict[str, list[float]] = {}
    of = dict(zip(world["seq"].tolist(), world["attack"].tolist(), strict=True))
    wrong = look & np.isin(events["seq"], world["seq"]) & (events["first"] == 1) & (events["reveal"] == 1)
    rows = np.flatnonzero(wrong)
    whose = np.array([of[seq] for seq in events["seq"][rows].tolist()])
    for attack in np.unique(whose).tolist():
        for account in np.unique(events["account"][rows[whose == attack]]).tolist():
            mine = rows[(whose == attack) & (events["account"][rows] == account)]
            hit = np.flatnonzero(out[mine] >= limit)
            delays.setdefault(label(world, attack, account), []).append(float(hit[0]) if hit.size else np.inf)
    return int(np.unique(key[honest]).shape[0]), new, delays


def shown(values: Sequence[float]) -> str:
    """Found, median / 90 % of records before the alarm."""
    array = np.array(values)
    median, late = np.quantile(array, [0.5, 0.9], method="higher")
    text = [f"{value:.0f}" if np.isfinite(value) else "-" for value in (median, late)]
    return f"{np.isfinite(array).mean():.0%}, {text[0]} / {text[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1-4")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--outlets", type=int, default=6)
    parser.add_argument("--detectors", default=",".join(DETECTORS))
    given = parser.parse_args()
    first, _, last = given.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    together = "any of them"
    if max(seeds) > TUNED_MAX:
        raise SystemExit(f"this looks at single detectors while they are tuned: seeds 1-{TUNED_MAX} only")
    CACHE.mkdir(parents=True, exist_ok=True)
    settings, names = Settings(), given.detectors.split(",")
    columns = [*names, together]
    sums = {name: [0.0, 0.0, 0.0, 0.0] for name in columns}  # account-days, alarms, seconds, events
    delays: dict[str, dict[str, list[float]]] = {name: {} for name in columns}
    for seed in seeds:
        world = world_of(seed, given.days, given.outlets)
        best, all_seconds = np.full(world["events"].shape[0], -np.inf, np.float32), 0.0
        for name in names:
            kind: type[DetectorBase] = importlib.import_module(f"watchbill.detectors.{name}").Detector
            limit = float(np.log(settings.policy.step_up_at / settings.risk.weights[kind.family]))
            began = time.process_time()
            out = observe(kind(settings), world["events"], world["around"])
            seconds = time.process_time() - began
            add(sums[name], delays[name], count(world, out, limit), seconds, out.shape[0])
            best, all_seconds = np.maximum(best, out - np.float32(limit)), all_seconds + seconds
        add(sums[together], delays[together], count(world, best, 0.0), all_seconds, best.shape[0])
    report(given.seeds, columns, sums, delays)


def add(
    sums: list[float], delays: dict[str, list[float]], counted: tuple[int, int, dict[str, list[float]]], seconds: float,
    events: int,
) -> None:  # fmt: skip
    """Add one world's figures of one detector."""
    days, new, found = counted
    sums[:] = [a + b for a, b in zip(sums, (days, new, seconds, events), strict=True)]
    for attack, values in found.items():
        delays.setdefault(attack, []).extend(values)


def report(
    seeds: str, names: list[str], sums: dict[str, list[float]], delays: dict[str, dict[str, list[float]]]
) -> None:
    """Both tables."""
    rows = [
        [name, f"{sums[name][0]:,.0f}", f"{sums[name][1]:.0f}", f"{1000 * sums[name][1] / sums[name][0]:.3f}",
         f"{1e9 * sums[name][2] / sums[name][3]:.0f}"] for name in names
    ]  # fmt: skip
    say(f"Honest people, each detector alone; tuned seeds {seeds}",
        ["detector", "honest account-days", "new alarms", "in 1,000 account-days", "CPU ns an event"], rows)  # fmt: skip
    kinds = sorted({kind for found in delays.values() for kind in found})
    table = [[kind, *(shown(delays[name].get(kind, [np.inf])) for name in names)] for kind in kinds]
    say(f"Attacks found, records before the alarm: median / 90 %; tuned seeds {seeds}", ["attack", *names], table)


if __name__ == "__main__":
    main()

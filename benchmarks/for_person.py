"""Measures what speaks for a person: P(clue | wrongful) and P(clue | honest) at looks that no work explains, in the lab's worlds.

`python benchmarks/for_person.py SEED ... [--write]` (tuned seeds only: 1 to 99). Each account-day weighs one. Bias: the lab's
honest people and attackers are what the lab makes them; a firm's own verdicts would be a better teacher.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from watchbill.context.context import grown
from watchbill.context.events import LOOK
from watchbill.context.reference import find_tables, read_table
from watchbill.core.settings import Settings
from watchbill.lab.attacks.base import AttackSpec
from watchbill.lab.simulator.settings import HonestStress
from watchbill.lab.simulator.world import build_world
from watchbill.records.columns import columns_of
from watchbill.records.schema import SCHEMA
from watchbill.runners.pipeline import Pipeline
from watchbill.scoring.reasons import CLUES, clues_of
from watchbill.scoring.record import RECORD, keep_records

ATTACKS = (
    "blatant_lease", "low_and_slow", "leaver_reuse", "list_decryption", "half_explained", "concurrent_owner", "proxy_same_city",
    "vip_snoop", "mimic", "outlet_harvest",
)  # fmt: skip
DAYS, OUTLETS, SCALE = 12, 8, 0.15
BATCH = 20_000
Tally = dict[tuple[bool, int, int], list[dict[str, int]]]


def journal_of(world: Path) -> pa.Table:
    """The world's records as the journal holds them."""
    table = pa.concat_tables([pq.read_table(file) for file in sorted(world.glob("records/*.parquet"))])
    stamped = pc.fill_null(pc.coalesce(table.column("received"), table.column("time")), 0).to_numpy()
    n = table.num_rows
    given = {"source": pa.array(["lab"] * n), "arrival": pa.array(np.maximum.accumulate(stamped))}
    empty = {field.name: pa.nulls(n, field.type) for field in SCHEMA}
    return pa.table(
        [given.get(f.name, table[f.name] if f.name in table.column_names else empty[f.name]) for f in SCHEMA],
        schema=SCHEMA,
    ).combine_chunks()


def count_world(seed: int, found: Tally) -> None:
    """Build one world with every attack and note the clues at each unexplained first look."""
    with tempfile.TemporaryDirectory() as folder:
        world = Path(folder)
        specs = [AttackSpec(kind, day=5) for kind in ATTACKS]
        stress = HonestStress(feed_down=0.1, late_scan=0.05, cover=0.1, roster_late=0.05)
        build_world(
            world,
            seed=seed,
            days=DAYS,
            outlets=OUTLETS,
            scale=SCALE,
            format="parquet",
            attacks=specs,
            honest_stress=stress,
        )
        truth = pq.read_table(world / "truth" / "looks.parquet")
        wrongful = set(truth.filter(truth["wrongful"]).column("id").to_pylist())
        table = journal_of(world)
        pipeline = Pipeline(Settings())
        for name, path in find_tables(world / "reference").items():
            pipeline.apply(name, read_table(name, path, "Asia/Shanghai", 10**7))
    ids = table.column("id").to_pylist()
    rows = np.zeros(0, RECORD)

    def note(events: np.ndarray, *_: object) -> None:
        nonlocal rows
        rows = grown(rows, len(pipeline.context.accounts))
        bare = (events["kind"] == LOOK) & (events["first"] == 1) & (events["reveal"] == 1) & (events["reason"] == 0)
        wanted = np.flatnonzero(bare & (events["account"] >= 0)).astype(np.int64)
        out = np.zeros(wanted.shape[0], RECORD)
        keep_records(events, rows, pipeline.around.registered, pipeline.around.device_outlet, wanted, out)
        for at, record in zip(wanted.tolist(), out, strict=True):
            event = events[at]
            held = {one.name for one in clues_of(record, event, clean=True)}
            key = (ids[int(event["seq"])] in wrongful, seed * 10**6 + int(event["account"]), int(event["day"]))
            found[key].append({name: int(name in held) for name in CLUES})

    pipeline.on_scores = note
    edges = [*range(0, table.num_rows, BATCH), table.num_rows]
    for start, stop in itertools.pairwise(edges):
        pipeline.step(columns_of(table.slice(start, stop - start).combine_chunks(), start))


def measured(found: Tally) -> dict[str, dict[str, float]]:
    """Clue -> shares of account-days, smoothed by half a day either way so that no share is 0 or 1."""
    out = {}
    for name in CLUES:
        shares = {}
        for wrong, word in ((True, "wrongful"), (False, "honest")):
            days = [np.mean([one[name] for one in rows]) for (bad, _, _), rows in found.items() if bad == wrong]
            shares[word] = round(float((sum(days) + 0.5) / (len(days) + 1)), 5)
        out[name] = shares
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", type=int, nargs="+")
    parser.add_argument("--write", action="store_true", help="write scoring/clues.json")
    given = parser.parse_args()
    if not all(1 <= seed <= 99 for seed in given.seeds):
        parser.error("seeds from 1 to 99 only: others are judged on")
    found: Tally = defaultdict(list)
    for seed in given.seeds:
        count_world(seed, found)
    clues = measured(found)
    wrong = sum(bad for bad, _, _ in found)
    print(f"{wrong} wrongful and {len(found) - wrong} honest account-days with an unexplained look")
    for name, pair in clues.items():
        print(
            f"{name:16} wrongful {pair['wrongful']:.3f} honest {pair['honest']:.3f} nats {np.log(pair['wrongful'] / pair['honest']):+.2f}"
        )
    if given.write:
        place = Path(__file__).parents[1] / "src" / "watchbill" / "scoring" / "clues.json"
        place.write_text(
            json.dumps({"version": 1, "seeds": given.seeds, "clues": clues}, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()

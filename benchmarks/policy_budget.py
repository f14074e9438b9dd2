"""What the budget of steps is worth: worlds in which a feed breaks unseen by any gate, with the budget and without.

Counted from the moment it breaks to the end of the world, three days, in which nobody mends it; six attacks run meanwhile. Tuned seeds
only. `python benchmarks/policy_budget.py [--seeds 1,2,3]`; prints a Markdown table for docs/contain.md.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from common import say

from watchbill.context.reference import find_tables, read_table
from watchbill.core.settings import PolicySettings, Settings
from watchbill.lab.attacks.base import AttackSpec
from watchbill.lab.simulator.settings import HonestStress
from watchbill.lab.simulator.world import build_world
from watchbill.records.columns import columns_of
from watchbill.records.schema import SCHEMA
from watchbill.responses.policy import STEPS
from watchbill.runners.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR = 3_600_000
DAY = 24 * HOUR
DAYS, OUTLETS, SCALE = 9, 40, 0.5
BROKEN_DAY = 6
ATTACKS = ("blatant_lease", "list_decryption", "leaver_reuse", "fresh_parcels", "outlet_harvest", "bulk_downloader")
UP = STEPS.index("step_up")
FREE = PolicySettings(budget_share=1.0, budget_min=1_000_000)
HEAD = (
    "what breaks", "honest accounts", "stepped up in a day", "in three days", "most in one hour", "records of attacks lost",
)  # fmt: skip
Reference = dict[str, pa.Table]


def canonical(world: Path) -> pa.Table:
    """The records of a world in journal form."""
    table = pa.concat_tables([pq.read_table(file) for file in sorted(world.glob("records/*.parquet"))])
    stamped = pc.fill_null(pc.coalesce(table.column("received"), table.column("time")), 0).to_numpy()
    given = {
        "source": pa.array(["lab"] * table.num_rows), "arrival": pa.array(np.maximum.accumulate(stamped)),
        "extra": pa.nulls(table.num_rows, pa.string()),
    }  # fmt: skip
    arrays = [given.get(f.name, table[f.name] if f.name in table.column_names else None) for f in SCHEMA]
    return pa.table(arrays, schema=SCHEMA).combine_chunks()


# --- how it breaks ----------------------------------------------------------------------------------------------------


def mapping_bug(table: pa.Table, begin: int) -> pa.Table:
    """From `begin` on (epoch ms) every scan and ticket names its parcel in another form: the feeds live and explain nothing."""
    late = pc.and_(pc.is_in(table["kind"], pa.array(["scan", "ticket"])), pc.greater_equal(table["arrival"], begin))
    named = pc.if_else(late, pc.binary_join_element_wise("0", table["waybill"], ""), table["waybill"])
    return table.set_column(SCHEMA.get_field_index("waybill"), SCHEMA.field("waybill"), named)


def feeds_lost(table: pa.Table, begin: int) -> pa.Table:
    """From `begin` on nothing comes but looks and logins."""
    gone = pc.and_(pc.is_in(table["kind"], pa.array(["scan", "ticket"])), pc.greater_equal(table["arrival"], begin))
    return table.filter(pc.invert(gone)).combine_chunks()


@dataclass
class Counts:
    """Of one run: honest accounts newly stepped up (in a day, in all), most in one hour, records of attacks before their stop."""

    honest: int = 0
    first_day: int = 0
    people: int = 0
    worst_hour: int = 0
    refused: int = 0
    hours_spent: int = 0
    lost: Counter[str] = field(default_factory=Counter)


def run(table: pa.Table, reference: Reference, settings: Settings, wrongful: dict[str, str], begin: int) -> Counts:
    """Step over a world; what happens from `begin` on counts."""
    pipeline = Pipeline(settings)
    for name, one in reference.items():
        pipeline.apply(name, one)
    cut = int(np.searchsorted(table["arrival"].to_numpy(), begin))
    accounts, ids = table["account"].to_pylist(), table["id"].to_pylist()
    guilty = {accounts[row] for row, name in enumerate(ids) if name in wrongful}
    out, standing, hours = Counts(), {}, Counter()
    ups: set[str] = set()
    stopped: set[str] = set()
    for start, stop in ((0, cut), (cut, table.num_rows)):
        columns = columns_of(table.slice(start, stop - start).combine_chunks(), start)
        said = pipeline.step(columns)
        for row in said.interventions:
            who, step = row.get("account", ""), STEPS.index(row["step"])
            if start and step >= UP > standing.get(who, 0) and who not in guilty:
                ups.add(who)
                at = int(columns.arrival[row["seq"] - start])
                hours[at // HOUR] += 1
                out.first_day = len(ups) if at < begin + DAY else out.first_day
            standing[who] = step
        for row, decision in zip(said.verdicts.row.tolist(), said.verdicts.decision.tolist(), strict=True):
            at = start + row
            if (name := wrongful.get(ids[at])) is not None:
                stopped |= {accounts[at]} if decision >= 3 else set()
                if decision == 0 and accounts[at] not in stopped:
                    out.lost[name] += max(1, len(table["subjects"][at].as_py() or ()))
    out.people = len({name for name in accounts[cut:] if name} - guilty)
    out.honest, out.worst_hour = len(ups), max(hours.values(), default=0)
    out.refused, out.hours_spent = int(pipeline.budget["refused_ever"].sum()), int(pipeline.budget["hours_spent"].sum())
    return out


def cases(seed: int, folder: Path) -> list[tuple[str, Counts, Counts]]:
    """(what breaks, without a budget, with the default one) of one seed."""
    attacks = [AttackSpec(kind, day=BROKEN_DAY) for kind in ATTACKS]
    build_world(
        folder, seed=seed, days=DAYS, outlets=OUTLETS, scale=SCALE, format="parquet", attacks=attacks,
        honest_stress=HonestStress(),
    )  # fmt: skip
    truth = pq.read_table(folder / "truth" / "looks.parquet")
    wrongful = {row["id"]: row["attack"] for row in truth.filter(truth["wrongful"]).to_pylist()}
    reference = {n: read_table(n, p, "Asia/Shanghai", 10**7) for n, p in find_tables(folder / "reference").items()}
    table = canonical(folder)
    # nine in the morning at Shanghai
    begin = (int(table["arrival"][0].as_py()) // DAY + BROKEN_DAY) * DAY + HOUR
    same: Callable[[pa.Table, int], pa.Table] = lambda whole, _: whole  # noqa: E731 - a table of functions
    worlds = {
        "nothing": same, "all scans and tickets are lost": feeds_lost,
        "scans and tickets name parcels in another form": mapping_bug,
    }  # fmt: skip
    rows = []
    for name, change in worlds.items():
        changed = change(table, begin)
        rows.append((
            name, run(changed, reference, Settings(policy=FREE), wrongful, begin),
            run(changed, reference, Settings(), wrongful, begin),
        ))  # fmt: skip
        sys.stderr.write(f"seed {seed}: {name}: {rows[-1][1]} {rows[-1][2]}\n")
    return rows


def main() -> None:
    """Print the table."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--seeds", default="1,2,3")
    seeds = [int(word) for word in asked.parse_args().seeds.split(",")]
    if not all(1 <= seed <= 9 for seed in seeds):
        raise SystemExit("seeds 1 to 9 are for tuning; no others here")
    found: dict[str, list[tuple[Counts, Counts]]] = {}
    for seed in seeds:
        folder = Path(tempfile.mkdtemp(prefix="watchbill-budget-"))
        try:
            for name, free, bound in cases(seed, folder / "world"):
                found.setdefault(name, []).append((free, bound))
        finally:
            shutil.rmtree(folder)
    rows = []
    for name, pairs in found.items():
        worst = f"{max(free.worst_hour for free, _ in pairs):,}, {max(bound.worst_hour for _, bound in pairs):,}"
        lost = f"{sum(free.lost.total() for free, _ in pairs):,}, {sum(bound.lost.total() for _, bound in pairs):,}"
        people = f"{sum(free.people for free, _ in pairs):,}"
        rows.append([name, people, _both(pairs, "first_day"), _both(pairs, "honest"), worst, lost])
    say("The budget of steps: without, with", HEAD, rows)


def _both(pairs: list[tuple[Counts, Counts]], word: str) -> str:
    """A count of all seeds, without a budget and with it."""
    return f"{sum(getattr(free, word) for free, _ in pairs):,}, {sum(getattr(bound, word) for _, bound in pairs):,}"


if __name__ == "__main__":
    main()

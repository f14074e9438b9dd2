"""One-row step: what a decision being asked costs, on a pipeline that holds the state of a whole world.

Bias: the step alone (reasons, detectors, scoring, policy), from columns to verdict; reading a request, the journal's sync and the answer
are not in it. Rows are the world's last records, one by one, after all others were stepped over.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import child, say, sized_world

LIMIT_US = 500


def one(place: Path, rows: int) -> dict[str, Any]:
    """Warm a pipeline with a world but its last rows, then step those one by one."""
    from watchbill.context.reference import find_tables, read_table
    from watchbill.core.settings import Settings
    from watchbill.records.columns import KIND, columns_of
    from watchbill.records.validate import stamp_arrival
    from watchbill.runners.pipeline import Pipeline
    from watchbill.sources.base import open_source

    settings = Settings()
    pipeline = Pipeline(settings)
    for name, path in sorted(find_tables(place / "reference").items()):
        pipeline.apply(name, read_table(name, path, settings.time_zone, settings.limits.reference_rows_max))
    source = open_source("files", {"kind": "files", "paths": [str(place / "records")]})
    seq = arrival = 0
    waiting = None
    for batch in source.read(None, stop=lambda: False):
        stamped = stamp_arrival(batch.table, arrival, live_now=None)
        arrival = stamped.arrival
        if waiting is not None:
            pipeline.step(waiting)
        waiting = columns_of(stamped.table, seq)
        seq += len(waiting)
    assert waiting is not None
    begin = max(0, len(waiting) - rows)
    pipeline.step(waiting.cut(0, begin))
    single = [waiting.cut(i, i + 1) for i in range(begin, len(waiting))]
    looks = np.array([KIND["view"] <= int(row.kind[0]) <= KIND["print"] for row in single])
    spent = np.empty(len(single))
    gc.collect()
    gc.disable()
    for at, row in enumerate(single):
        start = time.perf_counter()
        pipeline.step(row)
        spent[at] = time.perf_counter() - start
    spent = spent[200:] * 1e6
    looks = looks[200:]
    parts = {"looks": spent[looks], "all records": spent}
    return {
        "accounts": len(pipeline.context.accounts), "records": seq,
        "rows": {name: [len(v), *np.quantile(v, [0.5, 0.9, 0.99]).tolist()] for name, v in parts.items()},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=2001)
    parser.add_argument("--inner", type=Path)
    given = parser.parse_args()
    if given.inner:
        print(json.dumps(one(given.inner, given.rows)))
        return
    ran = child(__file__, "--inner", str(sized_world(given.records, given.seed)), "--rows", str(given.rows))
    rows = [
        [name, f"{count:,}", *(f"{value:.0f}" for value in (median, p90, p99)), LIMIT_US]
        for name, (count, median, p90, p99) in ran["rows"].items()
    ]
    head = ["one row", "steps", "median us", "90 % us", "99 % us", "limit of the median"]
    say(f"One-row step after {ran['records']:,} records of {ran['accounts']:,} accounts", head, rows)


if __name__ == "__main__":
    main()

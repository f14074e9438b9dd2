"""From event to action: how long the live path takes from a record handed over to its verdict on disk.

Each of the last records of a world is given to the engine alone, as a source would give it: stamp, duplicates, journal and
sync, step, outputs. Not in it: the network, the way of the log to us, and waiting for a batch to fill (`run` takes what is there).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from watchbill.runners.clock import SystemClock
from watchbill.runners.engine import Engine
from watchbill.runners.references import read_folder
from watchbill.sources.base import open_source

if TYPE_CHECKING:
    from pathlib import Path

    from watchbill.core.settings import Settings

RECORDS: Final = 1500
WARM: Final = 300
_LEAVE: Final = 2
"""A batch of two records or more can be cut into single ones."""


def event_to_action(world: Path, home: Path, settings: Settings) -> dict[str, Any]:
    """Seconds of single records, after all of the world but its last RECORDS was taken in: count, median, p99, most."""
    engine = Engine(home, settings, SystemClock())
    spent: list[float] = []
    try:
        engine.take_tables(read_folder(world / "reference", settings))
        source = open_source("files", {"kind": "files", "paths": [str(world / "records")]})
        engine.declare(source.name, "known")
        waiting = None
        for batch in source.read(None, stop=lambda: False):
            if batch.table.num_rows == 0:
                continue
            if waiting is not None:
                engine.take(waiting)
            waiting = batch
        if waiting is not None:
            rows = waiting.table.num_rows
            begin = max(0, rows - RECORDS)
            keep = np.arange(rows)
            engine.take(waiting.keep(keep < begin))
            for at in range(begin, rows):
                single = waiting.keep(keep == at)
                start = time.perf_counter()
                engine.take(single)
                spent.append(time.perf_counter() - start)
    finally:
        engine.close()
    seconds = np.array(spent[WARM:] if len(spent) > _LEAVE * WARM else spent)
    if not seconds.shape[0]:
        return {"records": 0}
    rng = np.random.default_rng(1)
    again = np.quantile(rng.choice(seconds, (500, seconds.shape[0])), 0.99, axis=1)
    return {
        "records": int(seconds.shape[0]), "median": float(np.median(seconds)), "p99": float(np.quantile(seconds, 0.99)),
        "low": float(np.quantile(again, 0.025)), "high": float(np.quantile(again, 0.975)), "most": float(seconds.max()),
    }  # fmt: skip

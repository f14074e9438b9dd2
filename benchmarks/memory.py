"""State an account, and memory over thirty simulated days: flat once the windows are full?

Bias: a small carrier for thirty days (state follows accounts, open parcels and days of memory, not history); resident memory
is the whole process with the interpreter, DuckDB, Arrow and compiled kernels, read after each day; sealing runs in a child.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from common import CACHE, child, say, world

LIMIT_BYTES = 6144


def one(place: Path) -> dict[str, Any]:
    """Replay day by day through one engine, reading what it holds after each."""
    import gc

    import pyarrow as pa

    from watchbill.core.settings import Settings
    from watchbill.ledger.sealing import Sealer
    from watchbill.runners.clock import SystemClock
    from watchbill.runners.engine import Engine
    from watchbill.sources.base import open_source

    folder = Path(tempfile.mkdtemp(dir=CACHE))
    rows: list[dict[str, Any]] = []
    try:
        engine = Engine(folder / "home", Settings(), SystemClock())
        sealer = Sealer.start(folder / "home")
        engine.reload(place / "reference")
        for number, path in enumerate(sorted((place / "records").iterdir()), start=1):
            source = open_source(f"day{number}", {"kind": "files", "paths": [str(path)]})
            for batch in source.read(None, stop=lambda: False):
                batch.source = "carrier"
                engine.take(batch)
            del batch
            engine.checkpoint()  # as a live runner does every minute: it ends the running part of verdicts
            gc.collect()
            pa.default_memory_pool().release_unused()
            rows.append({"day": number, "rss": _resident(), **_held(engine)})
        accounts, each = len(engine.pipeline.context.accounts), engine.pipeline.bytes_an_account()
        engine.close()
        sealer.finish(600)
    finally:
        shutil.rmtree(folder)
    return {"rows": rows, "accounts": accounts, "bytes_an_account": each}


def _held(engine: Any) -> dict[str, int]:
    """Bytes of the large tables."""
    context, seen = engine.pipeline.context, engine.seen
    detectors = sum(
        array.nbytes for d in engine.pipeline.detectors for array in vars(d).values() if hasattr(array, "nbytes")
    )
    return {
        "records": sum(engine.counts.kinds.values()), "work": _nbytes(context.work), "tickets": _nbytes(context.tickets) + _nbytes(context.signed),
        "pool": _nbytes(context, ("pool", "heads")), "seen": seen._cells.nbytes + sum(f.words.nbytes for f in seen._filters),
        "detectors": detectors,
    }  # fmt: skip


def _nbytes(part: Any, only: tuple[str, ...] = ()) -> int:
    """Bytes of all arrays that an object holds, lists and parts of it included."""
    if hasattr(part, "nbytes"):
        return int(part.nbytes)
    if isinstance(part, (list, tuple)):
        return sum(_nbytes(one_) for one_ in part)
    names = only or tuple(getattr(part, "__dict__", {})) or tuple(getattr(type(part), "__slots__", ()))
    return (
        sum(_nbytes(getattr(part, name, None)) for name in names)
        if not isinstance(part, (str, int, float, type(None)))
        else 0
    )


def _resident() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--outlets", type=int, default=8)
    parser.add_argument("--scale", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=2001)
    parser.add_argument("--inner", type=Path)
    given = parser.parse_args()
    if given.inner:
        print(json.dumps(one(given.inner)))
        return
    ran = child(
        __file__,
        "--inner",
        str(world(seed=given.seed, days=given.days, outlets=given.outlets, form="ndjson", scale=given.scale)),
    )
    days = ran["rows"]
    shown = [row for row in days if row["day"] in {1, 2, 4, 8, 12, 16, 20, 24, 28, len(days)}]
    names = ("work", "tickets", "pool", "seen", "detectors")
    rows = [[r["day"], f"{r['records']:,}", *(f"{r[n] / 2**20:.1f}" for n in ("rss", *names))] for r in shown]
    head = [
        "day",
        "records so far",
        "resident MiB",
        "reasons",
        "tickets, signed",
        "waiting looks",
        "duplicates",
        "detectors",
    ]
    warm, last = days[min(17, len(days) - 1)]["rss"], days[-1]["rss"]
    say(
        f"Memory over {given.days} days, {ran['accounts']} accounts", head, rows,
        f"from day 18 to the last: {100 * (last - warm) / warm:+.1f} %",
        f"state an account: {ran['bytes_an_account']:.0f} bytes (limit {LIMIT_BYTES})",
    )  # fmt: skip


if __name__ == "__main__":
    main()

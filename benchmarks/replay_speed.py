"""Replay against bare DuckDB parsing of the same NDJSON: time, CPU, memory, the share of each stage, and linearity.

Bias: the peer only parses to Arrow on two threads; the replay parses, journals with fsync, joins reasons, detects, writes verdicts,
seals into Parquet with a Merkle tree and publishes. Every run is a process of its own with warm kernels and a warm file cache; its time is
that of `replay()` without the interpreter's imports (`start` says what they cost). Best of `--repeat` by wall time.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_began = time.perf_counter()

from common import CACHE, child, say, sized_world  # noqa: E402

LIMIT = 5.0
PEER_TYPES = {
    "id": "VARCHAR", "time": "BIGINT", "received": "BIGINT", "kind": "VARCHAR", "account": "VARCHAR", "session": "VARCHAR",
    "device": "VARCHAR", "ip": "VARCHAR", "app": "VARCHAR", "waybill": "VARCHAR", "subjects": "VARCHAR[]",
    "fields": "VARCHAR[]", "shown": "STRUCT(subject VARCHAR, fields VARCHAR[])[]", "masked": "BOOLEAN", "ticket": "VARCHAR",
    "reason": "VARCHAR", "decision": "VARCHAR", "outcome": "VARCHAR", "results": "BIGINT", "page": "BIGINT",
    "outlet": "VARCHAR", "next_outlet": "VARCHAR", "assignee": "VARCHAR", "status": "VARCHAR", "state": "VARCHAR",
    "type": "VARCHAR", "until": "BIGINT", "channel": "VARCHAR",
}  # fmt: skip
spent: dict[str, list[float]] = {}
_stack: list[list[float]] = []


def timed(label: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """`call`, its own thread CPU and wall seconds added under `label`, less what is timed inside it."""

    def run(*args: Any, **named: Any) -> Any:
        _stack.append([0.0, 0.0])
        cpu, wall = time.thread_time(), time.perf_counter()
        try:
            return call(*args, **named)
        finally:
            cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
            inner = _stack.pop()
            total_ = spent.setdefault(label, [0.0, 0.0])
            total_[0] += cpu - inner[0]
            total_[1] += wall - inner[1]
            if _stack:
                _stack[-1][0] += cpu
                _stack[-1][1] += wall

    return run


def instrument() -> None:
    """Wrap the stages of the main thread from outside; the reading thread is what remains of the process."""
    from watchbill.context.context import Context
    from watchbill.ledger.journal import Journal
    from watchbill.ledger.sealing import Sealer
    from watchbill.records.dedup import Seen
    from watchbill.runners import engine, local, pipeline

    engine.stamp_arrival = timed("stamp, duplicates", engine.stamp_arrival)
    Seen.filter = timed("stamp, duplicates", Seen.filter)
    engine.pack = timed("journal: encode", engine.pack)
    Journal.append = timed("journal: write, sync", Journal.append)
    Journal.commit = timed("journal: write, sync", Journal.commit)
    engine.columns_of = timed("columns", engine.columns_of)
    Context.prepare = timed("columns: accounts, places", Context.prepare)
    Context.join = timed("reasons", Context.join)
    pipeline.Pipeline.step = timed("step: the rest", pipeline.Pipeline.step)
    pipeline.Pipeline._publish = timed("tables at ticks", pipeline.Pipeline._publish)
    pipeline.fuse = timed("scoring, policy", pipeline.fuse)
    pipeline.apply_policy = timed("scoring, policy", pipeline.apply_policy)
    kinds = {type(one) for one in pipeline.load_detectors(local_settings())}
    for kind in kinds:
        kind.observe = timed("detectors", kind.observe)
    engine.OutputFiles.write = timed("verdicts", engine.OutputFiles.write)
    engine.Engine.checkpoint = timed("checkpoint", engine.Engine.checkpoint)
    engine.Engine.take = timed("engine: the rest", engine.Engine.take)
    Sealer.finish = timed("wait for sealing", Sealer.finish)
    local.publish = timed("publish", local.publish)


def local_settings() -> Any:
    from watchbill.core.settings import Settings

    return Settings()


def one_replay(place: Path) -> dict[str, Any]:
    """Replay a world in this process."""
    from watchbill.core.settings import Settings
    from watchbill.runners.local import replay
    from watchbill.sources.base import open_source

    imported = time.perf_counter() - _began
    instrument()
    folder = Path(tempfile.mkdtemp(dir=CACHE))
    try:
        source = open_source("files", {"kind": "files", "paths": [str(place / "records")]})
        wall, cpu, main = time.perf_counter(), time.process_time(), time.thread_time()
        ran = replay([source], folder / "home", folder / "out", Settings(), reference=place / "reference")
        wall, cpu, main = time.perf_counter() - wall, time.process_time() - cpu, time.thread_time() - main
    finally:
        shutil.rmtree(folder)
    inner = resource.getrusage(resource.RUSAGE_CHILDREN)
    stages = {"parse (reading thread)": [cpu - main, 0.0], **spent}
    stages["main thread: the rest"] = [main - sum(pair[0] for pair in spent.values()), 0.0]
    stages["sealing (child process)"] = [inner.ru_utime + inner.ru_stime, 0.0]
    return {
        "wall": wall, "cpu": cpu + inner.ru_utime + inner.ru_stime, "records": sum(ran.summary["records"].values()),
        "peak": ran.summary["peak_memory_bytes"], "start": imported, "stages": stages,
    }  # fmt: skip


def one_peer(place: Path) -> dict[str, Any]:
    """Parse the same files with DuckDB alone, into Arrow."""
    import duckdb

    files = sorted(str(path) for path in (place / "records").iterdir())
    with duckdb.connect() as db:
        db.execute("set threads = 2")
        wall, cpu = time.perf_counter(), time.process_time()
        query = f"select * from read_ndjson({files!r}, columns = {PEER_TYPES!r}, format = 'newline_delimited')"
        rows = db.sql(query).to_arrow_table().num_rows
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"wall": wall, "cpu": cpu, "records": rows, "peak": peak, "start": 0.0, "stages": {}}


def best(what: str, place: Path, repeat: int) -> dict[str, Any]:
    """The run of the least wall time; its `cpu` is the least of all."""
    runs = [child(__file__, "--inner", what, "--world", str(place)) for _ in range(repeat)]
    chosen = min(runs, key=lambda run: run["wall"])
    return chosen | {"cpu": min(run["cpu"] for run in runs)}


def compare(records: int, seed: int, repeat: int, forms: list[str]) -> None:
    """The tables of one size."""
    places = {form: sized_world(records, seed, form) for form in forms}
    peer = best("peer", places["ndjson"], repeat)
    runs = {form: best("replay", place, repeat) for form, place in places.items()}
    million = peer["records"] / 1e6
    rows = [["bare DuckDB, NDJSON to Arrow", *_row(peer, peer, million), "peer"]]
    rows += [
        [f"replay of {form}", *_row(run, peer, million), f"limit {LIMIT:.0f}" if form == "ndjson" else ""]
        for form, run in runs.items()
    ]
    head = ["", "s", "s a million", "records/s", "CPU-s a million", "peak MiB", "times the peer", "by CPU", ""]
    say(
        f"Replay of {peer['records']:,} records",
        head,
        rows,
        f"best of {repeat}; start (imports) {runs['ndjson']['start']:.1f} s more",
    )
    names = list(dict.fromkeys(name for run in runs.values() for name in run["stages"]))
    shares = [[name, *(_stage(run, name, million) for run in runs.values())] for name in names]
    say("Where the CPU goes, microseconds a record (wall where it waits)", ["stage", *runs], shares)


def _row(run: dict[str, Any], peer: dict[str, Any], million: float) -> list[str]:
    return [
        f"{run['wall']:.2f}", f"{run['wall'] / million:.2f}", f"{run['records'] / run['wall']:,.0f}", f"{run['cpu'] / million:.2f}",
        f"{run['peak'] / 2**20:,.0f}", f"{run['wall'] / peer['wall']:.2f}", f"{run['cpu'] / peer['cpu']:.2f}",
    ]  # fmt: skip


def _stage(run: dict[str, Any], name: str, million: float) -> str:
    cpu, wall = run["stages"].get(name, (0.0, 0.0))
    waits = f" ({wall / million:.2f})" if wall > cpu * 1.5 + 0.05 else ""
    return f"{cpu / million:.3f}{waits}"


def linear(sizes: list[int], seed: int, repeat: int) -> None:
    """Time a record over sizes, with the peer's at each."""
    rows, first = [], 0.0
    for size in sizes:
        place = sized_world(size, seed)
        peer, run = best("peer", place, repeat), best("replay", place, repeat)
        each = run["cpu"] / run["records"]
        first = first or each
        figures = (
            run["wall"],
            run["wall"] / run["records"] * 1e6,
            each * 1e6,
            each / first,
            run["wall"] / peer["wall"],
        )
        rows.append([f"{run['records']:,}", *(f"{value:.2f}" for value in figures), f"{run['peak'] / 2**20:,.0f}"])
    head = [
        "records",
        "s",
        "us a record",
        "CPU-us a record",
        "CPU, times the first",
        "wall, times the peer",
        "peak MiB",
    ]
    say("Linearity", head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--sizes", default="1000000,5000000", help="sizes of the linearity table; empty = none")
    parser.add_argument("--seed", type=int, default=2001)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--forms", default="ndjson,parquet,arrow")
    parser.add_argument("--inner", choices=("peer", "replay"))
    parser.add_argument("--world", type=Path)
    given = parser.parse_args()
    if given.inner:
        print(json.dumps({"peer": one_peer, "replay": one_replay}[given.inner](given.world)))
        return
    best("replay", sized_world(100_000, given.seed), 1)  # kernels compile here, if they must
    compare(given.records, given.seed, given.repeat, given.forms.split(","))
    if given.sizes:
        linear([int(size) for size in given.sizes.split(",")], given.seed, max(1, given.repeat - 1))


if __name__ == "__main__":
    main()

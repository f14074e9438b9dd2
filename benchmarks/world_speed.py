"""How fast the lab's carrier is built and written: records a second, bytes a record and peak memory, by format.

Bias: one process, a warm file cache, the machine as it is; the world is the default one, so most records are scans.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from watchbill.lab.simulator.world import build_world


def one(form: str, seed: int, days: int, outlets: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        report = build_world(Path(folder), seed=seed, days=days, outlets=outlets, format=form)  # type: ignore[arg-type]
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        size = sum(p.stat().st_size for p in report.files)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    million = report.total / 1e6
    print(
        f"{form:8} {report.total:>10,} records  {wall:6.1f} s  {cpu / million:5.2f} CPU-s a million  "
        f"{report.total / wall:>9,.0f} records/s  {size / report.total:5.0f} bytes a record  {memory:6.0f} MiB peak",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=8)
    parser.add_argument("--outlets", type=int, default=15)
    parser.add_argument("--format", choices=("ndjson", "parquet", "arrow"))
    given = parser.parse_args()
    if given.format:
        one(given.format, given.seed, given.days, given.outlets)
        return
    for form in ("ndjson", "parquet", "arrow"):  # a process each: peak memory is a process's
        figures = [f"--{name}={getattr(given, name)}" for name in ("seed", "days", "outlets")]
        subprocess.run([sys.executable, __file__, *figures, f"--format={form}"], check=True)


if __name__ == "__main__":
    main()

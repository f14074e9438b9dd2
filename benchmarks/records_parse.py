"""What a record costs from text to a stamped, deduplicated batch, beside bare DuckDB parsing of the same file.

Usage: python benchmarks/records_parse.py [RECORDS]. Bias: DuckDB here neither validates nor keeps unknown fields, and may
use both cores; ours runs in one thread. Figures are CPU microseconds a record, best of three.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np

from watchbill.records.dedup import Seen
from watchbill.records.parse import Parsed, parse_ndjson
from watchbill.records.validate import stamp_arrival

CHUNK = 16 << 20


def write(path: Path, count: int) -> None:
    draw = random.Random(1)
    at = 1_760_000_000_000
    with path.open("w") as file:
        for i in range(count):
            at += draw.randrange(90)
            kind = draw.choice(["view", "view", "view", "search", "scan", "scan", "ticket", "login"])
            row = {
                "id": f"{draw.getrandbits(64):016x}",
                "time": at,
                "kind": kind,
                "account": f"E{draw.randrange(20_000):06d}",
            }
            if kind in ("view", "search"):
                row |= {"session": f"s{draw.randrange(10**6)}", "device": f"d{draw.randrange(9000)}", "app": "desk"}
                row |= {
                    "ip": f"10.{draw.randrange(9)}.{draw.randrange(256)}.7",
                    "waybill": f"SF{draw.randrange(10**12):012d}",
                }
                row |= {"subjects": [f"c{draw.randrange(10**7)}"], "fields": ["recipient.phone", "recipient.name"]}
            elif kind == "scan":
                row |= {
                    "waybill": f"SF{draw.randrange(10**12):012d}",
                    "outlet": f"o{draw.randrange(300)}",
                    "status": "arrived",
                }
            elif kind == "ticket":
                row |= {"ticket": f"T{i}", "state": "open"}
            file.write(json.dumps(row, separators=(",", ":")) + "\n")


def best(run: Callable[[], None]) -> tuple[float, float]:
    """(CPU seconds, wall seconds) of the fastest of three."""
    found = []
    for _ in range(3):
        cpu, wall = time.process_time(), time.perf_counter()
        run()
        found.append((time.process_time() - cpu, time.perf_counter() - wall))
    return min(found)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.ndjson"
        write(path, count)
        data = path.read_bytes()
        parts: list[Parsed] = []

        def parse() -> None:
            parts.clear()
            at = 0
            while at < len(data):
                end = data.rfind(b"\n", at, at + CHUNK) + 1
                parts.append(parse_ndjson(data[at:end], source="s", identity="f"))
                at = end

        def stamp() -> None:
            clock = 0
            for i, part in enumerate(parts):
                stamped = stamp_arrival(part.table, clock, live_now=None)
                parts[i].table, clock = stamped.table, stamped.arrival

        def dedup() -> None:
            seen = Seen()
            for part in parts:
                arrival = np.asarray(part.table.column("arrival").combine_chunks())
                assert seen.filter("s", part.table, arrival, derived=part.derived).keep.all()

        def bare() -> None:
            columns = ", ".join(
                f"{n}: 'VARCHAR'"
                for n in [
                    "id",
                    "kind",
                    "account",
                    "session",
                    "device",
                    "ip",
                    "app",
                    "waybill",
                    "outlet",
                    "status",
                    "ticket",
                    "state",
                ]
            )
            columns += ", time: 'BIGINT', subjects: 'VARCHAR[]', fields: 'VARCHAR[]'"
            duckdb.sql(f"FROM read_json('{path}', format='newline_delimited', columns={{{columns}}})").to_arrow_table()

        parse()
        total = 0.0
        print(f"{count} records, {len(data) / count:.0f} bytes each")
        for name, run in (("parse + validate", parse), ("stamp arrival", stamp), ("duplicates", dedup)):
            cpu, wall = best(run)
            total += cpu
            print(f"  {name:20s} {cpu / count * 1e6:6.2f} us CPU a record   {wall:6.2f} s")
        print(f"  {'together':20s} {total / count * 1e6:6.2f} us CPU a record")
        cpu, wall = best(bare)
        print(f"  {'bare DuckDB':20s} {cpu / count * 1e6:6.2f} us CPU a record   {wall:6.2f} s")


if __name__ == "__main__":
    main()

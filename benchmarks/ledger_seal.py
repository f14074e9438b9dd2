"""What sealing costs a record, part by part, on made-up looks of one day. Bias: identifiers are UUID-like, the worst case.

Run: PYTHONPATH=src python benchmarks/ledger_seal.py [RECORDS]
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from watchbill.ledger import canonical, keys, merkle, sealing, segments
from watchbill.ledger.frames import Frame, pack
from watchbill.ledger.journal import Journal, read_frames
from watchbill.records.schema import SCHEMA

FRAME_ROWS = 65_536
spent: dict[str, float] = {}


def timed(label: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **named: Any) -> Any:
        start = time.process_time()
        try:
            return call(*args, **named)
        finally:
            spent[label] = spent.get(label, 0.0) + time.process_time() - start

    return run


def looks(count: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)

    def identifiers(size: int, high: int, form: str) -> pa.Array:
        return pa.array([form % value for value in rng.integers(0, high, size)])

    raw = rng.bytes(16 * count)
    hexes = [raw[at : at + 16].hex() for at in range(0, len(raw), 16)]
    time_ms = 1_700_006_400_000 + np.sort(rng.integers(0, 80_000_000, count))
    columns: dict[str, Any] = {
        "source": pa.array(["api"] * count),
        "id": pa.array(hexes),
        "time": pa.array(time_ms),
        "received": pa.array(time_ms + 90),
        "arrival": pa.array(time_ms + 90),
        "kind": pa.array(np.array(["view", "search", "scan"])[rng.integers(0, 3, count)].astype(object)),
        "account": identifiers(count, 5000, "E%06d"),
        "session": identifiers(count, 1 << 40, "s-%011x"),
        "device": identifiers(count, 9999, "d%05d"),
        "ip": identifiers(count, 250, "10.20.30.%d"),
        "app": pa.array(["crm"] * count),
        "waybill": identifiers(count, 1 << 62, "SF%016x"),
        "subjects": pa.ListArray.from_arrays(
            pa.array(np.arange(count + 1, dtype=np.int32)), identifiers(count, 1 << 62, "c-%016x")
        ),
        "fields": pa.ListArray.from_arrays(
            pa.array(np.arange(0, 2 * count + 1, 2, dtype=np.int32)),
            pa.array(["recipient.name", "recipient.phone"] * count),
        ),
        "masked": pa.array(rng.random(count) < 0.3),
        "outcome": pa.array(["success"] * count),
    }
    return pa.table({name: columns.get(name, pa.nulls(count, SCHEMA.field(name).type)) for name in SCHEMA.names}).cast(
        SCHEMA
    )


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    pa.set_cpu_count(1)
    pa.set_memory_pool(pa.system_memory_pool())
    pa.set_io_thread_count(1)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        table = looks(count, 7)
        sealing.leaf_hashes(table.slice(0, 5000), 0, bytes(32))
        merkle.Frontier().append(bytes(32 * 5000))
        segments.index_of(table.column("id").slice(0, 10), np.arange(10))
        with Journal.open(home) as journal:
            start = time.process_time()
            for at in range(0, count, FRAME_ROWS):
                part = table.slice(at, FRAME_ROWS)
                journal.append(
                    Frame(part.num_rows, int(part["arrival"][-1].as_py()), timed("journal: pack", pack)(part))
                )
                timed("journal: commit", journal.commit)()
            spent["journal: all"] = time.process_time() - start
        journal_bytes = sum(path.stat().st_size for path in (home / "journal").iterdir())
        del table, part
        sealing.unpack = timed("unpack", sealing.unpack)
        sealing.canonical = timed("canonical", canonical.canonical)
        sealing.nonces = timed("nonces", keys.nonces)
        sealing.hash_rows = timed("leaf hashes", sealing.hash_rows)
        merkle.hash_pairs = timed("tree nodes", merkle.hash_pairs)
        segments.sort_order = timed("sort", segments.sort_order)
        segments.write_parquet = timed("parquet (take, encode, write)", segments.write_parquet)
        segments.index_of = timed("index", segments.index_of)
        segments.write_index = timed("index", segments.write_index)
        segments.file_digest = timed("file digests", segments.file_digest)
        begin = time.perf_counter()
        report = timed("seal: all", sealing.seal)(home, final=True)
        wall = time.perf_counter() - begin
        for label, seconds in spent.items():
            print(f"{label:32s} {seconds / count * 1e6:7.3f} us a record")
        sizes: dict[str, int] = {}
        for path in (home / "segments").glob("*/*"):
            sizes[path.name.split(".", 1)[1]] = sizes.get(path.name.split(".", 1)[1], 0) + path.stat().st_size
        print(report, f"wall {wall / count * 1e6:.2f} us a record; journal {journal_bytes / count:.0f} bytes a record")
        print({name: round(size / count, 1) for name, size in sizes.items()}, "bytes a record")
        print(f"memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")
        print(sum(1 for _ in read_frames(home)), "frames")


if __name__ == "__main__":
    main()

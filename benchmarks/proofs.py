"""Verify of a whole ledger (records a second), one proof and one consistency proof (milliseconds), an erasure.

Made-up looks with UUID-like identifiers (the worst case for Parquet and for encoding), 500,000 a segment as the runner seals them.
CPU seconds are printed beside wall seconds: on a shared machine the wall says what others left over.

Run: python benchmarks/proofs.py [--records 2000000]
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from common import say
from ledger_seal import FRAME_ROWS, looks

from watchbill.ledger import merkle
from watchbill.ledger.erasing import Plan, erase
from watchbill.ledger.frames import Frame, pack
from watchbill.ledger.journal import Journal
from watchbill.ledger.prove import checkpoint_sizes, consistency, prove, prove_all
from watchbill.ledger.sealing import seal
from watchbill.ledger.tiles import TreeHashes
from watchbill.ledger.verify import verify

SEGMENT_ROWS = 500_000
PROOFS = 200


def fill(home: Path, count: int) -> None:
    with Journal.open(home) as journal:
        arrival, number = 0, 0
        while journal.height < count:
            table, number = looks(min(1_000_000, count - journal.height), 7 + number), number + 1
            for at in range(0, table.num_rows, FRAME_ROWS):
                part = table.slice(at, FRAME_ROWS)
                arrivals = np.maximum(part["arrival"].to_numpy(), arrival)  # each million is of the same day
                arrival = int(arrivals[-1])
                at_column = part.schema.get_field_index("arrival")
                part = part.set_column(at_column, part.schema.field(at_column), pa.array(arrivals))
                journal.append(Frame(part.num_rows, arrival, pack(part)))
            journal.commit()
    seal(home, rows_max=SEGMENT_ROWS, upto=count // 3, final=True)
    seal(home, rows_max=SEGMENT_ROWS, final=True)


def spent() -> float:
    """CPU seconds of this process and of those that it waited for."""
    mine, theirs = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime


def timed(call: Callable[[], Any]) -> tuple[float, float, Any]:
    wall, cpu = time.perf_counter(), spent()
    out = call()
    return time.perf_counter() - wall, spent() - cpu, out


def milliseconds(calls: list[Callable[[], Any]]) -> tuple[str, str, str, str]:
    """p50, p99 and worst wall, and mean CPU, of each of these calls."""
    cpu = spent()
    walls = [1000 * timed(call)[0] for call in calls]
    low, middle, high = np.quantile(walls, [0.5, 0.99, 1.0])
    return f"{low:.2f}", f"{middle:.2f}", f"{high:.2f}", f"{1000 * (spent() - cpu) / len(calls):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=2_000_000)
    count = parser.parse_args().records
    rng = random.Random(3)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        fill(home, count)
        rows = []
        for processes in (1, None):
            wall, cpu, report = timed(lambda processes=processes: verify(home, processes=processes))  # type: ignore[misc]
            assert report.ok, report.reason
            rate = [f"{count / wall:,.0f}", f"{wall:.1f}", f"{cpu:.1f}", f"{count / cpu:,.0f}"]
            rows.append(["one" if processes else "one a core", *rate])
        say(
            f"verify of {count:,} records: target over 300,000 records/s", ["processes", "records/s", "seconds", "CPU s", "records/CPU s"],
            rows, "reads every journal frame, segment, index, leaf, stored level and checkpoint",
        )  # fmt: skip
        seqs = [rng.randrange(count) for _ in range(PROOFS)]
        first = timed(lambda: prove(home, seqs[0]))[0]
        with TreeHashes(home, count) as tree:
            bare = milliseconds([partial(merkle.inclusion_path, seq, count, tree.node) for seq in seqs])
        with_record = milliseconds([partial(prove, home, seq) for seq in seqs])
        between = milliseconds([partial(consistency, home, checkpoint_sizes(home)[0])] * 50)
        many, many_cpu, _ = timed(lambda: list(prove_all(home, seqs)))
        say(
            f"one proof over {count:,} records: target under 50 ms", ["what", "p50 ms", "p99 ms", "worst ms", "CPU ms"],
            [["path alone", *bare], ["path, record, nonce, checked", *with_record], ["consistency of two checkpoints", *between]],
            f"the first proof of a process took {1000 * first:.0f} ms (kernels are loaded)",
            f"{len(set(seqs))} proofs together: {1000 * many / len(set(seqs)):.2f} ms each, {1000 * many_cpu / len(set(seqs)):.2f} ms of CPU",
        )  # fmt: skip
        gone = np.array(sorted(seqs[:20]), np.int64)
        plan = Plan(gone, np.zeros(0, np.int64), lambda table: table, lambda lines: lines)
        wall, cpu, _ = timed(lambda: erase(home, plan))
        say(
            "erasure of 20 records all over the ledger", ["records", "seconds", "CPU s"], [[f"{count:,}", f"{wall:.1f}", f"{cpu:.1f}"]],
            "every segment and journal file is rewritten: the cost is that of the bytes concerned, not of what goes",
        )  # fmt: skip


if __name__ == "__main__":
    main()

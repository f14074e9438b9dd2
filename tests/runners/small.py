"""A small world and a replay in a process of its own, shared by the runner's tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from watchbill.lab.simulator.world import build_world

SCRIPT = """
import sys
from pathlib import Path
from watchbill.core.settings import Settings
from watchbill.runners.local import Progress, replay
from watchbill.sources.base import open_source
world, home, out, rows, every = sys.argv[1:6]
source = open_source("files", {"kind": "files", "paths": [world + "/records"], "batch_rows": int(rows)})
told = Progress(on_batch=lambda engine, _: print(engine.journal.durable, flush=True))
replay([source], Path(home), Path(out), Settings(), reference=Path(world + "/reference"), progress=told,
       checkpoint_seconds=float(every))
print("done", flush=True)
"""


@cache
def small_world(days: int = 8, outlets: int = 3) -> Path:
    """A world of some ten thousand records with every attack, built once a session."""
    folder = Path(tempfile.mkdtemp(prefix="watchbill-world-"))
    build_world(folder / "world", seed=11, days=days, outlets=outlets, scale=0.3)
    return folder / "world"


def start_replay(home: Path, out: Path, *, rows: int = 4096, every: float = 0.2) -> subprocess.Popen[str]:
    """A replay of the small world in a process of its own; it prints its durable height after each batch."""
    command = [sys.executable, "-c", SCRIPT, str(small_world()), str(home), str(out), str(rows), str(every)]
    root = str(Path(__file__).parents[2] / "src")
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": root}
    )


def said(out: Path) -> dict[str, Any]:
    """What a run said, in the form in which outputs.md compares runs."""
    summary = json.loads((out / "summary.json").read_text())
    return {
        "verdicts": pq.read_table(out / "verdicts.parquet").to_pydict(),
        "interventions": (out / "interventions.ndjson").read_text(),
        "cases": (out / "cases.ndjson").read_text(),
        "root": summary["ledger_root"],
        "height": summary["ledger_height"],
        "records": summary["records"],
    }

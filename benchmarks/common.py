"""What all benchmarks share: the machine in one line, tables, worlds kept between runs, measuring in fresh processes.

Every figure is printed with the load of the machine at that moment: on a shared machine CPU seconds say more than wall.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
sys.path.insert(0, str(SOURCE))

from watchbill.lab.simulator.world import build_world  # noqa: E402 - the checkout's own package, installed or not

RECORDS_AN_OUTLET = 88_000
"""Of eight days of the lab's carrier, about: what a size in records means in outlets."""
WORLD_DAYS = 8
CACHE = Path(os.environ.get("WATCHBILL_BENCH", tempfile.gettempdir())) / "watchbill-bench"


def machine() -> str:
    """Cores, load, system and date."""
    load = "/".join(f"{part:.1f}" for part in os.getloadavg())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{date.today().isoformat()}, {cores} cores, load {load}, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table, readable as it stands."""
    text = [[str(cell) for cell in row] for row in [head, *rows]]
    width = [max(len(row[i]) for row in text) for i in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(width[i]) for i, cell in enumerate(row)) + " |" for row in text]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in width) + "|", *lines[1:]])


def say(title: str, head: Sequence[str], rows: Sequence[Sequence[Any]], *notes: str) -> None:
    """Print one measured table with its title and what must be known to read it."""
    print(f"\n### {title}\n\n{machine()}\n\n{table(head, rows)}\n", flush=True)
    for note in notes:
        print(f"- {note}", flush=True)


def sized_world(records: int, seed: int, form: str = "ndjson") -> Path:
    """A folder with the lab's world of about so many records in eight days, all five attacks in it; built once."""
    outlets = max(3, round(records / RECORDS_AN_OUTLET))
    return world(seed=seed, days=WORLD_DAYS, outlets=outlets, form=form)


def world(*, seed: int, days: int, outlets: int, form: str, scale: float = 1.0, keep: bool = True) -> Path:
    """A world of the lab, kept in the cache folder when `keep`."""
    place = CACHE / f"world-{seed}-{days}-{outlets}-{scale}-{form}"
    if not (place / "done").exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        report = build_world(place, seed=seed, days=days, outlets=outlets, format=form, scale=scale)  # type: ignore[arg-type]
        (place / "done").write_text(str(report.total))
    del keep
    return place


def total(place: Path) -> int:
    """Records of a cached world."""
    return int((place / "done").read_text())


def child(script: str, *arguments: str) -> dict[str, Any]:
    """Run a benchmark's own inner part in a fresh process and read the JSON of its last line."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    ran = subprocess.run(
        [sys.executable, script, *arguments], check=True, env=environment, stdout=subprocess.PIPE, text=True
    )
    return dict(json.loads(ran.stdout.splitlines()[-1]))

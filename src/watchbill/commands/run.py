"""`watchbill run`: the live engine, by a settings file; Ctrl-C ends it cleanly and the next start goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from watchbill.commands.common import JsonOption, print_json
from watchbill.commands.replay import stopping
from watchbill.runners.config import load_config
from watchbill.runners.live import LiveRunner
from watchbill.runners.local import Progress
from watchbill.web.door import open_door


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run_command)


def run_command(
    config: Path = typer.Option(..., help="Settings file (docs/operate.md)."),
    as_json: bool = JsonOption,
) -> None:
    """Watch the configured sources until stopped."""
    console = Console(stderr=True)
    settings = load_config(config)
    told = {"records": 0}

    def on_batch(engine: Any, _positions: Any) -> None:  # noqa: ANN401 - only counts are read
        total = sum(engine.counts.kinds.values())
        if total // 100_000 != told["records"] // 100_000:
            console.print(f"{total:,} records, {len(engine.pipeline.book.cases)} cases", highlight=False)
        told["records"] = total

    with stopping() as stop:
        telling = Progress(on_batch=on_batch, on_phase=lambda text: console.print(text, highlight=False), stop=stop)
        summary = LiveRunner(settings, door=open_door, progress=telling).run()
    if as_json:
        print_json(summary)
    else:
        console.print(f"stopped at height {summary['ledger_height']:,}; the same command goes on", highlight=False)

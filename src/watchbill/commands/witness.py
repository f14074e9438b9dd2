"""`watchbill witness`: publish signed checkpoints where nobody here can take them back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import typer

from watchbill.commands.common import HomeOption, JsonOption, print_json
from watchbill.commands.show import ledger_home, say
from watchbill.core.errors import SourceError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("witness")(witness_command)


def witness_command(
    file: Path | None = typer.Option(None, "--file", help="Append them to this file, on a system that others control."),
    url: str | None = typer.Option(None, help="POST each to this https address."),
    every: float = typer.Option(0.0, help="Go on, looking again every so many seconds; 0: once."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Publish checkpoints that a destination does not have yet; `verify --against FILE` compares the log with them later."""
    from watchbill.runners.clock import SystemClock
    from watchbill.runners.witness import publish

    place, clock = ledger_home(home), SystemClock()
    while True:
        try:
            said = publish(place, file=file, url=url)
        except SourceError as error:
            if not every:
                raise
            say(str(error), style="yellow")
        else:
            if as_json:
                print_json(asdict(said))
            elif said.file or said.url or not every:
                say(f"{len(said.file):,} checkpoints to the file, {len(said.url):,} to the address")
        if not every:
            return
        clock.sleep(max(every, 1.0))

"""`watchbill timestamp`: have an outside authority date the newest checkpoint (RFC 3161)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import typer

from watchbill.commands.common import HomeOption, JsonOption, print_json
from watchbill.commands.show import ledger_home, say


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("timestamp")(timestamp_command)


def timestamp_command(
    tsa: str = typer.Option(..., help="URL of a timestamp authority (RFC 3161 over HTTP)."),
    roots: Path | None = typer.Option(None, help="PEM file with its root certificates; the signature is checked then."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Have the newest signed checkpoint dated by an outside authority; only its digest leaves the house."""
    from watchbill.runners.timestamps import stamp

    said = stamp(ledger_home(home), tsa, roots)
    if as_json:
        print_json(asdict(said))
        return
    before = "" if said.fresh else " already"
    say(f"the checkpoint of {said.size:,} records was{before} stamped at {said.time}: {said.file}")
    if not said.trusted:
        say("its signature was not checked: give --roots, or use openssl ts -verify", style="yellow")

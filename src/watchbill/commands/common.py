"""What commands share: the home, --json, and printing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import typer

HomeOption = typer.Option(None, "--home", help="The home (default: WATCHBILL_HOME, else ./watchbill-home).")
JsonOption = typer.Option(False, "--json", help="Print JSON.")


def home_of(home: Path | None) -> Path:
    """The home that a command means."""
    return home or Path(os.environ.get("WATCHBILL_HOME") or "watchbill-home")


def print_json(value: object) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1))

"""What commands share: the home, --json, and printing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import typer

HomeOption = typer.Option(None, "--home", help="The home (default: WATCHBILL_HOME, else ./watchbill-home).")
JsonOption = typer.Option(False, "--json", help="Print JSON.")


def group(app: typer.Typer, name: str, text: str = "", *, alone: bool = False) -> typer.Typer:
    """The group of commands of this name: several files may add to it. `alone`: its name by itself is a command too."""
    for known in app.registered_groups:
        if known.name == name and known.typer_instance is not None:
            return known.typer_instance
    made = typer.Typer(no_args_is_help=not alone, help=text or None)
    app.add_typer(made, name=name)
    return made


def home_of(home: Path | None) -> Path:
    """The home that a command means."""
    return home or Path(os.environ.get("WATCHBILL_HOME") or "watchbill-home")


def print_json(value: object) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1))

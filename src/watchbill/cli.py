"""The commands: `watchbill --help` lists them. Errors are one line that says what, where and what to do."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import pyarrow as pa
import typer
from rich.console import Console

from watchbill import __version__
from watchbill.core.errors import NotFoundError, WatchbillError

app = typer.Typer(
    name="watchbill", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="Knows who is meant to look, and sees who does.",
)  # fmt: skip


@app.callback(invoke_without_command=True)
def root(version: bool = typer.Option(False, "--version", help="Say the version.")) -> None:
    """Knows who is meant to look, and sees who does."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


def _mount() -> None:
    """Every file of commands/ registers its own commands: the folder is the list."""
    package = importlib.import_module("watchbill.commands")
    for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
        register = getattr(importlib.import_module(f"watchbill.commands.{module}"), "register", None)
        if register is not None:
            register(app)


def main() -> None:
    """Run the command line."""
    # measured: the default pool costs the writer more than twice the CPU of packing and journaling
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        _mount()
        app(prog_name="watchbill")
    except WatchbillError as error:
        _fail(str(error), 1 if isinstance(error, NotFoundError) else 2)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(
            f"{where}{error.strerror or type(error).__name__}. Check the path, its rights and the room on the disk", 2
        )
    except KeyboardInterrupt:
        _fail("interrupted; the same command goes on", 130)


def _fail(message: str, code: int) -> None:
    """One line, then the end."""
    Console(stderr=True).print(" ".join(message.split()), style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)


if __name__ == "__main__":
    main()

"""`watchbill replay`: sources in, verdicts out; shows its rate, ETA and findings, stops cleanly and goes on later."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from watchbill.commands.common import HomeOption, JsonOption, home_of, print_json
from watchbill.core.errors import SettingsError, SourceError
from watchbill.runners.config import RunConfig, load_config
from watchbill.runners.inbox import read_verdicts
from watchbill.runners.local import Progress as Telling
from watchbill.runners.local import replay
from watchbill.sources.base import open_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from watchbill.runners.engine import Engine
    from watchbill.sources.base import Source


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("replay")(replay_command)


def replay_command(
    sources: list[str] = typer.Argument(..., help="Files, folders, or - for standard input."),
    reference: Path | None = typer.Option(None, help="Folder of reference tables (accounts.csv, outlets.csv ...)."),
    home: Path | None = HomeOption,
    out: Path = typer.Option(Path("watchbill-out"), help="Where to write verdicts, interventions, cases."),
    config: Path | None = typer.Option(None, help="Settings file: \\[engine], \\[records] and the source's mapping."),
    source: str = typer.Option("", help="Name of the \\[sources.NAME] table that says how to read SOURCES."),
    verdicts: Path | None = typer.Option(None, help="NDJSON of people's verdicts, each in force from its time on."),
    as_json: bool = JsonOption,
) -> None:
    """Replay records into a home and write what Watchbill would have said at each look."""
    settings = load_config(config) if config else RunConfig(home=home_of(home))
    opened = open_sources(sources, settings, source)
    with stopping() as stop, _shown(sources, quiet=as_json) as telling:
        telling.stop = stop
        ran = replay(
            opened, home_of(home), out, settings.engine, reference=reference or settings.reference,
            limits=settings.records, progress=telling, rules=settings.rules, checkpoint_seconds=settings.checkpoint_seconds,
            verdicts=read_verdicts(verdicts) if verdicts else (),
        )  # fmt: skip
    if as_json:
        print_json(ran.summary | {"finished": ran.finished, "repaired": ran.repaired})
    else:
        _say(ran.summary, out, finished=ran.finished, repaired=ran.repaired)
    if not ran.finished:
        raise typer.Exit(130)


def open_sources(paths: Sequence[str], config: RunConfig, name: str) -> list[Source]:
    """The sources of a command line: paths become one files source, "-" standard input.

    Raises:
        SettingsError: the named table is not in the settings file.
    """
    if name and name not in config.sources:
        raise SettingsError(f"there is no [sources.{name}]", where="--source", todo="name a table of the settings file")
    table: dict[str, Any] = {
        k: v for k, v in config.sources.get(name, {}).items() if k not in {"kind", "paths", "follow"}
    }
    table.setdefault("limits", config.records.model_dump())
    if list(paths) == ["-"]:
        return [open_source(name or "stdin", table | {"kind": "stdin"})]
    if "-" in paths:
        raise SettingsError("standard input stands alone", where="SOURCES", todo="give - or paths, not both")
    for path in paths:
        if not Path(path).exists():
            raise SourceError("there is no such file or folder", where=path, todo="Check the path")
    return [open_source(name or "files", table | {"kind": "files", "paths": list(paths)})]


@contextmanager
def stopping() -> Iterator[Any]:
    """Ctrl-C and SIGTERM ask for a clean stop; a second one is the usual interrupt."""
    asked: list[int] = []

    def ask(number: int, _frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _shown(paths: Sequence[str], *, quiet: bool) -> Iterator[Telling]:
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield Telling(on_phase=lambda text: None if quiet else console.print(text, highlight=False))
        return
    total = sum(_size(Path(path)) for path in paths if path != "-") or None
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[found]}"),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting (kernels compile at the first run)", total=total, found="")

        def on_batch(engine: Engine, positions: dict[str, Any]) -> None:
            done = sum(int(place[0]) for p in positions.values() for place in p.get("files", {}).values())
            rate = sum(engine.counts.kinds.values()) / max(0.001, bar.tasks[task].elapsed or 0.001)
            found = (
                f"{sum(engine.counts.kinds.values()):,} records, {rate:,.0f}/s, {len(engine.pipeline.book.cases)} cases"
            )
            bar.update(task, completed=done if total else None, found=found)

        yield Telling(on_batch=on_batch, on_phase=lambda text: bar.update(task, description=text))


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(inner.stat().st_size for inner in path.rglob("*") if inner.is_file())
    return path.stat().st_size if path.is_file() else 0


def _say(summary: dict[str, Any], out: Path, *, finished: bool, repaired: str | None) -> None:
    console = Console()
    if repaired:
        console.print(f"[yellow]Repaired on start:[/yellow] {repaired}")
    total = sum(summary["records"].values())
    console.print(f"{total:,} records, {summary['looks']:,} looks, {summary['accounts']:,} accounts")
    console.print(f"{summary['seconds']} s, {summary['records_per_second']:,} records/s")
    console.print(f"{summary['cases']} cases, {summary['interventions']} steps, {summary['quarantined']} quarantined")
    console.print(f"ledger height {summary['ledger_height']:,}, root {summary['ledger_root'][:16]}...")
    console.print(f"written to {out}/")
    if not finished:
        console.print("[yellow]Stopped before the end; the same command goes on.[/yellow]")

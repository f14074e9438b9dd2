"""`watchbill assess`: what a day of logs is worth, before anything is learned from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from watchbill.commands.common import JsonOption, home_of, print_json
from watchbill.commands.replay import open_sources
from watchbill.commands.show import percent, say, table, when
from watchbill.runners.config import RunConfig, load_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchbill.inquiry.assess import Assessment
    from watchbill.records.batch import Batch
    from watchbill.sources.base import Source

_GROUPS_SHOWN = 12
_SCREEN_SHOWN = 30


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("assess")(assess_command)


def assess_command(
    sources: list[str] = typer.Argument(..., help="Files, folders, or - for standard input."),
    reference: Path | None = typer.Option(None, help="Folder of reference tables (accounts.csv, outlets.csv ...)."),
    config: Path | None = typer.Option(None, help="Settings file: \\[engine], \\[records] and the source's mapping."),
    source: str = typer.Option("", help="Name of the \\[sources.NAME] table that says how to read SOURCES."),
    mapping: Path | None = typer.Option(None, help="A file with the SQL SELECT that maps the logs."),
    as_json: bool = JsonOption,
) -> None:
    """Read a day of logs and say what works on them, what stays silent, and what is odd about them."""
    settings = load_config(config) if config else RunConfig(home=home_of(None))
    if mapping:
        name = source or "files"
        sql = mapping.read_text(encoding="utf-8")
        settings = RunConfig(
            home=settings.home, reference=settings.reference, engine=settings.engine, records=settings.records,
            sources={**settings.sources, name: {**settings.sources.get(name, {}), "mapping": sql}},
        )  # fmt: skip
        source = name
    said = assessed(open_sources(sources, settings, source), settings, reference or settings.reference, quiet=as_json)
    if as_json:
        print_json(said.to_json())
    else:
        _say(said)


def assessed(sources: list[Source], settings: RunConfig, reference: Path | None, *, quiet: bool = True) -> Assessment:
    """The assessment of sources against a folder of reference tables."""
    from watchbill.context.reference import find_tables, read_table
    from watchbill.inquiry.assess import assess

    engine = settings.engine
    tables = {
        name: read_table(name, path, engine.time_zone, engine.limits.reference_rows_max)
        for name, path in (find_tables(reference) if reference else {}).items()
    }
    console = Console(stderr=True, quiet=quiet)
    with console.status("reading (kernels compile at the first run)") as status:
        return assess(
            _batches(sources), tables, engine, limits=settings.records,
            progress=lambda done: status.update(f"{done:,} records read"),
        )  # fmt: skip


def _batches(sources: list[Source]) -> Iterator[Batch]:
    for source in sources:
        yield from source.read(None, stop=lambda: False)


# --- for people --------------------------------------------------------------------------------------------------------


def _say(said: Assessment) -> None:
    total = sum(said.records.values())
    say(f"{total:,} records, {said.looks:,} looks, {said.accounts:,} accounts, {when(said.first)} to {when(said.last)}")
    kinds = sorted(said.fields)
    names = sorted({name for fields in said.fields.values() for name in fields})
    rows = [(name, *(percent(said.fields[kind].get(name, 0.0)) for kind in kinds)) for name in names]
    table("Fields present (share of the records of a kind)", ("field", *(f"#{kind}" for kind in kinds)), rows)
    joins = [(one.join, one.of, one.found, one.missing or percent(one.share)) for one in said.joins]
    table("Joins", ("join", "#rows", "#found", "#share"), joins)
    table(
        "Detectors",
        ("detector", "state"),
        [(one.id, f"silent: {one.silent}" if one.silent else "works") for one in said.detectors],
    )
    _say_coverage(said)
    _say_roster(said.roster)
    table(
        "Clock",
        ("what", "#records"),
        [(name.replace("_", " "), count) for name, count in said.clock.items() if name != "latest_ms"],
    )
    if said.quarantine:
        table("Quarantine", ("reason", "#records"), list(said.quarantine.items()))
    screen = [(one.account, one.role, one.looks, "; ".join(one.why)) for one in said.screen[:_SCREEN_SHOWN]]
    if screen:
        table("Screen before learning", ("account", "role", "#looks", "why"), screen)
    say("Findings" if said.findings else "Nothing odd was found.", style="bold")
    for finding in said.findings:
        say(f"  {finding.count:,} {finding.text}", style="yellow")


def _say_coverage(said: Assessment) -> None:
    def row(one: Any) -> tuple[object, ...]:  # noqa: ANN401 - an inquiry.assess.Coverage
        return (one.role, one.outlet or "all", one.accounts, one.looks, percent(one.explained), one.gate)

    columns = ("role", "outlet", "#accounts", "#first looks", "#explained", "gate")
    whole = [row(one) for one in said.coverage if not one.outlet]
    groups = sorted(
        (one for one in said.coverage if one.outlet and one.gate == "closed"), key=lambda one: one.explained or 0.0
    )
    table("Reason coverage (median over accounts)", columns, whole)
    if groups:
        table("Groups whose gate is closed, the lowest first", columns, [row(one) for one in groups[:_GROUPS_SHOWN]])


def _say_roster(roster: dict[str, Any]) -> None:
    if not roster["present"]:
        say("no roster (accounts table)", style="yellow")
        return
    age = "unknown" if roster["age_days"] is None else f"{roster['age_days']} days before the last record"
    say(f"roster: {roster['rows']:,} rows, newest change {age}")
    say(f"  {roster['unknown_accounts']:,} accounts not in it ({percent(roster['unknown_looks_share'])} of looks)")

"""`watchbill trial`: detection judged on worlds whose truth is known, in one table; `trial calibrate` fits the posterior."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from watchbill.commands.common import JsonOption, print_json
from watchbill.commands.replay import stopping
from watchbill.commands.show import say, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from watchbill.lab.trials.plan import Job, Wanted
    from watchbill.lab.trials.run import Telling

CALIBRATION: Final = Path("calibration.json")
_SEEDS = typer.Option("2001-2010", help="1-99 are for tuning, those from 1001 on are judged; never both.")
_DAYS = typer.Option(14, min=2, max=60, help="Days of a world; the first five teach, and do not count.")
_OUTLETS = typer.Option(30, min=3, help="Outlets of a world with attacks.")
_CONTROLS = typer.Option(60, min=0, help="Outlets of a world without attacks, one a seed; 0 = none.")
_SCALE = typer.Option(0.5, min=0.05, max=10, help="Factor on couriers and parcels of an outlet.")
_EXTRA = typer.Option(None, help="Folder of further attack files.", exists=True, file_okay=False)
_SETTINGS = typer.Option(None, help="Settings file; its \\[engine] is what is judged (default: the defaults).")
_JOBS = typer.Option(1, min=1, max=64, help="Worlds at once.")
_RESUME = typer.Option(False, "--resume", help="Go on with the results in --out.")
_KEEP = typer.Option(False, "--keep", help="Keep the worlds (large).")
_MINUTES = typer.Option(10.0, min=0.1, help="An analyst's minutes a case (an assumption).")

trial = typer.Typer(help="Judge detection on made-up carriers whose truth is known.", invoke_without_command=True)


def register(app: typer.Typer) -> None:
    """Add the command and its sub-command."""
    app.add_typer(trial, name="trial")


@trial.callback()
def trial_command(
    context: typer.Context,
    seeds: str = _SEEDS,
    attacks: str = typer.Option("all", help="all, none, or kinds with commas between."),
    stress: str = typer.Option("all", help="all, none, or names of honest stress."),
    days: int = _DAYS,
    outlets: int = _OUTLETS,
    control_outlets: int = _CONTROLS,
    scale: float = _SCALE,
    extra_attacks: Path | None = _EXTRA,
    settings: Path | None = _SETTINGS,
    out: Path = typer.Option(Path("watchbill-trial"), help="Folder for results, tables and the curve."),
    jobs: int = _JOBS,
    resume: bool = _RESUME,
    keep: bool = _KEEP,
    minutes_a_case: float = _MINUTES,
    as_json: bool = JsonOption,
) -> None:
    """Build worlds, replay them, count against the truth, and print the table of gates; Ctrl-C stops, --resume goes on."""
    if context.invoked_subcommand is not None:
        return
    from watchbill.lab.trials.report import report_of, write_report

    wanted = _wanted(seeds, attacks, stress, days, outlets, control_outlets, scale, extra_attacks, settings)
    results = _run(wanted, out, jobs, resume=resume, keep=keep, quiet=as_json)
    report = report_of(results, wanted.settings, minutes_a_case=minutes_a_case)
    names = write_report(out, report)
    if as_json:
        print_json(report)
        return
    _say(report)
    say(f"written to {out}/: {', '.join(names)}")


@trial.command("calibrate")
def calibrate_command(
    seeds: str = typer.Option("1-10", help="Tuned seeds (1-99) only."),
    days: int = _DAYS,
    outlets: int = _OUTLETS,
    control_outlets: int = typer.Option(30, min=0, help="Outlets of a world without attacks, one a seed."),
    scale: float = _SCALE,
    extra_attacks: Path | None = _EXTRA,
    settings: Path | None = _SETTINGS,
    out: Path = typer.Option(Path("watchbill-calibration"), help="Folder for the results."),
    file: Path = typer.Option(CALIBRATION, help="The file to write, for scoring to load."),
    jobs: int = _JOBS,
    resume: bool = _RESUME,
    as_json: bool = JsonOption,
) -> None:
    """Fit the isotonic calibration of the posterior on tuned seeds and write its knots."""
    from watchbill.lab.trials.calibrate import fit, uncalibrated, write_calibration
    from watchbill.lab.trials.seeds import must_be, parse_seeds

    must_be("tuned", parse_seeds(seeds))
    wanted = _wanted(seeds, "all", "none", days, outlets, control_outlets, scale, extra_attacks, settings)
    wanted = replace(wanted, settings=uncalibrated(wanted.settings))
    results = _run(wanted, out, jobs, resume=resume, keep=False, quiet=as_json)
    histograms = [one["scores"] for one in results if "scores" in one]
    raw, posterior = fit(histograms, exp(wanted.settings.risk.prior_log_odds))
    write_calibration(file, wanted.seeds, raw, posterior)
    if as_json:
        print_json({"file": str(file), "seeds": list(wanted.seeds), "knots": len(raw)})
    else:
        say(f"{len(raw)} knots of {len(wanted.seeds)} tuned seeds written to {file}")


def _wanted(
    seeds: str, attacks: str, stress: str, days: int, outlets: int, control_outlets: int, scale: float,
    extra_attacks: Path | None, settings: Path | None,
) -> Wanted:  # fmt: skip
    from watchbill.core.settings import Settings
    from watchbill.lab.trials.calibrate import check_calibration
    from watchbill.lab.trials.plan import Wanted
    from watchbill.lab.trials.seeds import parse_seeds, purpose_of
    from watchbill.runners.config import load_config

    chosen = parse_seeds(seeds)
    purpose_of(chosen)  # refused before anything is built
    engine = load_config(settings).engine if settings else Settings()
    check_calibration(engine)
    return Wanted(
        seeds=tuple(chosen), attacks=attacks, stress=stress, days=days, outlets=outlets, control_outlets=control_outlets,
        scale=scale, extra=extra_attacks, settings=engine,
    )  # fmt: skip


def _run(wanted: Wanted, out: Path, at_once: int, *, resume: bool, keep: bool, quiet: bool) -> list[dict[str, Any]]:
    """All results; a stop leaves what is counted and ends the command."""
    from watchbill.lab.trials.plan import plan_trial
    from watchbill.lab.trials.run import check_folder, result_of, run_jobs

    plan = plan_trial(wanted)
    left = check_folder(out, plan, resume=resume)
    with stopping() as stop, _shown(plan, left, quiet=quiet) as telling:
        telling.stop = stop
        finished = run_jobs(left, out, at_once=at_once, keep=keep, telling=telling)
    if not finished:
        say(f"Stopped; --resume goes on with the results in {out}/.", style="yellow")
        raise typer.Exit(130)
    return [result for job in plan if (result := result_of(out, job)) is not None]


@contextmanager
def _shown(plan: Sequence[Job], left: Sequence[Job], *, quiet: bool) -> Iterator[Telling]:
    """Progress on standard error: a bar in a terminal, else a line a world."""
    from watchbill.lab.trials.run import Telling

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield Telling(
            on_result=lambda job, result: None if quiet else console.print(_line(job, result), highlight=False)
        )
        return
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("worlds"),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=len(plan), completed=len(plan) - len(left))

        def done(job: Job, result: dict[str, Any]) -> None:
            bar.console.print(_line(job, result), highlight=False)
            bar.advance(task)

        yield Telling(on_phase=lambda job, phase: bar.update(task, description=f"{job.name}: {phase}"), on_result=done)


def _line(job: Job, result: dict[str, Any]) -> str:
    attacks = result.get("attacks", [])
    found = f", {sum(one['found'] for one in attacks)} of {len(attacks)} attacks found" if attacks else ""
    return f"{job.name}: {result['records']:,} records{found}"


def _say(report: dict[str, Any]) -> None:
    from watchbill.lab.trials.report import shown

    for one in shown(report):
        table(one.title, one.columns, one.rows)
    for met, words in (("missed", "Gates missed"), ("not available", "Not available")):
        names = [row["name"] for row in report["table"] if row["met"] == met]
        say(f"{words}: {'; '.join(names) if names else 'none'}")

"""The commands that take away: erase (one customer) and retain (by age). Proofs of everything stay valid."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from watchbill.commands.common import HomeOption, JsonOption, print_json
from watchbill.commands.show import ledger_home, say, when

if TYPE_CHECKING:
    from watchbill.runners.erasure import Erased

_DRY = typer.Option(False, "--dry-run", help="Only say what would go.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("erase")(erase_command)
    app.command("retain")(retain_command)


def erase_command(
    subject: str = typer.Argument(..., metavar="SUBJECT-OR-WAYBILL", help="The customer, or the parcel."),
    reason: str = typer.Option(..., help="Why; up to 500 characters that stay in the journal, so name nobody."),
    by: str = typer.Option(..., help="Who ordered it, by a pseudonym that the firm can resolve."),
    force: bool = typer.Option(False, "--force", help="Also while an open case needs the records; that is recorded."),
    forget_state: bool = typer.Option(
        False, "--forget-state", help="Remove the engine's state too; the next start makes it again from the journal."
    ),
    dry_run: bool = _DRY,
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Take one customer out of every record; leaves and proofs stay, and nothing is left to test a guess by. Stop `run` first."""
    from watchbill.runners.clock import SystemClock
    from watchbill.runners.erasure import erase_subject

    clock = SystemClock()
    said = erase_subject(
        ledger_home(home),
        subject,
        reason=reason,
        by=by,
        clock=clock,
        force=force,
        dry_run=dry_run,
        forget_state=forget_state,
    )
    if as_json:
        print_json(asdict(said))
    else:
        _say(said, dry_run=dry_run)


def retain_command(
    older_than: int | None = typer.Option(None, "--older-than", help="Days; at least 180 (default: `retention_days`)."),
    config: Path | None = typer.Option(None, help="Settings file, for its `retention_days` and home."),
    dry_run: bool = _DRY,
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Drop the payloads of days that are over for so long; what open cases need is held. Stop `run` first."""
    from watchbill.runners.clock import SystemClock
    from watchbill.runners.config import RETENTION_DAYS, load_config
    from watchbill.runners.erasure import retain

    read = load_config(config) if config is not None else None
    days = older_than if older_than is not None else read.retention_days if read is not None else RETENTION_DAYS
    place = ledger_home(home if home is not None or read is None else read.home)
    said = retain(place, days, clock=SystemClock(), dry_run=dry_run)
    if as_json:
        print_json({**asdict(said), "days": days})
        return
    say(f"older than {days:,} days, as of {when(SystemClock().now_ms())}")
    _say(said, dry_run=dry_run)


def _say(said: Erased, *, dry_run: bool) -> None:
    word = "would go" if dry_run else "are gone"
    say(f"{said.records:,} payloads {word}; {said.held:,} held for {len(said.cases)} open cases")
    for name in said.left:
        say(f"  the text still stands in {name}: look at it", style="yellow")
    if said.replayed:
        say("  this home replays history: whoever has its first record can test a guess against a leaf", style="yellow")
    if said.height is not None:
        say(f"recorded at height {said.height:,}; `watchbill verify` says how many payloads are gone")

"""`watchbill verdict`: what a person decided about a case, into the journal; through the engine where one is running."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import typer
from pydantic import ValidationError

from watchbill.cases.verdicts import DISMISSALS, KINDS, Verdict
from watchbill.commands.common import HomeOption, JsonOption, print_json
from watchbill.commands.show import ledger_home, say
from watchbill.core.errors import SettingsError
from watchbill.core.settings import fault_of
from watchbill.runners.clock import SystemClock
from watchbill.runners.delivery import deliver, said_now

_REASONS: Final = f"Confirmed: {', '.join(KINDS)}. Dismissed: {', '.join(DISMISSALS)}. Lifted: none is needed."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verdict")(verdict_command)


def verdict_command(
    case: str = typer.Argument(..., metavar="CASE", help="Id of the case, or an account with --account."),
    verdict: str = typer.Argument(..., metavar="VERDICT", help="confirmed, dismissed, or lifted."),
    reason: str = typer.Option("", help=_REASONS),
    by: str = typer.Option(..., help="Who says so, by a pseudonym that the firm can resolve."),
    note: str = typer.Option("", help="Up to 500 characters; it stays in the journal, so no customer's data."),
    account: bool = typer.Option(False, "--account", help="CASE is an account."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Say that a case is confirmed (its step stays until lifted), dismissed (the account is cleared), or settled (lifted)."""
    place = ledger_home(home)
    clock = SystemClock()
    given = {
        ("account" if account else "case"): case, "verdict": verdict, "by": by, "note": note,
        "reason": reason or ("settled" if verdict == "lifted" else ""),
    }  # fmt: skip
    try:
        told = said_now(given, clock, Verdict)
    except ValidationError as error:
        raise SettingsError(fault_of(error), where="verdict", todo=_REASONS) from error
    said = deliver(place, told, clock)
    if as_json:
        print_json(said)
    elif said["in_force"]:
        say(f"{verdict}: in the journal and in force")
    else:
        say("left in the inbox of the home; whoever writes it takes it with the next checkpoint", style="yellow")

"""The command that names the others of a ring: `watchbill ring ACCOUNT [ACCOUNT ...]`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from watchbill.commands.common import HomeOption, JsonOption, print_json
from watchbill.commands.show import ledger_home, percent, say, table, time_ms, when

if TYPE_CHECKING:
    from watchbill.inquiry.rings import Named, Ring


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ring")(ring_command)


def ring_command(
    accounts: list[str] = typer.Argument(..., metavar="ACCOUNT...", help="Accounts of the ring that are known."),
    since: str | None = typer.Option(None, "--from", help="Looks and logins from this time on."),
    until: str | None = typer.Option(None, "--to", help="Looks and logins before this time."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Who else belongs to the ring of these accounts, and why."""
    from watchbill.inquiry.rings import ring

    answer = ring(ledger_home(home), accounts, time_ms(since, "--from"), time_ms(until, "--to"))
    if as_json:
        print_json(answer.to_json())
    else:
        _say(answer)


def _say(answer: Ring) -> None:
    table(
        f"Named beside {', '.join(answer.accounts)}",
        ("account", "#score", "outlet", "from", "until"),
        _rows(answer.named),
    )
    for one in answer.named:
        say(one.account, *(f"  {reason}" for reason in one.reasons))
    if answer.near:
        table("Near, not named", ("account", "#score", "outlet", "from", "until"), _rows(answer.near))
    say(
        f"{len(answer.named):,} accounts named at height {answer.height:,}. A tie is evidence, not a judgement: a person decides."
    )


def _rows(found: list[Named]) -> list[tuple[str, str, str, str, str]]:
    return [(one.account, percent(one.score), one.outlet, when(one.first), when(one.last)) for one in found]

"""The tip line: `watchbill tip add|list|show|access`; nobody has to say who he is, and whoever reads does."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

import typer
from pydantic import ValidationError

from watchbill.cases.tips import ABOUT, Tip
from watchbill.commands.common import HomeOption, JsonOption, print_json
from watchbill.commands.show import ledger_home, say, table, when
from watchbill.core.errors import SettingsError
from watchbill.core.settings import fault_of
from watchbill.runners.clock import SystemClock

_BYTES_MAX: Final = 32_000


def register(app: typer.Typer) -> None:
    """Add the commands."""
    tip = typer.Typer(no_args_is_help=True, help="Tips, with a protected source.")
    for name, command in (
        ("add", add_command),
        ("list", list_command),
        ("show", show_command),
        ("access", access_command),
    ):
        tip.command(name)(command)
    app.add_typer(tip, name="tip")


def add_command(
    about: str = typer.Option("offer", help=f"What it is about: {', '.join(ABOUT)}."),
    outlet: str = typer.Option("", help="Where, if the source wants to say."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Take a tip from standard input (so that no shell keeps it): its words sealed, its day alone kept, nobody recorded."""
    from watchbill.runners.intake import take_tip

    data = sys.stdin.buffer.read(_BYTES_MAX + 1)
    try:
        if len(data) > _BYTES_MAX:
            raise SettingsError("the tip is too long", where="tip add", todo=f"{_BYTES_MAX:,} bytes at most")
        tip = Tip.model_validate({"about": about, "text": data.decode(), "outlet": outlet})
    except UnicodeDecodeError as error:
        raise SettingsError("the tip is no UTF-8 text", where="tip add", todo="Give text") from error
    except ValidationError as error:
        raise SettingsError(fault_of(error), where="tip add", todo=f"about: {', '.join(ABOUT)}") from error
    kept = take_tip(ledger_home(home), tip, SystemClock().now_ms())
    if as_json:
        print_json(asdict(kept))
    else:
        say(f"{kept.id}: thank you. Nobody was recorded.")


def list_command(home: Path | None = HomeOption, as_json: bool = JsonOption) -> None:
    """All tips without their words."""
    from watchbill.runners.intake import tips_of

    held = tips_of(ledger_home(home))
    if as_json:
        print_json({"tips": [asdict(one) for one in held]})
    else:
        table("Tips", ("tip", "day", "about"), [(one.id, when(one.day)[:10], ABOUT[one.about]) for one in held])


def show_command(
    tip: str = typer.Argument(..., metavar="TIP"),
    by: str = typer.Option(..., help="Who reads it, by a pseudonym: it is recorded."),
    why: str = typer.Option(..., help="Why."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """The words of a tip; the reading is recorded first."""
    from watchbill.runners.intake import read_tip

    try:
        held = read_tip(ledger_home(home), tip, {"by": by, "why": why}, SystemClock().now_ms())
    except ValidationError as error:
        raise SettingsError(fault_of(error), where="tip show", todo="Say who reads, and why") from error
    if as_json:
        print_json({"id": tip, **held.model_dump()})
    else:
        say(f"{ABOUT[held.about]}{f', at {held.outlet}' if held.outlet else ''}", held.text)


def access_command(home: Path | None = HomeOption, as_json: bool = JsonOption) -> None:
    """Who read which tip, when and why."""
    from watchbill.runners.intake import access_book

    held = [{"time": entry.time, **entry.said} for entry in access_book(ledger_home(home)).entries()]
    if as_json:
        print_json({"access": held})
    else:
        rows = [(when(one["time"]), one["by"], ", ".join(one["tips"]), one["why"]) for one in held]
        table("Who read tips", ("time", "by", "tip", "why"), rows)

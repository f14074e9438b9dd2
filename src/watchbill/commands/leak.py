"""The commands of leak intake: `watchbill leak add|list|show|handle|attribute`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from pydantic import ValidationError

from watchbill.cases.leaks import ACTS, CHANNELS
from watchbill.commands.attribute import asked_of, said_of, say_answer
from watchbill.commands.common import HomeOption, JsonOption, print_json
from watchbill.commands.show import ledger_home, say, table, time_ms, when
from watchbill.core.errors import SettingsError
from watchbill.core.settings import fault_of
from watchbill.runners.clock import SystemClock

if TYPE_CHECKING:
    from watchbill.runners.intake import TakenIn


def register(app: typer.Typer) -> None:
    """Add the commands."""
    leak = typer.Typer(no_args_is_help=True, help="Leaked lists taken in, with their chain of custody.")
    for name, command in (
        ("add", add_command), ("list", list_command), ("show", show_command), ("handle", handle_command), ("attribute", attribute_command),
    ):  # fmt: skip
        leak.command(name)(command)
    app.add_typer(leak, name="leak")


def add_command(
    file: Path = typer.Argument(..., metavar="FILE", help="The list as it was found."),
    channel: str = typer.Option(..., help=f"Where it turned up: {', '.join(CHANNELS)}."),
    finder: str = typer.Option(..., help="Who found it, by a pseudonym that the firm can resolve."),
    by: str = typer.Option(..., help="Who takes it in, by a pseudonym."),
    legal_basis: str = typer.Option(..., help="On what ground the firm holds it."),
    price: float | None = typer.Option(None, help="Yuan asked or paid for it."),
    found: str | None = typer.Option(None, help="When it was found (default: now)."),
    out: str | None = typer.Option(None, help="When it was out at the latest: looks after that count for nobody."),
    note: str = typer.Option("", help="Up to 500 characters, no customer's data."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:  # fmt: skip
    """Take a leaked list in: a sealed copy, its hash, where it came from."""
    from watchbill.runners.intake import take_leak

    now = SystemClock().now_ms()
    when_found = time_ms(found, "--found")
    said: dict[str, Any] = {
        "channel": channel, "finder": finder, "by": by, "legal_basis": legal_basis, "price_yuan": price, "note": note,
        "found": now if when_found is None else when_found, "out": time_ms(out, "--out"),
    }  # fmt: skip
    place = ledger_home(home)
    try:
        taken = take_leak(place, file, said, now)
    except ValidationError as error:
        raise SettingsError(fault_of(error), where="leak add", todo=f"channels: {', '.join(CHANNELS)}") from error
    _answer(taken, as_json=as_json)


def list_command(home: Path | None = HomeOption, as_json: bool = JsonOption) -> None:
    """All leaks."""
    from watchbill.runners.intake import leaks_of

    held = leaks_of(ledger_home(home))
    if as_json:
        print_json({"leaks": [one.to_json() for one in held]})
        return
    rows = [
        (one.leak.id, when(one.leak.found), one.leak.channel, "" if one.leak.price_yuan is None else f"{one.leak.price_yuan:,.0f}",
         f"{one.leak.bytes:,}", one.chain[-1][1].act if one.chain else "")
        for one in held
    ]  # fmt: skip
    table("Leaks", ("leak", "found", "channel", "#yuan", "#bytes", "last"), rows)


def show_command(
    leak: str = typer.Argument(..., metavar="LEAK"), home: Path | None = HomeOption, as_json: bool = JsonOption
) -> None:
    """One leak with its chain of custody."""
    from watchbill.runners.intake import find_leak

    _answer(find_leak(ledger_home(home), leak), as_json=as_json)


def handle_command(
    leak: str = typer.Argument(..., metavar="LEAK"),
    act: str = typer.Argument(..., help=f"What happened: {', '.join(ACTS)}."),
    by: str = typer.Option(..., help="Who did it, by a pseudonym."),
    to: str = typer.Option("", help="To whom."),
    note: str = typer.Option("", help="Up to 500 characters."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Add a step to a leak's chain of custody."""
    from watchbill.runners.intake import find_leak, handle_leak

    place = ledger_home(home)
    try:
        handle_leak(place, {"leak": leak, "act": act, "by": by, "to": to, "note": note}, SystemClock().now_ms())
    except ValidationError as error:
        raise SettingsError(fault_of(error), where="leak handle", todo=f"acts: {', '.join(ACTS)}") from error
    _answer(find_leak(place, leak), as_json=as_json)


def attribute_command(
    leak: str = typer.Argument(..., metavar="LEAK"),
    by: str = typer.Option(..., help="Who asks, by a pseudonym: it goes into the chain of custody."),
    fields: str = typer.Option("", help="Fields that it holds (name, phone, address, id_number)."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Who leaked it, from the sealed copy; looks after it was out (else found) count for nobody."""
    from watchbill.inquiry.attribute import attribute
    from watchbill.inquiry.leaklist import BY, parse_leak
    from watchbill.runners.intake import find_leak, handle_leak, leaked_bytes

    place = ledger_home(home)
    held = find_leak(place, leak).leak
    data = leaked_bytes(place, held)
    try:
        handle_leak(place, {"leak": leak, "act": "analysed", "by": by, "note": "attribution"}, SystemClock().now_ms())
    except ValidationError as error:
        raise SettingsError(fault_of(error), where="leak attribute", todo="Say --by") from error
    read = parse_leak(data, leak)
    answer = attribute(place, read, asked_of(",".join(BY), fields, held.found if held.out is None else held.out))
    if as_json:
        print_json(answer.to_json() | {"list": said_of(read), "leak": leak})
    else:
        say_answer(answer)


def _answer(taken: TakenIn, *, as_json: bool) -> None:
    if as_json:
        print_json(taken.to_json())
        return
    leak = taken.leak
    price = "unknown" if leak.price_yuan is None else f"{leak.price_yuan:,.0f} yuan"
    say(f"{leak.id}: {CHANNELS[leak.channel]}, price {price}", style="bold")
    say(
        f"found {when(leak.found)} by {leak.finder}, taken in {when(taken.taken)} by {leak.by}; ground: {leak.legal_basis}"
    )
    say(f"{leak.bytes:,} bytes, SHA-256 {leak.sha256}")
    rows = [(when(time), step.act, step.by, step.to, step.note) for time, step in taken.chain]
    table("Chain of custody", ("time", "what", "by", "to", "note"), rows)

"""Parties of a case outside the roster: `watchbill case party add|list` (mounted by `query.py`)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import typer
from pydantic import ValidationError

from watchbill.cases.parties import LINKS, ROLES, TARGETS, Party, link_of, missing
from watchbill.cases.sheet import row_named
from watchbill.commands.common import HomeOption, JsonOption, print_json
from watchbill.commands.show import ledger_home, read_lines, say, table
from watchbill.core.errors import NotFoundError, SettingsError
from watchbill.core.settings import fault_of
from watchbill.runners.clock import SystemClock


def party_app() -> typer.Typer:
    """The commands below `watchbill case party`."""
    app = typer.Typer(no_args_is_help=True, help="Parties of a case that no roster holds.")
    app.command("add")(add_command)
    app.command("list")(list_command)
    return app


def add_command(
    case: str = typer.Argument(..., metavar="CASE"),
    role: str = typer.Option(..., help=f"What it is to the case: {', '.join(ROLES)}."),
    name: str = typer.Option(..., help="A pseudonym that the firm can resolve, never a person's name."),
    by: str = typer.Option(..., help="Who says so, by a pseudonym."),
    link: list[str] = typer.Option([], help=f"KIND:SORT:WHICH. Kinds: {', '.join(LINKS)}. Sorts: {', '.join(TARGETS)}."),
    party: str = typer.Option("", "--id", help="Of a party named before, to say more of it."),
    note: str = typer.Option("", help="Up to 500 characters, no customer's data."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:  # fmt: skip
    """Name an intermediary, an up-line, a buyer, and what ties it to accounts and others."""
    from watchbill.runners.intake import add_party, parties_of

    place = ledger_home(home)
    files = _files(place, case)
    said = {
        "id": party or "p" + hashlib.sha256(f"{case} {name}".encode()).hexdigest()[:8], "case": case, "role": role, "name": name,
        "by": by, "links": [link_of(one) for one in link], "note": note,
    }  # fmt: skip
    try:
        told = Party.model_validate(said)
    except ValidationError as error:
        raise SettingsError(
            fault_of(error), where="case party add", todo="`watchbill case party add --help` has the words"
        ) from error
    if party and party not in {one.id for one in parties_of(place, files)}:
        raise NotFoundError(
            "there is no such party in this case", where="--id", todo="`watchbill case party list` has them"
        )
    add_party(place, told, SystemClock().now_ms())
    if as_json:
        print_json(told.model_dump())
    else:
        say(f"{told.id}: {ROLES[told.role]}")


def _files(home: Path, case: str) -> list[str]:
    """The ids under which parties of a case may stand: its own, and of the cases that became part of it."""
    row = row_named(read_lines(home / "cases.ndjson"), case, "case party")
    return [row["id"], *row.get("merged", ())]


def list_command(
    case: str = typer.Argument("", metavar="CASE", help="One case; all when left out."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """The parties of a case, with what ties them."""
    from watchbill.runners.intake import parties_of

    place = ledger_home(home)
    held = parties_of(place, _files(place, case) if case else ())
    if as_json:
        print_json({"parties": [one.model_dump() for one in held], "missing": missing(held)})
        return
    rows = [
        (one.case, one.id, one.role, one.name, "; ".join(f"{LINKS[tie.kind]} {tie.sort} {tie.to}" for tie in one.links))
        for one in held
    ]
    table("Parties", ("case", "party", "role", "name", "ties"), rows)
    if missing(held):
        say(f"named in a link and described by nobody: {', '.join(missing(held))}", style="yellow")

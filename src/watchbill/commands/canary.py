"""The commands of canaries: `watchbill canary make|place|rotate|list|retire|mark`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from watchbill.commands.common import HomeOption, JsonOption, print_json
from watchbill.commands.show import ZONE, ledger_home, say, table, when
from watchbill.core.errors import SettingsError
from watchbill.ledger.files import read_mark
from watchbill.ledger.keys import is_seeded
from watchbill.runners.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchbill.inquiry.canaries import Canary

_ZONE: Final = ZONE.key
_GIVEN_BYTES_MAX: Final = 1 << 20
_FOLDER = typer.Option(..., "--reference", help="The reference folder that the engine reads (its canaries.csv).")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    canary = typer.Typer(no_args_is_help=True, help="Invented customers and parcels that no honest work leads to.")
    for name, command in (
        ("make", make_command), ("place", place_command), ("rotate", rotate_command), ("list", list_command), ("retire", retire_command),
        ("mark", mark_command),
    ):  # fmt: skip
        canary.command(name)(command)
    app.add_typer(canary, name="canary")


def make_command(
    number: int = typer.Argument(0, help="How many."),
    kind: str = typer.Option("waybill", help="waybill or subject."),
    given: Path | None = typer.Option(None, help="A file of values to take, one a line: phones that the firm owns."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Make canaries like the ledger's own numbers; they alarm once they are placed."""
    from watchbill.inquiry.canaries import make

    values = _given(given) if given is not None else []
    _answer(make(ledger_home(home), kind, number, _now(ledger_home(home)), values), as_json=as_json)


def _now(home: Path) -> int:
    """The moment of a home: of a replay of history its last record's, else the clock's."""
    mark = read_mark(home)
    return mark.arrival if is_seeded(home) and mark is not None else SystemClock().now_ms()


def _given(path: Path) -> list[str]:
    with path.open("rb") as file:
        data = file.read(_GIVEN_BYTES_MAX + 1)
    if len(data) > _GIVEN_BYTES_MAX:
        raise SettingsError("is too long", where=path.name, todo="One value a line, a megabyte at most")
    try:
        return data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise SettingsError("is no UTF-8 text", where=path.name, todo="One value a line") from error


def place_command(
    folder: Path = _FOLDER,
    note: str = typer.Option("", help="Where they are, for the record."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Put what was made into the reference table; the engine takes it with its next reload."""
    from watchbill.inquiry.canaries import place

    _answer(place(ledger_home(home), folder, _now(ledger_home(home)), _ZONE, note[:200]), as_json=as_json)


def rotate_command(
    folder: Path = _FOLDER,
    days: int = typer.Option(30, min=1, max=3650, help="Those placed longer ago get a new one beside them."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Place new canaries for old ones; the old ones go on alarming."""
    from watchbill.inquiry.canaries import rotate

    _answer(rotate(ledger_home(home), folder, _now(ledger_home(home)), _ZONE, days), as_json=as_json)


def list_command(home: Path | None = HomeOption, as_json: bool = JsonOption) -> None:
    """All canaries: made, placed, retired."""
    from watchbill.inquiry.canaries import canaries_of

    _answer(canaries_of(ledger_home(home)), as_json=as_json)


def retire_command(
    values: list[str] = typer.Argument(..., help="Canaries whose numbers are given out after all."),
    folder: Path = _FOLDER,
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Take canaries out of the reference table."""
    from watchbill.inquiry.canaries import canaries_of, retire

    place = ledger_home(home)
    retire(place, folder, values, _now(place), _ZONE)
    _answer([one for one in canaries_of(place) if one.value in values], as_json=as_json)


def mark_command(
    account: str = typer.Argument(..., help="The account that looks."),
    customer: str = typer.Argument(..., help="The customer (or parcel) as records name it."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """The virtual extension that this account is to be shown for this customer (setting `mark_digits`)."""
    from watchbill.inquiry.inforce import settings_at
    from watchbill.inquiry.marks import DIGITS, key_of, mark_of
    from watchbill.ledger.reader import Ledger

    place = ledger_home(home)
    digits = settings_at(place, Ledger(place).height).inquiry.mark_digits
    if digits < DIGITS[0]:
        raise SettingsError(
            "marks are off", where="inquiry.mark_digits",
            todo=f"Set it to {DIGITS[0]}-{DIGITS[1]} where the system that shows phones can show virtual extensions",
        )  # fmt: skip
    mark = mark_of(key_of(place), account, customer, digits)
    if as_json:
        print_json({"account": account, "customer": customer, "mark": mark})
    else:
        say(mark)


def _answer(canaries: Sequence[Canary], *, as_json: bool) -> None:
    if as_json:
        print_json({"canaries": [asdict(one) for one in canaries]})
        return
    rows = [(one.kind, one.value, when(one.made), _when(one.placed), _when(one.retired), one.note) for one in canaries]
    table("Canaries", ("kind", "value", "made", "placed", "retired", "note"), rows)
    say(f"{len(rows):,} canaries")


def _when(moment: int | None) -> str:
    return "" if moment is None else when(moment)

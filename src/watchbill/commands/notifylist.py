"""The commands about persons: notify-list (who is to be told), told, and not-told (decided, with a reason)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import typer

from watchbill.commands.common import HomeOption, JsonOption, print_json
from watchbill.commands.reporting import given, write_out
from watchbill.commands.show import ledger_home, say
from watchbill.core.errors import SettingsError


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("notify-list")(notify_list_command)
    app.command("told")(told_command)
    app.command("not-told")(not_told_command)


def notify_list_command(
    case: str = typer.Argument(..., help="The case's id."),
    out: Path = typer.Option(..., help="The file to write: .csv or .ndjson."),
    channel: str = typer.Option("sms", help="sms, phone, mail, app or notice."),
    by: str = typer.Option(..., help="Who takes the list; the export is recorded."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Write the persons to be told of a case: identifier, fields, first and last look, channel; recorded by its hash."""
    from watchbill.inquiry.caseexposure import exposure
    from watchbill.notices.notify import exported, notice_bytes, notice_rows
    from watchbill.runners.clock import SystemClock

    if out.suffix not in (".csv", ".ndjson"):
        raise SettingsError("is no kind of list", where="--out", todo="End the name in .csv or .ndjson")
    form: Literal["csv", "ndjson"] = "csv" if out.suffix == ".csv" else "ndjson"
    place, name = ledger_home(home), given(by)
    answer = exposure(place, case)
    data = notice_bytes(notice_rows(answer, channel), form)
    said = write_out(out, data)
    row = exported(place, case, answer, channel, data, name, SystemClock().now_ms())
    upper, lower = answer.saw.upper, answer.saw.lower
    said |= {
        "persons": answer.saw.persons,
        "complete": answer.saw.complete,
        "lower": lower,
        "upper": upper,
        "row": row["n"],
    }
    if as_json:
        print_json(said)
        return
    say(f"{said['file']}: {said['persons']:,} persons, sha256 {said['sha256']}")
    if not answer.saw.complete:
        most = "no upper bound" if upper is None else f"at most {upper:,}"
        say(f"not exact: at least {lower:,}, {most}; `watchbill exposure` says what is open", style="yellow")
    say("It holds personal data: give it to those alone who send the notices.")


def told_command(
    case: str = typer.Argument(..., help="The case's id."),
    hash_: str = typer.Option(..., "--list", help="SHA-256 of the list, as notify-list printed it."),
    by: str = typer.Option(..., help="Who says so."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Record that the persons of an exported list were told."""
    from watchbill.notices.notify import told
    from watchbill.runners.clock import SystemClock

    row = told(ledger_home(home), case, hash_, given(by), SystemClock().now_ms())
    if as_json:
        print_json(row)
    else:
        say(f"{case}: {row['persons']:,} persons were told by {row['channel']}")


def not_told_command(
    case: str = typer.Argument(..., help="The case's id."),
    reason: str = typer.Option(
        ..., help="Which measures effectively avoid the harm (PIPL 57); it stands in the report."
    ),
    by: str = typer.Option(..., help="Who decides."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Record the decision not to tell persons, with its reason; the authority reads it and may decide otherwise."""
    from watchbill.notices.facts import case_row
    from watchbill.notices.notify import not_told
    from watchbill.runners.clock import SystemClock

    place = ledger_home(home)
    case_row(place, case)
    row = not_told(place, case, reason, given(by), SystemClock().now_ms())
    if as_json:
        print_json(row)
    else:
        say(f"{case}: persons are not told, decided by {row['by']}")

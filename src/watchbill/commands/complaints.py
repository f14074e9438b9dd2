"""The command that attributes scam complaints as they come: `watchbill complaints`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from watchbill.commands.attribute import say_answer
from watchbill.commands.common import HomeOption, JsonOption, print_json
from watchbill.commands.show import ledger_home, percent, say, table, time_ms, when

if TYPE_CHECKING:
    from watchbill.inquiry.complaints import Complained


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("complaints")(complaints_command)


def complaints_command(
    until: str | None = typer.Option(None, "--to", help="Complaints before this time (default: the last record)."),
    days: float | None = typer.Option(None, min=0.01, max=3650, help="Length of the window (default: `complaint_days`)."),
    past: bool = typer.Option(False, "--past", help="List the findings of the past instead."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:  # fmt: skip
    """Whom the scam complaints of the last weeks point at, by looks and by custody; new findings are written down."""
    from watchbill.inquiry.complaints import book_of, complained

    place = ledger_home(home)
    if past:
        _say_past(
            [{"time": one.time, "kind": one.kind, **one.said} for one in book_of(place).entries()], as_json=as_json
        )
        return
    answer = complained(place, time_ms(until, "--to"), days)
    if as_json:
        print_json(answer.to_json())
    else:
        _say(answer)


def _say(found: Complained) -> None:
    say(
        f"{found.complaints:,} complaints of {found.customers:,} customers from {when(found.since)} to {when(found.until)}"
    )
    say_answer(found.answer)
    for row in found.findings:
        new = "new: " if row["who"] in found.fresh else ""
        say(
            f"finding: {new}{row['who']}, {percent(row['posterior'])}, {row['complainants']:,} complainants",
            style="bold",
        )


def _say_past(rows: list[dict[str, object]], *, as_json: bool) -> None:
    if as_json:
        print_json({"findings": rows})
        return
    lines = [
        (when(int(str(row["time"]))), row["kind"], row["who"], percent(float(str(row.get("posterior", 0.0))))) for row in rows
    ]  # fmt: skip
    table("Findings by complaints", ("time", "what", "who", "#posterior"), lines)

"""The commands of clocks: grade (a person grades a case, which starts them), clocks, and reviewed (findings in shadow)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from watchbill.commands.common import HomeOption, JsonOption, print_json
from watchbill.commands.reporting import ConfigOption, given, settings_for
from watchbill.commands.show import ledger_home, read_lines, say, table, time_ms, when
from watchbill.core.errors import SettingsError

if TYPE_CHECKING:
    from watchbill.notices.settings import ReportSettings

_HOUR_MS: Final = 3_600_000
_COLORS: Final = {"overdue": "bold red", "late": "yellow"}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("grade")(grade_command)
    app.command("clocks")(clocks_command)
    app.command("reviewed")(reviewed_command)


def grade_command(
    case: str = typer.Argument(..., help="The case's id."),
    level: str = typer.Option(..., help="ordinary, larger, major or especially_major."),
    by: str = typer.Option(..., help="Who grades, by a pseudonym that the firm can resolve."),
    aware: str | None = typer.Option(None, help="Since when the firm knows (default: now); clocks start then."),
    note: str = typer.Option("", help="Why, up to 500 characters; no customer's data."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Grade a case; this starts the clocks of the law, and is recorded with who and when."""
    from watchbill.notices.facts import case_row
    from watchbill.notices.record import append
    from watchbill.notices.settings import LEVELS
    from watchbill.runners.clock import SystemClock

    place, now = ledger_home(home), SystemClock().now_ms()
    case_row(place, case)
    known = time_ms(aware, "--aware")
    if level not in LEVELS:
        raise SettingsError("is no level", where="--level", todo=f"One of {', '.join(LEVELS)}")
    if known is not None and known > now:
        raise SettingsError("lies in the future", where="--aware", todo="Give when the firm came to know")
    if len(note) > 500:  # noqa: PLR2004 - as the help says
        raise SettingsError("is too long", where="--note", todo="At most 500 characters")
    row = append(place, "grade", case, given(by), now, level=level, aware=now if known is None else known, note=note)
    if as_json:
        print_json(row)
    else:
        say(
            f"{case}: graded {level} by {row['by']}, known since {when(row['aware'])}; `watchbill clocks` lists what runs"
        )


def clocks_command(
    every: bool = typer.Option(False, "--all", help="Also those that were met."),
    check: bool = typer.Option(False, "--check", help="Exit 1 when something is overdue, for a scheduler that pages."),
    config: Path | None = ConfigOption,
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Which duties run, until when, whose they are; and what shadow detectors and rules found that nobody reviewed."""
    from watchbill.runners.clock import SystemClock

    said = clocks_said(ledger_home(home), settings_for(config)[1], SystemClock().now_ms(), every=every)
    if as_json:
        print_json(said)
    else:
        _say_clocks(said)
    if check and any(one["state"] == "overdue" for one in [*said["clocks"], *said["shadow"]]):
        raise typer.Exit(1)


def clocks_said(home: Path, settings: ReportSettings, now: int, *, every: bool = False) -> dict[str, Any]:
    """What `clocks` prints as JSON."""
    from watchbill.inquiry.inforce import settings_at
    from watchbill.inquiry.operators import case_lines
    from watchbill.ledger.reader import Ledger
    from watchbill.notices.clocks import clocks_of, shadow_duties
    from watchbill.notices.record import read_record

    record = read_record(home)
    desk = settings_at(home, Ledger(home).height).model_dump().get("shadow_owner", "")
    rows = [one.to_json(now) for one in clocks_of(case_lines(home), record, settings, now) if every or one.done is None]
    found = [row for row in read_lines(home / "findings.ndjson") if row.get("mode") == "shadow"]
    found += read_lines(home / "shadow.ndjson")
    shadow = [one.to_json(now) for one in shadow_duties(found, record, settings, str(desk))]
    return {"now": now, "clocks": rows, "shadow": shadow}


def _say_clocks(said: dict[str, Any]) -> None:
    rows = []
    for one in said["clocks"]:
        left = "" if one["left_ms"] is None else f"{one['left_ms'] / _HOUR_MS:+,.1f} h"
        due = f"{when(one['due'])}{' (at once)' if one['at_once'] else ''}"
        level = f"{one['level']}{' (provisional)' if one['provisional'] else ''}"
        rows.append(
            (one["case"], one["duty"], one["state"], level, due, left, one["owner"] or "NOBODY: [reports] owner")
        )
    table("Clocks", ("case", "duty", "state", "level", "due", "#left", "owner"), rows)
    overdue = sum(one["state"] == "overdue" for one in said["clocks"])
    say(f"{len(rows)} clocks, {overdue} overdue", style=_COLORS["overdue"] if overdue else "")
    if said["shadow"]:
        held = [(o["name"], o["hits"], when(o["oldest"]), when(o["due"]), o["state"], o["owner"] or "NOBODY: [reports] shadow_owner") for o in said["shadow"]]  # fmt: skip
        table("Found in shadow, not reviewed", ("rule or detector", "#hits", "oldest", "due", "state", "owner"), held)


def reviewed_command(
    name: str = typer.Argument(..., metavar="NAME", help="The rule or detector, as `watchbill clocks` names it."),
    by: str = typer.Option(..., help="Who looked at its findings."),
    upto: str | None = typer.Option(None, "--to", help="Findings up to this time (default: now)."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Record that somebody looked at what a rule or detector found in shadow."""
    from watchbill.notices.record import append
    from watchbill.runners.clock import SystemClock

    now = SystemClock().now_ms()
    until = time_ms(upto, "--to")
    row = append(
        ledger_home(home), "reviewed", "", given(by), now, field=name[:200], upto=now if until is None else until
    )
    if as_json:
        print_json(row)
    else:
        say(f"{name}: findings up to {when(row['upto'])} are reviewed")

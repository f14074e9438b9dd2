"""The commands that split an account between its owner and somebody else: operators, exposure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from watchbill.commands.common import HomeOption, JsonOption, print_json
from watchbill.commands.show import ledger_home, percent, say, table, time_ms, when

if TYPE_CHECKING:
    from watchbill.inquiry.caseexposure import CaseExposure
    from watchbill.inquiry.operators import Judged, Operators

_SUBJECTS_SHOWN = 50
_REASONS_SHOWN = 3


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("operators")(operators_command)
    app.command("exposure")(exposure_command)


def operators_command(
    account: str = typer.Argument(..., help="The account (work number)."),
    since: str | None = typer.Option(None, "--from", help="Sessions from this time on (RFC 3339, date or epoch ms)."),
    until: str | None = typer.Option(None, "--to", help="Sessions before this time."),
    height: int | None = typer.Option(None, "--at", help="Answer as of this height of the journal."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Who sat there: per session, the probability that it was the owner at his own work. An estimate."""
    from watchbill.inquiry.operators import operators_of, to_json

    answer = operators_of(ledger_home(home), account, time_ms(since, "--from"), time_ms(until, "--to"), height)
    if as_json:
        print_json(to_json(answer))
    else:
        _say_operators(answer)


def _say_operators(answer: Operators) -> None:
    rows = [
        (
            one.session or "-",
            one.device or "-",
            when(one.first),
            when(one.last),
            one.looks,
            one.unexplained,
            _owner(one),
            _why(one),
        )
        for one in answer.judged
    ]
    head = ("session", "device", "first", "last", "#looks", "#unexplained", "owner", "why (nats)")
    table(f"Who sat at {answer.account}", head, rows)
    say(f"{len(rows):,} sessions at height {answer.height:,}; the probability is an estimate, never a proof")


def _owner(one: Judged) -> str:
    return "cannot tell" if one.owner is None else percent(one.owner)


def _why(one: Judged) -> str:
    from watchbill.inquiry.operators import WHY_NOT

    if one.cannot_tell:
        return WHY_NOT[one.cannot_tell][0]
    told = [reason for reason in one.reasons if reason.trait != "prior"][:_REASONS_SHOWN]
    return "; ".join(f"{reason.nats:+.1f} {reason.text_en}" for reason in told)


def exposure_command(
    case: str = typer.Argument(..., help="The case's id, as `watchbill cases` lists it."),
    all_sessions: bool = typer.Option(False, "--all-sessions", help="Leave nothing out: the owner's own work too."),
    height: int | None = typer.Option(None, "--at", help="Answer as of this height of the journal."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Whose data a case exposed: what its wrongful operator saw, with bounds and a hash of the list."""
    from watchbill.inquiry.caseexposure import exposure

    answer = exposure(ledger_home(home), case, all_sessions=all_sessions, upto=height)
    if as_json:
        print_json(answer.to_json())
    else:
        _say_exposure(answer)


def _say_exposure(answer: CaseExposure) -> None:
    saw = answer.saw
    rows = [
        (s.subject, ", ".join(s.fields), when(s.first), when(s.last), s.times) for s in saw.subjects[:_SUBJECTS_SHOWN]
    ]
    table(f"What case {answer.case} exposed", ("customer", "fields", "first", "last", "#looks"), rows)
    if len(saw.subjects) > _SUBJECTS_SHOWN:
        say(f"... and {len(saw.subjects) - _SUBJECTS_SHOWN:,} more customers (--json lists all)")
    held = answer.sessions
    say(
        f"{saw.persons:,} persons, {saw.items:,} items, {saw.complete_records:,} complete records, {saw.times:,} looks",
        f"sessions: {held['listed']:,} of the other operator, {held['between']:,} between, {held['out']:,} of the owner",
    )
    if saw.complete:
        say(f"exact at height {saw.height:,}")
    else:
        most = "no upper bound" if saw.upper is None else f"at most {saw.upper:,}"
        say(f"not exact at height {saw.height:,}: {saw.lower:,} persons listed, {most}")
    for gap in saw.gaps:
        persons = "" if gap.persons is None else f", up to {gap.persons:,} persons"
        say(f"  open: {gap.text} ({gap.looks:,} looks{persons})", style="yellow")
    say(f"hash {answer.hash}")

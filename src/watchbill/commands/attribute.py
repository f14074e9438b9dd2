"""The command that attributes a leaked list: `watchbill attribute FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from watchbill.commands.common import HomeOption, JsonOption, print_json
from watchbill.commands.show import ledger_home, percent, say, table, time_ms, when
from watchbill.core.errors import SettingsError

if TYPE_CHECKING:
    from watchbill.inquiry.attribute import Attribution
    from watchbill.inquiry.leakhits import Asked
    from watchbill.inquiry.leaklist import LeakList

_A_PERCENT: Final = 0.01
_OUTCOMES: Final = {
    "named": "named: {named}",
    "set": "no name: one of a set",
    "custody": "custody, not screen: somebody who had the parcels need not have looked",
    "nobody": "nobody here: noise, another firm's list, or a source that leaves no log",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("attribute")(attribute_command)


def attribute_command(
    file: Path = typer.Argument(..., metavar="FILE", help="The list: CSV, NDJSON or text, as it turned up."),
    before: str | None = typer.Option(None, "--before", help="Looks before this time only: when the list was out."),
    by: str = typer.Option("waybill,subject", help="What its records may name: waybill, subject."),
    fields: str = typer.Option("", help="Fields that it holds (name, phone, address, id_number): only looks that showed one."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:  # fmt: skip
    """Who leaked this list, how sure, and what would settle it."""
    from watchbill.inquiry.attribute import attribute
    from watchbill.inquiry.leaklist import read_leak

    asked = asked_of(by, fields, time_ms(before, "--before"))
    leak = read_leak(file)
    answer = attribute(ledger_home(home), leak, asked)
    if as_json:
        print_json(answer.to_json() | {"list": said_of(leak)})
    else:
        _say(answer, leak)


def asked_of(by: str, fields: str, before: int | None) -> Asked:
    """What the options mean.

    Raises:
        SettingsError: a word is none of those known.
    """
    from watchbill.inquiry.leakhits import Asked
    from watchbill.inquiry.leaklist import BY
    from watchbill.inquiry.sightrows import FIELD_BITS

    names = tuple(one.strip() for one in by.split(",") if one.strip())
    if not names or set(names) - set(BY):
        raise SettingsError("names none of its kinds", where="--by", todo=f"of: {', '.join(BY)}")
    bits = 0
    for one in filter(None, (part.strip() for part in fields.split(","))):
        if one not in FIELD_BITS:
            raise SettingsError(
                "names a field that is not known", where="--fields", todo=f"of: {', '.join(FIELD_BITS)}"
            )
        bits |= FIELD_BITS[one]
    return Asked(names, before, bits)


def said_of(leak: LeakList) -> dict[str, object]:
    """How the list was read, as JSON."""
    return {
        "sha256": leak.digest, "bytes": leak.bytes, "lines": leak.lines, "records": len(leak.items),
        "duplicates": leak.duplicates, "unread": leak.unread, "unread_lines": leak.unread_lines,
    }  # fmt: skip


def _say(answer: Attribution, leak: LeakList) -> None:
    read = f"{leak.lines:,} lines, {len(leak.items):,} records, {leak.duplicates:,} duplicates"
    say(f"{read}; {answer.matched:,} of {answer.size:,} are known here")
    for why, lines in leak.unread.items():
        say(f"  not read: {lines:,} lines, {why}", style="yellow")
    say_answer(answer)


def say_answer(answer: Attribution) -> None:
    """An attribution for people, the list apart."""
    rows = [
        (one.account, percent(one.posterior), one.hits, one.unique_hits, one.held, one.customers, when(one.first), when(one.last))
        for one in answer.ranking
    ]  # fmt: skip
    head = ("account", "#posterior", "#saw", "#alone", "#held", "#customers", "first", "last")
    table("Who could have leaked it", head, rows)
    holders = [
        (one.kind, one.holder, percent(one.posterior), one.hits)
        for one in answer.holders
        if one.posterior >= _A_PERCENT
    ]
    if holders:
        table("Who had the parcels", ("kind", "who", "#posterior", "#records"), holders)
    say(f"nobody here {percent(answer.nobody)}, custody {percent(answer.custody)}")
    say(_OUTCOMES[answer.outcome].format(named=", ".join(answer.named)), style="bold")
    for one in answer.groups:
        say(f"somebody of {one.kind} {one.holder}, or several there: {percent(one.posterior)}, {one.hits:,} records")
    if answer.set:
        say(f"the set: {', '.join(answer.set)}")
    if answer.canaries:
        seen = ", ".join(answer.canaries_seen_by) or "nobody: who has the data has it without looking"
        say(f"{answer.canaries:,} canaries are in it; looked at by {seen}", style="bold")
    if answer.made_after is not None:
        say(f"made after {when(answer.made_after)}")
    for text in answer.settle_with:
        say(f"  would settle it: {text}")
    for gap in answer.gaps:
        say(f"  open: {gap}", style="yellow")
    say(f"at height {answer.height:,}. A lead, not a judgement: a person decides.")

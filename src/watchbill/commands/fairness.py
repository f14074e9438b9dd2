"""The commands that a person is owed: `watchbill case tell`, `case appeal`, `case explain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import typer

from watchbill.cases.acts import PERSON, Appeal, Tell
from watchbill.cases.explain import explanation
from watchbill.cases.notice import notice
from watchbill.commands.casework import (
    ByOption,
    CaseArgument,
    ConfigOption,
    NoteOption,
    history_of,
    tell_engine,
    url_in,
)
from watchbill.commands.common import HomeOption, JsonOption, group, print_json
from watchbill.commands.query import case_of
from watchbill.commands.show import ledger_home, say, time_ms, when
from watchbill.core.errors import NotFoundError, SettingsError

AccountOption = typer.Option("", "--account", help="Which person, where the case has several accounts.")
_DECIDE: Final = "decide"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    one = group(app, "case", "One case.")
    one.command("tell")(tell_command)
    one.command("appeal")(appeal_command)
    one.command("explain")(explain_command)


def person_of(row: dict[str, Any], account: str) -> dict[str, Any]:
    """The person of a case; the only one where no account is named.

    Raises:
        SettingsError: the case has several, or none. NotFoundError: the account is not in it.
    """
    people = row.get("people", [])
    if not account:
        if len(people) != 1:
            what = "the case has several accounts" if people else "the case is of a device; no person was interrupted"
            raise SettingsError(what, where="--account", todo="Name the account")
        return dict(people[0])
    for person in people:
        if person["account"] == account:
            return dict(person)
    raise NotFoundError(
        "that account is not in the case", where="--account", todo="`watchbill case show CASE` lists them"
    )


def notice_of(home: Path, case: str, account: str) -> tuple[dict[str, Any], dict[str, str]]:
    """(person, {"en", "zh"}): what one interrupted person of a case is to be told, by the settings in force."""
    from watchbill.inquiry.inforce import settings_at

    row = case_of(home, case)
    person, settings = person_of(row, account), settings_at(home, row["height"])
    rules = settings.cases
    text = notice(row, person, zone=settings.time_zone, appeal_hours=rules.appeal_hours, contact=rules.appeal_contact)
    return person, text


def tell_command(
    case: str = CaseArgument,
    account: str = AccountOption,
    by: str = typer.Option("", "--by", help="Who tells, or decides to tell later, by a pseudonym."),
    to: str = typer.Option(PERSON, "--to", help="Who is told, if it is not the person: a manager, a system."),
    channel: str = typer.Option("", "--channel", help="How: talk, mail, chat ..."),
    delay: bool = typer.Option(False, "--delay", help="Record the decision to tell the person later."),
    role: str = typer.Option("", "--role", help="Of a delay: the role that may decide it."),
    reason: str = typer.Option("", "--reason", help="Of a delay: why."),
    until: str | None = typer.Option(None, "--until", help="Of a delay: until when, at most 30 days from now."),
    show: bool = typer.Option(False, "--show", help="Print the notice and record nothing."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """The notice for an interrupted person, recorded as told; or the recorded decision to tell later."""
    place = ledger_home(home)
    person, text = notice_of(place, case, account)
    if show:
        print_json({"case": case, "account": person["account"], **text}) if as_json else say(text["zh"], "", text["en"])
        return
    given: dict[str, Any] = {"case": case, "account": person["account"], "by": by}
    if delay:
        given |= {"act": "delayed", "role": role, "reason": reason, "until": time_ms(until, "--until") or 0}
        tell_engine(home, given, Tell, as_json=as_json, done="the person is told later")
        return
    given |= {"act": "told", "to": to, "channel": channel, "role": role, "reason": reason}
    given |= {"text_zh": text["zh"], "text_en": text["en"], "until": time_ms(until, "--until") or 0}
    if not as_json:
        say(text["zh"], "", text["en"], "")
    tell_engine(home, given, Tell, as_json=as_json, done="told")


def appeal_command(
    words: list[str] = typer.Argument(..., metavar="[open|decide] CASE", help="Open an appeal (default) or decide it."),
    account: str = AccountOption,
    by: str = ByOption,
    to: str = typer.Option(
        "", "--to", help="Who is to decide; empty: somebody of appeal_reviewers who did not confirm."
    ),
    uphold: bool = typer.Option(
        False, "--uphold", help="The person is right: as dismissed, and everyone told is corrected."
    ),
    reject: bool = typer.Option(False, "--reject", help="The appeal fails; --note says why, to the person."),
    reason: str = typer.Option("wrong", "--reason", help="Of one that is upheld: a typed reason of a dismissal."),
    note: str = NoteOption,
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Bring an appeal for a person, or decide one; somebody else decides than who confirmed."""
    what, case = _words(words)
    deciding = uphold or reject
    if deciding != (what == _DECIDE) or (uphold and reject):
        todo = "Write `case appeal CASE --by`, or `case appeal decide CASE --by` with --uphold or --reject"
        raise SettingsError("one of --uphold and --reject goes with decide", where="case appeal", todo=todo)
    given: dict[str, Any] = {"case": case, "account": account, "by": by, "note": note}
    if not deciding:
        tell_engine(home, given | {"act": "open", "to": to}, Appeal, as_json=as_json, done="appeal opened")
    elif uphold:
        given |= {"act": "uphold", "reason": reason, "to": to}
        tell_engine(home, given, Appeal, as_json=as_json, done="appeal upheld")
    else:
        tell_engine(home, given | {"act": "reject", "to": to}, Appeal, as_json=as_json, done="appeal rejected")


def _words(words: list[str]) -> tuple[str, str]:
    if len(words) == 1:
        return "open", words[0]
    if len(words) == 2 and words[0] in {"open", _DECIDE}:  # noqa: PLR2004 - two words
        return words[0], words[1]
    raise SettingsError("is not open or decide and a case", where="case appeal", todo="Write `case appeal decide CASE`")


def explain_command(
    case: str = CaseArgument,
    account: str = AccountOption,
    out: Path | None = typer.Option(None, "--out", help="Write it as JSON to this file, which must not be there yet."),
    config: Path | None = ConfigOption,
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """The explanation that a person may ask for: every step, why, what spoke for them, who looked, what was decided."""
    place = ledger_home(home)
    row = case_of(place, case)
    person = person_of(row, account)
    said = explanation(row, person, history_of(place, case, url_in(config)), row["height"])
    if out is not None:
        with out.open("x", encoding="utf-8") as file:
            json.dump(said, file, ensure_ascii=False, indent=1)
    if as_json:
        print_json(said)
    elif out is not None:
        say(f"written to {out}")
    else:
        _say(said)


def _say(said: dict[str, Any]) -> None:
    say(f"Explanation for the work number {said['account']}, case {said['case']}", style="bold")
    for one in said["happened"]:
        why = "; ".join(reason["text_en"] for reason in one.get("why", []))
        say(f"{when(one['time'])} {one['by']}: {one['text_en']}" + (f" ({why})" if why else ""))
    for one in said["for_person"]:
        say(f"for you: {one['text_en']}")
    say(said["automatic"], f"Not in it: {said['not_in_it']}.")

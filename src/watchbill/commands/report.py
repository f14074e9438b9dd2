"""The commands of reports: what each must contain, what lacks, drafts, entries by people, signing off, the control statement."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from watchbill.commands.common import HomeOption, JsonOption, print_json
from watchbill.commands.reporting import ConfigOption, facts_for, given, write_out
from watchbill.commands.show import ledger_home, say, table, time_ms, when
from watchbill.core.errors import NotFoundError, SettingsError

if TYPE_CHECKING:
    from watchbill.notices.profile import Profile
    from watchbill.notices.wording import Lang

FORMATS: Final = ("html", "pdf", "json")
_CASE: Final = typer.Argument(
    ..., help="The case's id, as `watchbill cases` lists it; `firm` for the firm's documents."
)
_PROFILE: Final = typer.Argument(..., metavar="REPORT", help="Kind of report, as `watchbill report list` names it.")
_STAGE: Final = typer.Option("", help="Of a staged report: first, followup, closing.")
_LANG: Final = typer.Option("zh", help="zh or en.")
_BY: Final = typer.Option(..., help="Who says so, by a pseudonym that the firm can resolve.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    one = typer.Typer(no_args_is_help=True, help="Reports and notices that the law asks for.")
    one.command("list")(list_command)
    one.command("missing")(missing_command)
    one.command("draft")(draft_command)
    one.command("set")(set_command)
    one.command("final")(final_command)
    one.command("show")(show_command)
    one.command("control")(control_command)
    app.add_typer(one, name="report")


def profile_of(name: str) -> Profile:
    """A profile by its id.

    Raises:
        NotFoundError: there is none.
    """
    from watchbill.reports.base import profiles

    found = profiles()
    if name not in found:
        raise NotFoundError("there is no such report", where="report", todo=f"One of {', '.join(found)}")
    return found[name]


def lang_of(text: str) -> Lang:
    """A language.

    Raises:
        SettingsError: it is none that documents are written in.
    """
    if text == "zh":
        return "zh"
    if text == "en":
        return "en"
    raise SettingsError("is no language of documents", where="--lang", todo="zh or en")


def list_command(
    report: str | None = typer.Argument(None, metavar="[REPORT]", help="One kind, with its fields."),
    as_json: bool = JsonOption,
) -> None:
    """The kinds of reports, and what each must contain."""
    from watchbill.notices.profile import describe
    from watchbill.reports.base import profiles

    if report is not None:
        fields = describe(profile_of(report))
        if as_json:
            print_json({"report": report, "fields": fields})
            return
        rows = [
            (one["id"], one["en"], one["article"], one["source"], one["needed"], ", ".join(one["stages"]))
            for one in fields
        ]
        table(profile_of(report).en, ("field", "what", "asked for by", "comes from", "needed", "stages"), rows)
        return
    found = profiles()
    if as_json:
        print_json(
            [
                {"id": name, "en": one.en, "zh": one.zh, "about": one.about, "stages": list(one.stages)}
                for name, one in found.items()
            ]
        )
        return
    table("Reports", ("report", "what", "about"), [(name, one.en, one.about) for name, one in found.items()])


def missing_command(
    case: str = _CASE, report: str = _PROFILE, stage: str = _STAGE, config: Path | None = ConfigOption,
    home: Path | None = HomeOption, as_json: bool = JsonOption,
) -> None:  # fmt: skip
    """What a report still lacks, what asks for it, and where it comes from."""
    from watchbill.notices.profile import fill
    from watchbill.runners.clock import SystemClock

    profile, place = profile_of(report), ledger_home(home)
    document = fill(profile, facts_for(place, case, config), "en", stage, SystemClock().now_ms())
    rows = [
        {
            "field": one.id,
            "what": one.heading,
            "article": one.article,
            "from": _comes_from(profile, one.id),
        }
        for one in document.sections
        if one.missing
    ]
    if as_json:
        print_json({"case": case, "report": report, "stage": document.stage, "missing": rows})
        return
    if not rows:
        say("nothing is missing: `watchbill report final` signs it off", style="green")
        return
    table(f"{report} lacks", ("field", "what", "asked for by", "comes from"), [tuple(row.values()) for row in rows])
    say(
        "settings: [firm] of the settings file; ledger, person: `watchbill report set CASE REPORT FIELD VALUE --by WHO`"
    )


def _comes_from(profile: Profile, name: str) -> str:
    """Where what lacks comes from: a source of its field, `[firm]`, or an earlier stage."""
    if name == "addressee":
        return f"settings: [firm] {profile.to}"
    for one in profile.fields:
        if one.id == name:
            return f"settings: [firm] {one.of}" if one.source == "settings" else one.source
    return "an earlier stage"


def draft_command(
    case: str = _CASE, report: str = _PROFILE, stage: str = _STAGE, lang: str = _LANG,
    form: str = typer.Option("html", "--format", help="html, pdf or json."),
    out: Path | None = typer.Option(None, help="The file to write (default: REPORT.LANG.FORMAT)."),
    config: Path | None = ConfigOption, home: Path | None = HomeOption, as_json: bool = JsonOption,
) -> None:  # fmt: skip
    """Write a draft: what is known, and what lacks in its place."""
    from watchbill.notices.profile import fill
    from watchbill.runners.clock import SystemClock

    if form not in FORMATS:
        raise SettingsError("is no format", where="--format", todo=f"One of {', '.join(FORMATS)}")
    facts = facts_for(ledger_home(home), case, config)
    document = fill(profile_of(report), facts, lang_of(lang), stage, SystemClock().now_ms())
    data = _rendered(document, facts.zone, form)
    said = write_out(out or Path(f"{report}.{lang}.{form}"), data)
    said |= {"number": document.number, "missing": document.missing, "height": facts.height}
    if as_json:
        print_json(said)
        return
    say(f"{said['file']}: draft {document.number}, sha256 {said['sha256']}")
    say(f"{len(document.missing)} fields are missing: {', '.join(document.missing) or 'none'}")


def _rendered(document: Any, zone: str, form: str) -> bytes:  # noqa: ANN401 - a Document; its module is loaded on use
    import json

    from watchbill.notices.html import html_of
    from watchbill.notices.typeset import pdf_of

    if form == "pdf":
        return pdf_of(document, zone)
    if form == "html":
        return html_of(document, zone).encode()
    return (json.dumps(document.to_json(), ensure_ascii=False, indent=1) + "\n").encode()


def set_command(
    case: str = _CASE,
    report: str = typer.Argument(..., metavar="REPORT", help="Kind of report, or `all` for every one of the case."),
    name: str = typer.Argument(..., metavar="FIELD", help="As `watchbill report missing` names it."),
    value: str = typer.Argument(..., help="What it says; no customer's data. Empty takes it back."),
    by: str = _BY,
    lang: str = typer.Option("", help="zh or en; without, it stands in both languages."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Enter what only people know; recorded with who and when, nothing is overwritten."""
    from watchbill.notices.facts import FIRM, case_row
    from watchbill.notices.profile import EVERY, check_entry
    from watchbill.notices.record import append
    from watchbill.reports.base import profiles
    from watchbill.runners.clock import SystemClock

    place = ledger_home(home)
    about = "firm" if case == FIRM else "case"
    chosen = [one for one in profiles().values() if one.about == about] if report == EVERY else [profile_of(report)]
    check_entry(chosen, name, value)
    if case != FIRM:
        case_row(place, case)
    said = {"profile": report, "field": name, "value": value, "lang": lang_of(lang) if lang else ""}
    row = append(place, "set", case, given(by), SystemClock().now_ms(), **said)
    if as_json:
        print_json(row)
    else:
        say(f"{name}: recorded as row {row['n']} ({row['hash'][:12]})")


def final_command(
    case: str = _CASE, report: str = _PROFILE, stage: str = _STAGE, by: str = _BY, config: Path | None = ConfigOption,
    home: Path | None = HomeOption, as_json: bool = JsonOption,
) -> None:  # fmt: skip
    """Sign a report off. Only what lacks nothing becomes final; it is kept in both languages, each file with its hash."""
    from watchbill.notices.final import finalize
    from watchbill.runners.clock import SystemClock

    place = ledger_home(home)
    row = finalize(place, profile_of(report), facts_for(place, case, config), by, SystemClock().now_ms(), stage)
    if as_json:
        print_json(row)
        return
    say(
        f"{report} {row['stage']}".strip() + f": final, signed off by {row['by']} at height {row['height']:,}",
        style="green",
    )
    for file, digest in row["files"].items():
        say(f"  {row['folder']}/{file} sha256 {digest}")
    if row["without_pdf"]:
        say(f"no PDF in {', '.join(row['without_pdf'])}: a font is missing (scripts/install-fonts)", style="yellow")


def show_command(
    case: str = _CASE, report: str = typer.Argument("", metavar="[REPORT]"),
    config: Path | None = ConfigOption, home: Path | None = HomeOption, as_json: bool = JsonOption,
) -> None:  # fmt: skip
    """What was signed off and entered for a case, and how far each report is."""
    from watchbill.notices.final import final_files, finals_of
    from watchbill.notices.profile import fill
    from watchbill.reports.base import profiles

    place = ledger_home(home)
    facts = facts_for(place, case, config)
    finals = finals_of(place, case, report)
    for row in finals:
        final_files(place, row)
    about = "firm" if facts.case is None else "case"
    chosen = {name: one for name, one in profiles().items() if one.about == about and report in ("", name)}
    states: list[dict[str, Any]] = []
    for name, one in chosen.items():
        for stage in one.stages or ("",):
            done = [row for row in finals if (row["profile"], row["stage"]) == (name, stage)]
            lacking = fill(one, facts, "en", stage).missing
            states.append(
                {
                    "report": name,
                    "stage": stage,
                    "final": len(done),
                    "last": done[-1]["time"] if done else None,
                    "missing": lacking,
                }
            )
    entries = [row for row in facts.record if report in ("", row.get("profile", ""), "all")]
    meter = facts.meter.to_json() if facts.meter is not None else None
    if as_json:
        print_json({"case": case, "reports": states, "record": entries, "meter": meter})
        return
    rows = [(one["report"], one["stage"], one["final"], when(one["last"]), ", ".join(one["missing"])) for one in states]
    table(f"Reports of {case}", ("report", "stage", "#final", "signed off", "missing"), rows)
    table(
        "Record",
        ("time", "what", "by", "report", "field"),
        [(when(row["time"]), row["kind"], row["by"], row.get("profile", ""), row.get("field", "")) for row in entries],
    )
    if meter is not None:
        _say_meter(meter)


def _say_meter(meter: dict[str, Any]) -> None:
    rows = [
        (kind, one["low"], "no bound" if one["high"] is None else one["high"], one["threshold"], one["threshold_duty"])
        for kind, one in meter["kinds"].items()
    ]
    table("Criminal tiers (2017 interpretation)", ("kind", "#lower", "#upper", "#threshold", "#duty: half"), rows)
    low, high = meter["tier"]["duty"]
    say(f"obtained through duty: {low} to {high or 'no bound'}; how items are counted is disputed, counsel decides")


def control_command(
    since: str | None = typer.Option(None, "--from", help="From this time on."),
    until: str | None = typer.Option(None, "--to", help="Before this time."),
    height: int | None = typer.Option(None, help="As of this height of the journal."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """How the controls ran: hours enforcing, in shadow, blind; alerts unread; time to the first look."""
    from watchbill.notices.control import control_of

    said = control_of(ledger_home(home), height, time_ms(since, "--from"), time_ms(until, "--to"))
    if as_json:
        print_json(said.to_json())
        return
    say(f"{when(said.since)} to {when(said.until)}: {said.hours:,.1f} hours")
    rows = [(name, f"{getattr(said, name):,.1f}") for name in ("enforcing", "shadow", "blind", "replayed")]
    table("Hours", ("what", "#hours"), rows)
    for name, hours in said.silent.items():
        say(f"  source {name} was silent for {hours:,.1f} hours", style="yellow")
    say(f"{said.cases:,} cases opened, {said.unread:,} unread, {said.unattended:,} suspensions ended unattended")
    for name, wait in (("median", said.first_look_median_ms), ("longest", said.first_look_longest_ms)):
        if wait is not None:
            say(f"time to the first look, {name}: {wait / 3_600_000:,.1f} hours")

"""The commands for the users' own rules: rules lint, list, test, findings, snooze."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from watchbill.commands.common import HomeOption, JsonOption, home_of, print_json
from watchbill.commands.show import ledger_home, read_json, read_lines, say, table, time_ms, when
from watchbill.core.errors import LedgerError, NotFoundError, SettingsError
from watchbill.runners.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from watchbill.rules.bundle import Bundle
    from watchbill.rules.parse import Parsed
    from watchbill.rules.ruleset import RuleSet

_ROWS_SHOWN = 50
_FOLDER = typer.Argument(..., metavar="FOLDER", help="Folder of rules (or one file).")
_CONFIG = typer.Option(None, help="Settings file: \\[rules] and \\[engine].")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Rules of your own, in Sigma.")
    group.command("lint")(lint_command)
    group.command("list")(list_command)
    group.command("test")(backtest_command)
    group.command("findings")(findings_command)
    group.command("snooze")(snooze_command)
    app.add_typer(group, name="rules")


# --- lint --------------------------------------------------------------------------------------------------------------


def lint_command(folder: Path = _FOLDER, as_json: bool = JsonOption) -> None:
    """Check rules: file, line, what is wrong, what to do; exit 1 when a rule cannot be used."""
    found = _parsed(folder)
    if as_json:
        print_json(linted(found))
    else:
        for complaint in found.complaints:
            say(str(complaint), style="red" if complaint.severity == "error" else "yellow")
        more = f", {found.others} for other products" if found.others else ""
        warnings = len(found.complaints) - found.errors
        say(f"{len(found.rules)} rules in {found.files} files, {found.errors} errors, {warnings} warnings{more}")
    if found.errors:
        raise typer.Exit(1)


def _parsed(folder: Path) -> Parsed:
    from watchbill.rules.folder import read_texts
    from watchbill.rules.parse import parse_rules

    return parse_rules(read_texts(folder))


def linted(found: Parsed) -> dict[str, Any]:
    """What `rules lint` prints as JSON."""
    return {
        "files": found.files, "rules": len(found.rules), "errors": found.errors, "others": found.others,
        "complaints": [vars(complaint) for complaint in found.complaints],
    }  # fmt: skip


# --- list --------------------------------------------------------------------------------------------------------------


def list_command(home: Path | None = HomeOption, as_json: bool = JsonOption) -> None:
    """The rules in force in a home as of its last checkpoint, with their mode and step, and the snoozes."""
    said = listed(ledger_home(home))
    if as_json:
        print_json(said)
        return
    rows = [(r["rule"], r["title"], r["service"], r["level"], r["mode"], r["step"]) for r in said["rules"]]
    table("Rules in force", ("rule", "title", "service", "level", "mode", "step"), rows)
    for snooze in said["snoozes"]:
        say(f"  snoozed: {snooze['rule']} for {snooze['field']} {snooze['value']} until {when(snooze['until'])}")
    say(f"{len(rows)} rules as of height {said['height']:,}")


def listed(home: Path) -> dict[str, Any]:
    """What `rules list` prints as JSON."""
    bundle, height = bundle_in_force(home)
    if bundle is None:
        return {"height": height, "rules": [], "snoozes": []}
    ruleset = _in_force(bundle)
    rows = [
        {
            "rule": rule.key, "title": rule.title, "service": rule.service or ("correlation" if rule.correlation else "any"),
            "level": rule.level, "mode": ruleset.modes[number] if rule.output else "read by others",
            "step": ruleset.steps[number], "file": rule.file, "line": rule.line,
        }
        for number, rule in enumerate(ruleset.rules)
    ]  # fmt: skip
    return {"height": height, "rules": rows, "snoozes": [snooze.model_dump() for snooze in bundle.snoozes]}


def bundle_in_force(home: Path) -> tuple[Bundle | None, int]:
    """(what is in force as of the newest checkpoint, its height); None where there were never rules."""
    from watchbill.runners.checkpoint import load_checkpoint
    from watchbill.runners.ruleskept import RulesKept

    found = load_checkpoint(home, 1 << 62)
    if found is None or not found[1].get("rules"):
        return None, 0 if found is None else found[0]
    return RulesKept(home).take(found[1]["rules"]["in_force"]), found[0]


def _in_force(bundle: Bundle) -> RuleSet:
    from watchbill.rules.bundle import ruleset_of

    return ruleset_of(bundle)


# --- test --------------------------------------------------------------------------------------------------------------


def backtest_command(
    folder: Path = _FOLDER,
    home: Path | None = HomeOption,
    config: Path | None = _CONFIG,
    as_json: bool = JsonOption,
) -> None:
    """Back-test rules against a home's ledger: how often each would have fired, and on dismissed cases; changes nothing."""
    place = ledger_home(home)
    with _progress(quiet=as_json) as told:
        said = backtested(folder, place, config, told)
    if as_json:
        print_json(said)
        return
    rows = [
        (r["title"], r["hits"], r["hits_a_day"], r["accounts"], r["on_cases"], r["on_dismissed"], r["without_case"])
        for r in said["rules"]
    ]
    head = ("rule", "#would have fired", "#a day", "#accounts", "#on cases", "#on dismissed cases", "#no case")
    table("Back-test", head, rows)
    say(f"{said['records']:,} records over {said['days']} days, height {said['height']:,}")
    if said["errors"]:
        say(f"{said['errors']} rules could not be used; `watchbill rules lint` says why", style="yellow")


def backtested(
    folder: Path, home: Path, config: Path | None = None,
    told: Callable[[int, int], None] = lambda _done, _height: None,
) -> dict[str, Any]:  # fmt: skip
    """What `rules test` prints as JSON.

    Raises:
        NotFoundError: there is no usable rule in the folder.
    """
    from watchbill.rules.ruleset import RuleSet
    from watchbill.rules.settings import RuleSettings
    from watchbill.runners.backtest import backtest, settings_in_force, told_rows
    from watchbill.runners.config import load_config

    given = load_config(config) if config is not None else None
    found = _parsed(folder)
    if not found.rules:
        raise NotFoundError("no rule in it can be used", where=str(folder), todo="See `watchbill rules lint`")
    own = given.rules.settings if given is not None else RuleSettings()
    # everything is counted here: the cap on findings is for people's screens, and `off` would hide what is asked for
    rules = RuleSet(found.rules, own.model_copy(update={"findings_an_hour_max": 1_000_000, "off": ()}))
    settings = given.engine if given is not None else settings_in_force(home)
    ran = backtest(home, rules, settings, told)
    return {
        "height": ran.height, "records": ran.records, "days": round(ran.days, 2), "errors": found.errors,
        "rules": told_rows(rules, ran, read_lines(home / "cases.ndjson")),
    }  # fmt: skip


class _progress:  # noqa: N801 - reads as a word of the with statement
    """A bar over seqs on standard error; nothing when quiet or no terminal."""

    def __init__(self, *, quiet: bool) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("back-test"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)

    def __enter__(self) -> Callable[[int, int], None]:
        self._bar.start()
        task = self._bar.add_task("", total=None)
        return lambda done, height: self._bar.update(task, completed=done, total=height)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


# --- findings ----------------------------------------------------------------------------------------------------------


def findings_command(
    rule: str = typer.Option("", help="Only of this rule (id, name or title)."),
    account: str = typer.Option("", help="Only of this account."),
    mode: str = typer.Option("", help="Only shadow, or only act."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """What rules found, the newest last."""
    said = found_by(ledger_home(home), rule, account, mode)
    if as_json:
        print_json(said)
        return
    rows = [
        (r["seq"], when(r["time"]), r["title"], r["level"], r["account"] or r["device"], r["mode"], r["step"])
        for r in said["findings"][-_ROWS_SHOWN:]
    ]
    table("Findings", ("#seq", "time", "rule", "level", "account", "mode", "step"), rows)
    for title, count in Counter(row["title"] for row in said["findings"]).most_common():
        say(f"  {count:,} {title}")
    say(f"{len(said['findings']):,} findings as of height {said['height']:,}")


def found_by(home: Path, rule: str = "", account: str = "", mode: str = "") -> dict[str, Any]:
    """What `rules findings` prints as JSON: height, and rows of findings.ndjson that fit."""
    rows = [
        row
        for row in _findings(home)
        if rule in {"", row["rule"], row["title"]} and account in {"", row["account"]} and mode in {"", row["mode"]}
    ]
    return {"height": read_json(home / "status.json").get("height", 0), "findings": rows}


def _findings(home: Path) -> Iterator[dict[str, Any]]:
    from watchbill.runners.findings import FINDINGS

    yield from read_lines(home / FINDINGS)


# --- snooze ------------------------------------------------------------------------------------------------------------


def snooze_command(
    rule: str = typer.Argument(..., help="The rule's id or name."),
    field: str = typer.Option(..., help="The field, for instance account."),
    value: str = typer.Option(..., help="The one value for which the rule is silent."),
    until: str = typer.Option(..., help="Until then (RFC 3339, date or epoch ms)."),
    note: str = typer.Option("", help="Why."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Silence a rule for one value until a moment; in force, and in the journal, with the next records of the home."""
    said = snoozed(
        home_of(home), {"rule": rule, "field": field, "value": value, "note": note}, time_ms(until, "--until")
    )
    if as_json:
        print_json(said)
    else:
        say(f"{rule} is silent for {field} {value} until {when(said['until'])}, from the next records on")


def snoozed(home: Path, wanted: dict[str, str], until: int | None) -> dict[str, Any]:
    """Note a snooze; what `rules snooze` prints as JSON.

    Raises:
        SettingsError: the field is unknown, or the moment has passed.
        NotFoundError: the rule is not in force.
    """
    from watchbill.rules.snooze import Snooze
    from watchbill.rules.taxonomy import type_of
    from watchbill.runners.ruleskept import add_snooze

    now = SystemClock().now_ms()
    if type_of(wanted["field"]) is None:
        raise SettingsError("there is no such field", where="--field", todo="docs/rules.md lists them")
    if until is None or until <= now:
        raise SettingsError("has passed already", where="--until", todo="Give a moment in the future")
    bundle, _ = bundle_in_force(home)
    if bundle is None:
        raise LedgerError("no rules are in force here", where=str(home), todo="Name a folder under [rules] first")
    if not any(wanted["rule"] in {rule.key, rule.name} for rule in _in_force(bundle).rules):
        raise NotFoundError("no such rule is in force", where="rules snooze", todo="See `watchbill rules list`")
    try:
        snooze = Snooze(**wanted, until=until)
    except ValueError as error:
        raise SettingsError("is empty or too long", where="--value", todo="Give one value") from error
    add_snooze(home, snooze, now)
    return snooze.model_dump()

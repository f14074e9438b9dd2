"""The commands that work on a case: `watchbill case review|release|assign|due|note|merge|split|archive|reopen|history`, `cases rebuild`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel, ValidationError

from watchbill.cases.acts import CaseAct, Note
from watchbill.commands.common import HomeOption, JsonOption, group, print_json
from watchbill.commands.query import case_of
from watchbill.commands.show import ledger_home, say, table, time_ms, when
from watchbill.core.errors import SettingsError
from watchbill.core.settings import fault_of
from watchbill.runners.clock import SystemClock
from watchbill.runners.delivery import deliver, said_now

CaseArgument = typer.Argument(..., metavar="CASE", help="Id of the case, as `watchbill cases` lists it.")
ByOption = typer.Option(..., "--by", help="Who says so, by a pseudonym that the firm can resolve.")
NoteOption = typer.Option("", "--note", help="Up to 500 characters; it stays in the journal, so no customer's data.")
ConfigOption = typer.Option(None, "--config", help="Settings file whose [cases] url names the database.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    one = group(app, "case", "One case.")
    for name, command in (
        ("review", review_command), ("release", release_command), ("assign", assign_command), ("due", due_command),
        ("note", note_command), ("merge", merge_command), ("split", split_command), ("archive", archive_command),
        ("reopen", reopen_command), ("history", history_command),
    ):  # fmt: skip
        one.command(name)(command)
    group(app, "cases", alone=True).command("rebuild")(rebuild_command)


def tell_engine(home: Path | None, given: dict[str, Any], model: type[BaseModel], *, as_json: bool, done: str) -> None:
    """Say something of a case: through the inbox into the journal, and what came of it.

    Raises:
        SettingsError: it makes no sense. NotFoundError, RefusedError: as `deliver`.
    """
    place, clock = ledger_home(home), SystemClock()
    try:
        said = said_now(given, clock, model)
    except ValidationError as error:
        raise SettingsError(fault_of(error), where="case", todo="see `watchbill case --help`") from error
    told = deliver(place, said, clock)  # type: ignore[arg-type]  # one of the models of cases.acts
    if as_json:
        print_json(told)
    elif told["in_force"]:
        say(f"{done}: in the journal and in force")
    else:
        say("left in the inbox of the home; whoever writes it takes it with the next checkpoint", style="yellow")


def review_command(
    case: str = CaseArgument, by: str = ByOption, home: Path | None = HomeOption, as_json: bool = JsonOption
) -> None:
    """Take a case into review: it is yours, and the time to the first look is noted."""
    tell_engine(home, {"case": case, "act": "review", "by": by}, CaseAct, as_json=as_json, done="in review")


def release_command(
    case: str = CaseArgument, by: str = ByOption, home: Path | None = HomeOption, as_json: bool = JsonOption
) -> None:
    """Give a case back from review."""
    tell_engine(home, {"case": case, "act": "release", "by": by}, CaseAct, as_json=as_json, done="given back")


def assign_command(
    case: str = CaseArgument,
    to: str = typer.Option(..., "--to", help="Who is to work on it, by a pseudonym."),
    by: str = ByOption,
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Give a case to a reviewer."""
    given = {"case": case, "act": "assign", "to": to, "by": by}
    tell_engine(home, given, CaseAct, as_json=as_json, done="assigned")


def due_command(
    case: str = CaseArgument,
    at: str = typer.Option(..., "--at", help="Until when (RFC 3339, date or epoch ms)."),
    by: str = ByOption,
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Say until when something has to be done about a case."""
    given = {"case": case, "act": "due", "at": time_ms(at, "--at"), "by": by}
    tell_engine(home, given, CaseAct, as_json=as_json, done="due")


def note_command(
    case: str = CaseArgument,
    text: str = typer.Argument(..., help="Up to 500 characters; it stays in the journal, so no customer's data."),
    by: str = ByOption,
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Add a note to a case."""
    tell_engine(home, {"case": case, "text": text, "by": by}, Note, as_json=as_json, done="noted")


def merge_command(
    case: str = CaseArgument,
    other: str = typer.Argument(..., metavar="OTHER", help="The case that becomes part of it."),
    by: str = ByOption,
    note: str = NoteOption,
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Put two cases together: they are judged, listed and counted as one, of kind ring."""
    given = {"case": case, "act": "merge", "other": other, "by": by, "note": note}
    tell_engine(home, given, CaseAct, as_json=as_json, done="merged")


def split_command(
    case: str = CaseArgument,
    account: str = typer.Option(..., "--account", help="The account that leaves the case."),
    by: str = ByOption,
    note: str = NoteOption,
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Take an account out of a case of several; evidence alone never puts them together again."""
    given = {"case": case, "act": "split", "account": account, "by": by, "note": note}
    tell_engine(home, given, CaseAct, as_json=as_json, done="split")


def archive_command(
    case: str = CaseArgument,
    by: str = ByOption,
    note: str = NoteOption,
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Put a case away without judging it, until it gets worse."""
    given = {"case": case, "act": "archive", "by": by, "note": note}
    tell_engine(home, given, CaseAct, as_json=as_json, done="archived")


def reopen_command(
    case: str = CaseArgument, by: str = ByOption, home: Path | None = HomeOption, as_json: bool = JsonOption
) -> None:
    """Take up an archived case again."""
    tell_engine(home, {"case": case, "act": "reopen", "by": by}, CaseAct, as_json=as_json, done="reopened")


# --- history, rebuild --------------------------------------------------------------------------------------------------


def url_in(config: Path | None) -> str:
    """The database that a settings file names, "" where none is given."""
    from watchbill.runners.config import load_config

    return load_config(config).cases_url if config is not None else ""


def history_of(home: Path, case: str, url: str = "") -> list[dict[str, Any]]:
    """Everything that happened to a case, in order of the journal.

    Raises:
        NotFoundError: there is no such case. StoreError: the database cannot be read.
    """
    from watchbill.runners.caseskept import reading

    row = case_of(home, case)
    store = reading(home, url)
    try:
        return store.history(row["id"])
    finally:
        store.close()


def history_command(
    case: str = CaseArgument,
    config: Path | None = ConfigOption,
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Everything that happened to a case; nobody can change or delete an entry."""
    rows = history_of(ledger_home(home), case, url_in(config))
    if as_json:
        print_json({"case": case, "history": rows})
        return
    listed = [(one["seq"], when(one["time"]), one["case"], one["what"], one["by"] or "-", _detail(one)) for one in rows]
    table(f"History of {case}", ("#seq", "time", "file", "what", "by", "detail"), listed)


def _detail(one: dict[str, Any]) -> str:
    known = {"case", "n", "seq", "time", "what", "by", "round", "text_zh", "text_en"}
    return ", ".join(f"{name} {value}" for name, value in one.items() if name not in known and value not in ("", None))


def rebuild_command(
    config: Path | None = ConfigOption, home: Path | None = HomeOption, as_json: bool = JsonOption
) -> None:
    """Write the database of cases anew from the journal; nobody else may be writing the home."""
    from watchbill.ledger.keys import is_seeded
    from watchbill.runners.caseskept import rebuild, url_of
    from watchbill.runners.engine import Engine

    place, clock = ledger_home(home), SystemClock()
    url = url_of(place, url_in(config))
    if not url:
        raise SettingsError(
            "the cases of this home are in another database", where="--config", todo="Give --config FILE"
        )
    engine = Engine(place, None, clock, replay=is_seeded(place))
    try:
        count = rebuild(engine, url, None if is_seeded(place) else clock.now_ms())
        height = engine.done
    finally:
        engine.close()
    if as_json:
        print_json({"rows": count, "height": height})
    else:
        say(f"{count:,} rows written, as of height {height:,}")

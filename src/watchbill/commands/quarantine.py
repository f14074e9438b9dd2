"""The commands for refused records: quarantine list, quarantine retry."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from watchbill.commands.common import HomeOption, JsonOption, print_json
from watchbill.commands.show import ledger_home, read_lines, say, table
from watchbill.core.errors import NotFoundError, SettingsError
from watchbill.records.batch import Quarantined
from watchbill.records.mapping import Mapped
from watchbill.records.quarantine import retry
from watchbill.runners.config import RunConfig, load_config
from watchbill.runners.outputs import refused

if TYPE_CHECKING:
    from collections.abc import Iterable

RETRIED = "quarantine-retried.ndjson"
"""In the home: source and position of the refused records that a retry has taken in since."""
_TODO = "what to do"
_ROWS_SHOWN = 100


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Refused records.")
    group.command("list")(list_command)
    group.command("retry")(retry_command)
    app.add_typer(group, name="quarantine")


def list_command(
    everything: bool = typer.Option(False, "--all", help="Also those that a retry has taken in since."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Refused records with reason, position, and what to do."""
    rows = listed(ledger_home(home), everything=everything)
    if as_json:
        print_json(rows)
        return
    shown = [(row["source"], row["position"], row["reason"], row[_TODO]) for row in rows[:_ROWS_SHOWN]]
    table("Quarantine", ("source", "position", "reason", "what to do"), shown)
    more = f"; the first {_ROWS_SHOWN} are shown (--json lists all)" if len(rows) > _ROWS_SHOWN else ""
    say(f"{len(rows):,} records in quarantine{more}")


def listed(home: Path, *, everything: bool = False) -> list[dict[str, str]]:
    """Rows as contract/outputs.md names them, in order of refusal; without those taken in since unless `everything`."""
    done = set() if everything else _retried(home)
    return [
        {
            "source": entry.source,
            "position": entry.position,
            "reason": entry.reason,
            _TODO: entry.todo,
            "raw": entry.raw,
        }
        for entry in refused(home)
        if (entry.source, entry.position) not in done
    ]


def _retried(home: Path) -> set[tuple[str, str]]:
    return {(row["source"], row["position"]) for row in read_lines(home / RETRIED)}


def retry_command(
    everything: bool = typer.Option(False, "--all", help="All of them."),
    position: list[str] = typer.Option([], help="The one at this position; may be given several times."),
    config: Path | None = typer.Option(None, help="Settings file: \\[records], and the mapping of \\[sources.NAME]."),
    home: Path | None = HomeOption,
    as_json: bool = JsonOption,
) -> None:
    """Take refused records through parsing again, after the settings or the mapping were corrected."""
    if everything == bool(position):
        raise SettingsError("say which records", where="quarantine retry", todo="Give --all, or --position")
    place = ledger_home(home)
    settings = load_config(config) if config else RunConfig(home=place)
    said = retried(place, settings, None if everything else set(position))
    if as_json:
        print_json(said)
    else:
        say(
            f"{said['taken']:,} taken in, {said['known']:,} known already, {len(said['remaining']):,} stay in quarantine"
        )
        for row in said["remaining"][:_ROWS_SHOWN]:
            say(f"  {row['source']} {row['position']}: {row['reason']}")


def retried(home: Path, config: RunConfig, positions: set[str] | None) -> dict[str, Any]:
    """Retry the records at these positions (None = all that wait): how many were taken, known before, and what stays.

    Raises:
        NotFoundError: a position is not in quarantine.
        LedgerBusy: another process writes the home.
    """
    from watchbill.runners.local import ingest_lines

    done = _retried(home)
    waiting = [entry for entry in refused(home) if (entry.source, entry.position) not in done]
    if positions is not None:
        waiting = [entry for entry in waiting if entry.position in positions]
        if {entry.position for entry in waiting} != positions:
            raise NotFoundError(
                "no record waits at this position", where="--position", todo="See `watchbill quarantine list`"
            )
    by_source: dict[str, list[Quarantined]] = defaultdict(list)
    for entry in waiting:
        by_source[entry.source].append(entry)
    taken = good = 0
    remaining: list[Quarantined] = []
    for source, mine in by_source.items():
        lines, left = _parsed(mine, source, config)
        remaining += left
        if lines:
            good += len(lines)
            taken += ingest_lines(home, source, lines, config.engine)
            _note(home, source, [at for at, _ in lines])
    rows = [{"source": entry.source, "position": entry.position, "reason": entry.reason} for entry in remaining]
    return {"taken": taken, "known": good - taken, "remaining": rows}


def _parsed(
    mine: list[Quarantined], source: str, config: RunConfig
) -> tuple[list[tuple[str, bytes]], list[Quarantined]]:
    """((position, record as a line of the contract), what stays refused) of one source's rows, each parsed alone."""
    mapping = config.sources.get(source, {}).get("mapping")
    mapped = Mapped(str(mapping), limits=config.records) if mapping else None
    lines: list[tuple[str, bytes]] = []
    left: list[Quarantined] = []
    for entry in mine:
        got = retry([entry], source, limits=config.records, mapped=mapped)
        left += got.remaining
        if got.batch is not None:
            lines += [(entry.position, _line(row)) for row in got.batch.table.to_pylist()]
    return lines, left


def _line(row: dict[str, Any]) -> bytes:
    """A parsed record as a line of the contract; its id, made from its old position if need be, makes a retry repeatable."""
    extra = json.loads(row.pop("extra") or "{}")
    own = {name: value for name, value in row.items() if value is not None and name not in {"source", "arrival"}}
    return json.dumps({**extra, **own}, ensure_ascii=False).encode() + b"\n"


def _note(home: Path, source: str, positions: Iterable[str]) -> None:
    lines = (
        json.dumps({"source": source, "position": at}, ensure_ascii=False) + "\n" for at in dict.fromkeys(positions)
    )
    with (home / RETRIED).open("a", encoding="utf-8") as file:
        file.writelines(lines)

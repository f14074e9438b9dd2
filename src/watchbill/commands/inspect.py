"""The commands that look at the product itself: detectors, config check."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import typer

from watchbill.commands.common import HomeOption, JsonOption, home_of, print_json
from watchbill.commands.show import read_json, say
from watchbill.core.settings import Settings
from watchbill.detectors.base import detector_ids
from watchbill.runners.config import load_config
from watchbill.sources.base import open_source


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("detectors")(detectors_command)
    group = typer.Typer(no_args_is_help=True, help="The settings file.")
    group.command("check")(check_command)
    group.callback()(_settings_file)
    app.add_typer(group, name="config")


def _settings_file() -> None:
    """The settings file."""


def detectors_command(home: Path | None = HomeOption, as_json: bool = JsonOption) -> None:
    """Every detector: what it catches and misses, what it needs, what it keeps of an account."""
    status = read_json(home_of(home) / "status.json")
    rows = detectors(status.get("detectors", {}), status.get("verdicts", {}), status.get("shadow", {}))
    if as_json:
        print_json(rows)
        return
    for row in rows:
        say(f"{row['id']} ({row['family']}, {row['bytes_an_account']} bytes an account)", style="bold")
        say(
            f"  catches: {row['catches']}",
            f"  misses: {row['misses']}",
            f"  needs: {', '.join(row['needs']) or 'no table'}",
        )
        if row["cases"]:
            say(f"  people: {_people(row)}")
        if row["shadow"]:
            say(
                f"  in shadow: spoke {row['shadow']['spoke']:,} times; read by {row['shadow']['owner']}", style="yellow"
            )
        if row["silent"]:
            say(f"  silent in this home: {row['silent']}", style="yellow")


def _people(row: dict[str, Any]) -> str:
    """What people made of its word, in a line."""
    judged = row["confirmed"] + row["dismissed"]
    share = f", {row['confirmed'] / judged:.0%} right as people saw it" if judged else ""
    why = ", ".join(f"{reason} {count}" for reason, count in sorted(row["reasons"].items()))
    return (
        f"spoke in {row['cases']} cases, {row['confirmed']} confirmed, {row['dismissed']} dismissed"
        f"{f' ({why})' if why else ''}{share}"
    )


def detectors(
    silent: dict[str, str] | None = None, verdicts: dict[str, dict[str, Any]] | None = None,
    shadow: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Plain data of every detector; `silent` is why each is silent in a home (None where nobody has said).

    `verdicts` is what people made of each there, as `cases.tally` counts it; `shadow` is the part of status.json.
    """
    none = {"cases": 0, "confirmed": 0, "dismissed": 0, "reasons": {}}
    heard = (shadow or {}).get("detectors", {})
    rows = []
    for name in detector_ids():
        module = importlib.import_module(f"watchbill.detectors.{name}")
        kind = module.Detector
        catches, misses = catches_and_misses(module.__doc__ or "")
        rows.append({
            "id": name, "family": kind.family, "version": kind.version, "catches": catches, "misses": misses,
            "needs": list(kind.needs), "bytes_an_account": kind(Settings()).bytes_an_account, "silent": (silent or {}).get(name),
            "shadow": {"spoke": heard[name], "owner": (shadow or {}).get("owner", "")} if name in heard else None,
            **(verdicts or {}).get(name, none),
        })  # fmt: skip
    return rows


def catches_and_misses(text: str) -> tuple[str, str]:
    """What a detector's docstring says after "Catches:" and after "Misses:"."""
    found = []
    for word in ("Catches", "Misses"):
        match = re.search(rf"{word}:?\s+(.*?)(?:\n\n|\Z|(?<=\.)\s+(?:Catches|Misses)\b)", text, re.DOTALL)
        found.append(" ".join(match.group(1).split()) if match else "")
    return found[0], found[1]


def check_command(
    config: Path = typer.Argument(..., metavar="FILE", help="The settings file."), as_json: bool = JsonOption
) -> None:
    """Check a settings file with its sources, mappings and reference tables, without starting anything."""
    said = checked(config)
    if as_json:
        print_json(said)
        return
    say(f"{config.name}: good", style="green")
    say(f"home {said['home']}")
    for name, one in said["sources"].items():
        say(f"source {name}: {one['kind']}{', mapped' if one['mapped'] else ''}, masking {one['masking']}")
    for name, kind in said["actions"].items():
        say(f"action {name}: {kind}")
    for name, rows in said["reference"].items():
        say(f"table {name}: {rows:,} rows")
    for note in said["notes"]:
        say(note, style="yellow")


def checked(path: Path) -> dict[str, Any]:
    """Open everything that a settings file names.

    Raises:
        SettingsError: says what is wrong.
    """
    from watchbill.context.reference import find_tables, read_table
    from watchbill.runners.acting import open_actions
    from watchbill.runners.clock import SystemClock

    config = load_config(path)
    sources = {}
    for name, source in config.sources.items():
        open_source(name, source)
        sources[name] = {
            "kind": source.get("kind", "files"), "mapped": bool(source.get("mapping")), "masking": source.get("masking", "known"),
        }  # fmt: skip
    tables = {}
    if config.reference:
        for name, place in sorted(find_tables(config.reference).items()):
            read = read_table(name, place, config.engine.time_zone, config.engine.limits.reference_rows_max)
            tables[name] = read.num_rows
    actions = {name: action.settings.kind for name, action in open_actions(config, SystemClock()).items()}
    notes = [] if sources else ["no [sources.NAME]: `watchbill run` would have nothing to read"]
    notes += [f"no {name} table: what needs it stays silent" for name in ("accounts", "outlets") if name not in tables]
    return {
        "ok": True,
        "home": str(config.home),
        "sources": sources,
        "actions": actions,
        "reference": tables,
        "notes": notes,
    }

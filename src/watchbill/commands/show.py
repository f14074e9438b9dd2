"""How answers look to people: tables, times, shares; and the home that a question needs."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from watchbill.commands.common import home_of
from watchbill.context.reference import parse_time
from watchbill.core.errors import LedgerError, SettingsError
from watchbill.core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_HIDDEN = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069]")
"""Control characters (escape sequences begin with one) and marks of writing direction."""

ZONE = ZoneInfo(Settings().time_zone)


def ledger_home(home: Path | None) -> Path:
    """The home that a question is about; it must hold a ledger.

    Raises:
        LedgerError: nothing was ever written there.
    """
    place = home_of(home)
    if not (place / "journal").is_dir() and not (place / "segments.json").exists():
        raise LedgerError(
            "there is no ledger here", where=str(place), todo="Give --home, or replay or run something first"
        )
    return place


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object that the runner keeps in the home, {} when it has written none yet.

    Raises:
        LedgerError: it is damaged.
    """
    if not path.exists():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LedgerError(
            "cannot be read", where=path.name, todo="The next checkpoint of the runner writes it anew"
        ) from error
    return value if isinstance(value, dict) else {}


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of an NDJSON file that the runner keeps in the home, none when it has written none yet.

    Raises:
        LedgerError: it is damaged.
    """
    if not path.exists():
        return []
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    except (OSError, ValueError) as error:
        raise LedgerError(
            "cannot be read", where=path.name, todo="The next checkpoint of the runner writes it anew"
        ) from error


def time_ms(text: str | None, option: str) -> int | None:
    """Epoch milliseconds of an option: RFC 3339, a bare date (in the default time zone) or epoch milliseconds.

    Raises:
        SettingsError: it is none of these.
    """
    if text is None:
        return None
    try:
        return parse_time(text, ZONE)
    except (ValueError, OverflowError) as error:
        todo = "Write 2025-03-09, 2025-03-09T14:00:00+08:00 or epoch milliseconds"
        raise SettingsError("is not a time", where=option, todo=todo) from error


def when(ms: int | None) -> str:
    """A time for people, in the default time zone."""
    return "" if ms is None else datetime.fromtimestamp(ms / 1000, ZONE).strftime("%Y-%m-%d %H:%M:%S")


def percent(share: float | None) -> str:
    """A share for people."""
    return "-" if share is None else f"{share:.1%}"


def visible(text: str) -> str:
    """Text from strangers for a terminal: what would move its cursor or turn the reading direction is written out."""
    return _HIDDEN.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def say(*lines: str, style: str = "") -> None:
    """Lines as they are: nothing in them is markup."""
    console = Console()
    for line in lines:
        console.print(escape(visible(line)), style=style or None, highlight=False, soft_wrap=True)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """One table; columns whose name begins with # are numbers."""
    shown = Table(title=escape(visible(title)), title_justify="left", title_style="bold", header_style="dim")
    for column in columns:
        shown.add_column(
            escape(column.removeprefix("#")), justify="right" if column.startswith("#") else "left", overflow="fold"
        )
    for row in rows:
        shown.add_row(
            *(
                escape("" if cell is None else f"{cell:,}" if isinstance(cell, int) else visible(str(cell)))
                for cell in row
            )
        )
    Console().print(shown)

"""What the commands of reports share: the settings file, the facts, a person's name, a file and its hash."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from watchbill.core.errors import SettingsError

if TYPE_CHECKING:
    from watchbill.notices.facts import Facts
    from watchbill.notices.settings import FirmSettings, ReportSettings

ConfigOption = typer.Option(
    None, "--config", help="Settings file, for [firm] and [reports] (default: WATCHBILL_CONFIG)."
)
BY_MAX: Final = 64


def settings_for(config: Path | None) -> tuple[FirmSettings, ReportSettings]:
    """[firm] and [reports] of the settings file; the defaults where there is none.

    Raises:
        SettingsError: the file is wrong.
    """
    from watchbill.notices.settings import FirmSettings, ReportSettings
    from watchbill.runners.config import load_config

    place = config or (Path(named) if (named := os.environ.get("WATCHBILL_CONFIG")) else None)
    if place is None:
        return FirmSettings(), ReportSettings()
    read = load_config(place)
    return read.firm, read.reports


def facts_for(home: Path, case: str, config: Path | None) -> Facts:
    """The facts of a case, with the settings of the file.

    Raises:
        NotFoundError: there is no such case.
    """
    from watchbill.notices.facts import facts_of

    firm, reports = settings_for(config)
    return facts_of(home, case, firm, reports)


def given(by: str) -> str:
    """Who says something.

    Raises:
        SettingsError: nobody, or a name that is too long.
    """
    name = by.strip()
    if not name or len(name) > BY_MAX:
        raise SettingsError("names nobody", where="--by", todo=f"1 to {BY_MAX} characters")
    return name


def write_out(path: Path, data: bytes) -> dict[str, Any]:
    """Write a file; its name, size and SHA-256."""
    path.write_bytes(data)
    return {"file": path.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

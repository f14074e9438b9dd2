"""Settings in the journal: a change of them, or of the release, is a record, and the content is kept by digest.

So a restart replays each record under the settings that were in force when it came, and an answer can name them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from watchbill import __version__
from watchbill.core.errors import LedgerError
from watchbill.core.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


class SettingsKept:
    """What is in force ({"digest", "version"}, empty before the first record), and every version under home/settings."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "settings"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.in_force: dict[str, str] = {}

    def change_to(self, settings: Settings) -> dict[str, str] | None:
        """The record that puts `settings` in force, None when they are."""
        text = settings.model_dump_json(indent=1)
        wanted = {"digest": hashlib.sha256(text.encode()).hexdigest(), "version": __version__}
        if wanted == self.in_force:
            return None
        place = self.folder / f"{wanted['digest']}.json"
        if not place.exists():
            beside = place.with_suffix(".new")
            beside.write_text(text, encoding="utf-8")
            beside.rename(place)
        return wanted

    def take(self, record: dict[str, str]) -> Settings:
        """The settings of a record, from now on in force.

        Raises:
            LedgerError: the kept file is missing or damaged.
        """
        place = self.folder / f"{record['digest']}.json"
        try:
            text = place.read_text(encoding="utf-8")
        except OSError as error:
            raise LedgerError(
                "the kept settings of a record are missing", where=place.name, todo="restore home/settings from a copy"
            ) from error
        if hashlib.sha256(text.encode()).hexdigest() != record["digest"]:
            raise LedgerError(
                "the kept settings of a record were changed", where=place.name, todo="restore it from a copy"
            )
        self.in_force = dict(record)
        return Settings.model_validate_json(text)

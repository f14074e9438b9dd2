"""Settings in the journal: a change of them, or of the release, is a record, and the content is kept by digest.

So a restart replays each record under the settings that were in force when it came, and an answer can name them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchbill import __version__
from watchbill.core.settings import Settings
from watchbill.runners.kept import digest_of, keep_text, kept_text

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
        wanted = {"digest": digest_of(text), "version": __version__}
        if wanted == self.in_force:
            return None
        keep_text(self.folder, text)
        return wanted

    def take(self, record: dict[str, str]) -> Settings:
        """The settings of a record, from now on in force.

        Raises:
            LedgerError: the kept file is missing or damaged.
        """
        text = kept_text(self.folder, record["digest"])
        self.in_force = dict(record)
        return Settings.model_validate_json(text)

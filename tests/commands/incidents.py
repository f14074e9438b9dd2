"""A copy of the small incident for tests of commands that write into a home."""

from __future__ import annotations

from pathlib import Path

from notices.incident import CASE, incident

SETTINGS = """
[firm]
name = "示例快递"
name_en = "Example Express"
contact = "privacy@example.com"
authority = "省网信办"
[reports]
owner = "legal"
"""


def home_and_settings(place: Path, **said: object) -> tuple[Path, Path]:
    """(home with one case `CASE`, settings file)."""
    home = place / "home"
    home.mkdir()
    incident(home, **said)
    config = place / "watchbill.toml"
    config.write_text(SETTINGS, encoding="utf-8")
    return home, config


__all__ = ["CASE", "home_and_settings"]

"""Users' rules in the journal: putting rules, their settings or a snooze in force is a record; the content is kept by digest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from watchbill.core.errors import LedgerError
from watchbill.rules.bundle import Bundle
from watchbill.rules.snooze import Snooze, with_snooze
from watchbill.runners.kept import digest_of, keep_text, kept_text

if TYPE_CHECKING:
    from pathlib import Path

SNOOZES: Final = "snoozes.json"
"""In home/rules: the snoozes that people asked for; the engine puts them in force with the next records."""


class RulesKept:
    """What is in force ({"digest", "files", "snoozes"}, empty before the first record), and every version under home/rules."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "rules"
        self.in_force: dict[str, Any] = {}

    def change_to(self, bundle: Bundle) -> dict[str, Any] | None:
        """The record that puts a bundle in force; None when it is, or when there were never rules and are none now."""
        text = bundle.model_dump_json()
        if self.in_force.get("digest") == digest_of(text) or (not self.in_force and not bundle.texts):
            return None
        return {
            "digest": keep_text(self.folder, text), "files": len(bundle.texts), "snoozes": len(bundle.snoozes),
        }  # fmt: skip

    def take(self, record: dict[str, Any]) -> Bundle:
        """The bundle of a record, from now on in force.

        Raises:
            LedgerError: the kept file is missing or damaged.
        """
        text = kept_text(self.folder, record["digest"])
        self.in_force = dict(record)
        return Bundle.model_validate_json(text)


def read_snoozes(home: Path) -> tuple[Snooze, ...]:
    """The snoozes that people asked for.

    Raises:
        LedgerError: the file is damaged.
    """
    place = home / "rules" / SNOOZES
    if not place.exists():
        return ()
    try:
        return tuple(Snooze.model_validate(row) for row in json.loads(place.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        raise LedgerError("cannot be read", where=place.name, todo="Remove it, and snooze anew") from error


def add_snooze(home: Path, snooze: Snooze, now: int) -> tuple[Snooze, ...]:
    """Note a snooze for the engine; those that are over by `now` (epoch ms) go. All that stand."""
    kept = with_snooze(tuple(one for one in read_snoozes(home) if one.until > now), snooze)
    place = home / "rules" / SNOOZES
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_suffix(".new")
    beside.write_text(json.dumps([one.model_dump() for one in kept], ensure_ascii=False), encoding="utf-8")
    beside.rename(place)
    return kept

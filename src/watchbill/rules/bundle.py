"""Everything that decides what rules say, as one text: the rule files, the settings of rules, the snoozes.

It is kept by digest beside the journal, so that a replay of the journal has the same rules in force at the same records.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from watchbill.rules.folder import RuleText, read_texts
from watchbill.rules.parse import Parsed, parse_rules
from watchbill.rules.ruleset import RuleSet, same_meaning
from watchbill.rules.settings import RuleSettings
from watchbill.rules.snooze import Snooze

if TYPE_CHECKING:
    from pathlib import Path


class Bundle(BaseModel):
    """Rule files (path, text), settings, snoozes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    texts: tuple[tuple[str, str], ...] = ()
    settings: RuleSettings = RuleSettings()
    snoozes: tuple[Snooze, ...] = ()


@dataclass(frozen=True)
class RuleSource:
    """Where rules come from, as a settings file says it: the folder (None: no rules) and the settings."""

    folder: Path | None = None
    settings: RuleSettings = field(default_factory=RuleSettings)

    def bundle(self, snoozes: tuple[Snooze, ...] = ()) -> Bundle:
        """What is to be in force now.

        Raises:
            SettingsError, LimitError: the folder cannot be read.
        """
        texts = read_texts(self.folder) if self.folder is not None else []
        readable = tuple((one.path, one.text) for one in texts if one.text is not None)
        return Bundle(texts=readable, settings=self.settings, snoozes=snoozes)


def parsed_of(bundle: Bundle) -> Parsed:
    """Its rules, compiled, and what is wrong with the others."""
    return parse_rules(RuleText(path, text) for path, text in bundle.texts)


def ruleset_of(bundle: Bundle, before: RuleSet | None = None) -> RuleSet:
    """The rules of a bundle in force; those that mean what they meant `before` go on with their state."""
    fresh = RuleSet(parsed_of(bundle).rules if bundle.texts else [], bundle.settings, bundle.snoozes)
    if before is not None and before.rules:
        fresh.restore(before.snapshot(), same_meaning(before, fresh))
    return fresh
